"""From a hole in a document to layers in it: what is asked of the server, and what is kept of the run."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple

import assembly
import document
import gi
import groupsum
import precision
import reading
import records
import service
from before import Before, still_there
from client.errors import InpaintError
from client.events import Result
from client.geometry import Bounds, request_bounds
from client.requests import InpaintRequest, TextureRequest
from client.wire import Array
from document import Hole
from precision import Encoding
from settings import Record, Settings

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

NAME = "Inpaint (DGFNet)"
TEXTURE_NAME = "Texture map (DGFNet)"


class Wish(NamedTuple):
    """A run as it was asked for: settings, the channel to leave out, and what the server should run with."""

    settings: Settings
    exclude: Gimp.Channel | None = None
    weights: str = ""
    device: str = ""


class Again(NamedTuple):
    """A hole that was filled before.

    `shape` is the result that gave its shape to it, if any did; that is filled as it is, neither grown nor softened
    again. A copy that is filled again counts as made from `source` as before; if its fill `is_plain`, blended into
    nothing but the source, so is the new one.
    """

    hole: Hole
    shape: Gimp.Layer | None = None
    source: Gimp.Layer | None = None
    is_plain: bool = True


def inpaint(
    image: Gimp.Image, layer: Gimp.Layer, wish: Wish, say: service.Say, again: Again | None = None
) -> Gimp.Layer:
    """Fill the hole of a layer; the new layer, group or copy above it. Raises `InpaintError`, nothing changed then."""
    settings, watch = wish.settings, _Watch()
    still_there(image, layer)
    _refuse(image, wish)
    layer = records.original(image, layer)
    is_copy = settings.output == "copy"
    again = again or Again(document.find_hole(image, layer, reading.looker(image, layer, is_copy)))
    hole, source = again.hole, again.source or layer
    asked = replace(settings, grow=0, feather=0.0) if again.shape else settings
    say("Reading the picture", 0.0)
    picture = document.canvas(image) if settings.sample == "visible" else document.bounds_of(layer)
    crop = request_bounds(hole.bounds.pad(asked.grow), picture, asked.context)
    if hole.bounds.intersection(picture).is_empty or crop.is_empty:
        read = "picture" if settings.sample == "visible" else "layer"
        raise InpaintError(
            "empty_mask",
            f"Nothing of what is to be filled ({hole.kind}) lies in the {read}.",
            f"Select a region of the {read}, then try again.",
        )
    refusal = ""
    if settings.output == "group":
        refusal = precision.group_refusal(int(image.get_precision()), _is_indexed(image))
    if settings.sample == "visible":
        looked_at = reading.of_picture(image, crop, wish.exclude)
    else:
        looked_at = reading.of_layer(image, layer, crop, wish.exclude, for_copy=is_copy)
    mask = _array("mask", document.read_hole(image, hole, crop), crop, _mask_encoding(image))
    request = _request(looked_at, crop, mask, asked, as_group=settings.output == "group" and not refusal)
    digest = document.digest_of(image, hole, layer) if is_copy else ""
    watch.lap("read")
    before = Before(image, layer)
    result = service.run(request, who(), say, wish.weights, wish.device)
    watch.lap("server")
    before.look_again()
    summed = groupsum.exact(image, result.layers, before.encoding, say) if len(result.layers) > 1 else None
    say("Making the layers", 1.0)
    copy = None
    if is_copy:
        drops_mask = hole.kind == document.LAYER_MASK and not again.source  # an earlier copy's mask is another
        below = again.source if again.is_plain else None
        copy = assembly.copy(image, layer, result.layers[0], crop, drops_mask, below)
    moved = before.look_again()
    with assembly.one_undo_step(image):
        place = assembly.TOP if settings.sample == "visible" else assembly.above(image, layer)
        if copy:
            made = assembly.insert_copy(image, layer, copy)
        elif summed:
            made = assembly.group(image, NAME, summed.layers, crop, before.encoding, place, summed.space)
        else:
            made = assembly.single(image, result.layers[0], crop, before.encoding, place)
        assembly.hide_same_hole(image, source, made, again.shape)
        watch.lap("layers")
        is_left_out = wish.exclude and wish.exclude.is_valid()
        exclude = records.identify_channel(image, wish.exclude) if is_left_out else ""
        known = digest if copy and again.is_plain and not copy.fills else ""
        report, seconds = dict(result.report), watch.seconds
        kept = Record(settings, records.identify(source), exclude, hole.kind, known, report, watch.began, seconds)
        records.keep(made, kept)
    records.remember(image, layer, wish.exclude if exclude else None)
    if is_copy:
        image.set_selected_layers([made])  # it has taken the layer's place: the next fill builds on it
    for note in (*moved, *_notes(image, layer, settings, refusal, result)):
        Gimp.message(note)
    return made


def texture_map(image: Gimp.Image, layer: Gimp.Layer, lambda_: float, sigma: float, say: service.Say) -> Gimp.Layer:
    """Split a layer, or its selected rectangle, into structure and texture: a group above it. Raises `InpaintError`."""
    still_there(image, layer)
    refusal = precision.group_refusal(int(image.get_precision()), _is_indexed(image))
    if refusal:
        raise InpaintError(
            "bad_precision",
            "In indexed and 8-bit linear images structure and texture do not add up exactly.",
            "Choose another mode in Image > Mode or a higher precision in Image > Precision.",
        )
    picture = document.bounds_of(layer)
    part = (document.selection_bounds(image) or picture).intersection(picture)
    if part.is_empty:
        raise InpaintError("empty_mask", "The selection does not touch the layer.", "Select a part of this layer.")
    say("Reading the picture", 0.0)
    looked_at = reading.of_layer(image, layer, part)
    request = TextureRequest(_image(looked_at, part), looked_at.encoding.space, lambda_=lambda_, sigma=sigma)
    before = Before(image, layer)
    result = service.run(request, who(), say)
    before.look_again()
    summed = groupsum.exact(image, result.layers, before.encoding, say)
    moved = before.look_again()
    say("Making the layers", 1.0)
    with assembly.one_undo_step(image):
        place = assembly.above(image, layer)
        made = assembly.group(image, TEXTURE_NAME, summed.layers, part, before.encoding, place, summed.space)
        records.mark_map(made, layer)
    for note in (*moved, *_map_notes(layer)):
        Gimp.message(note)
    return made


def who() -> str:
    """What the server is told about this client."""
    return f"gimp {Gimp.version()}"


def _refuse(image: Gimp.Image, wish: Wish) -> None:
    """Raise `InpaintError` where what is asked for cannot be."""
    if (wish.settings.output, wish.settings.sample) == ("copy", "visible"):
        raise InpaintError(
            "bad_option",
            "A copy of one layer cannot hold what is made from the visible picture.",
            'Choose another output, or "This layer" to sample from.',
        )
    if wish.exclude and not (wish.exclude.is_valid() and wish.exclude.get_image().get_id() == image.get_id()):
        raise InpaintError(
            "bad_option", "The channel to leave out is not in this image.", "Choose one that is, or none."
        )


def _request(
    looked_at: reading.Pixels, crop: Bounds, mask: Array, settings: Settings, as_group: bool
) -> InpaintRequest:
    return InpaintRequest(
        image=_image(looked_at, crop),
        space=looked_at.encoding.space,
        mask=mask,
        output="group" if as_group else "layer",
        context=float(settings.context),
        grow=int(settings.grow),
        feather=float(settings.feather),
        texture_strength=float(settings.texture_strength),
        patches=float(settings.patches),
        variation=int(settings.variation),
    )


def _image(pixels: reading.Pixels, crop: Bounds) -> Array:
    return _array("image", pixels.data, crop, pixels.encoding)


def _array(name: str, data: bytes, bounds: Bounds, encoding: Encoding) -> Array:
    shape = (bounds.height, bounds.width) + ((encoding.channels,) if encoding.channels > 1 else ())
    return Array(name, encoding.dtype, shape, data)


def _mask_encoding(image: Gimp.Image) -> Encoding:
    return precision.mask_encoding(int(image.get_precision()))


def _notes(image: Gimp.Image, layer: Gimp.Layer, settings: Settings, refusal: str, result: Result) -> list[str]:
    notes = [refusal] if refusal else []
    looks = document.special_look(layer)
    if looks and settings.output != "copy" and settings.sample == "layer":
        notes.append(
            f"The layer is shown {looks}, the fill above it in Normal mode at 100 %; if they do not match, undo and "
            'choose the output "Replace into a copy".'
        )
    groups = document.look_of_groups(layer)
    if groups and settings.sample == "layer":
        notes.append(
            f"The layer's locked group is shown {groups}, the result above it is not; if they do not match, undo, "
            "unlock the group's content and fill again."
        )
    if _is_indexed(image) and not refusal:
        notes.append(
            "This image is indexed, so the fill was reduced to its palette; for better colours, choose "
            "Image > Mode > RGB first."
        )
    report: dict[str, Any] = dict(result.report)
    return notes + [str(note) for note in report.get("notes", [])]


def _map_notes(layer: Gimp.Layer) -> list[str]:
    looks = [look for look in (document.special_look(layer), document.look_of_groups(layer)) if look]
    if not looks:
        return []
    return [
        f"The layer is shown {', in a group '.join(looks)}, its texture map above it in Normal mode at 100 %; if they "
        "do not match, hide the layer and give the map's group its mode and opacity."
    ]


def _is_indexed(image: Gimp.Image) -> bool:
    return image.get_base_type() == Gimp.ImageBaseType.INDEXED


class _Watch:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.began = time.time()
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """The stage that has just ended."""
        now = time.monotonic()
        self.seconds[stage], self._last = round(now - self._last, 3), now
