"""What an artist is told of a result that may not be as expected: one sentence each."""

from __future__ import annotations

from typing import Any

import document
import gi
import records
from assembly import Copy
from client.events import Result
from client.geometry import Bounds
from settings import Settings

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402


def of_fill(
    image: Gimp.Image, layer: Gimp.Layer, settings: Settings, refusal: str, copy: Copy | None, result: Result
) -> list[str]:
    """Sentences about a fill of a layer. `refusal` says why it is no editable group, `copy` is it if it is a copy."""
    notes = [refusal] if refusal else []
    looks = document.special_look(layer)
    if looks and settings.output != "copy" and settings.sample == "layer":
        notes.append(
            f"The layer is shown {looks}, the fill above it in Normal mode at 100 %; if they do not match, undo and "
            'choose the output "Replace into a copy".'
        )
    if looks and copy and copy.has_fills:
        notes.append(
            f"Earlier fills have become part of the copy and are shown {looks}, as it is; if that does not match, undo "
            'and choose the output "New layer".'
        )
    if copy and records.seen_maps(image, layer):
        notes.append(
            "The layer's texture map lies under the copy now and is not seen; to keep it in view, undo and choose the "
            'output "New layer".'
        )
    groups = document.look_of_groups(layer)
    if groups and settings.sample == "layer":
        notes.append(
            f"The layer's locked group is shown {groups}, the result above it is not; if they do not match, undo, "
            "unlock the group's content and fill again."
        )
    if document.is_indexed(image) and not refusal:
        notes.append(
            "This image is indexed, so the fill was reduced to its palette; for better colours, choose "
            "Image > Mode > RGB first."
        )
    report: dict[str, Any] = dict(result.report)
    return notes + [str(note) for note in report.get("notes", [])]


def of_map(layer: Gimp.Layer, part: Bounds) -> list[str]:
    """Sentences about the texture map of a part of a layer."""
    notes = []
    looks = [look for look in (document.special_look(layer), document.look_of_groups(layer)) if look]
    if looks:
        notes.append(
            f"The layer is shown {', in a group '.join(looks)}, its texture map above it in Normal mode at 100 %; if "
            "they do not match, hide the layer and give the map's group its mode and opacity."
        )
    if document.is_translucent(layer, part):
        notes.append(
            "Parts of the layer are seen through, less so with the texture map above them; hide the layer to see them "
            "as they were."
        )
    return notes
