"""Images of the plug-in's own, in which GIMP mixes layers as it shows them; the document's are only read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import document
import gi
from client.errors import InpaintError
from client.geometry import Bounds
from precision import Encoding

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

MARK = "dgfnet-stage"
"""Parasite of a stage: the process of the call that made it."""


@contextmanager
def stage(image: Gimp.Image, part: Bounds) -> Iterator[Gimp.Image]:
    """An empty image as large as `part`, as deep as another and with its profile; RGB if that one is indexed."""
    grey, colour = Gimp.ImageBaseType.GRAY, Gimp.ImageBaseType.RGB
    kind = grey if image.get_base_type() == grey else colour
    made = Gimp.Image.new_with_precision(part.width, part.height, kind, image.get_precision())
    try:
        made.undo_disable()
        made.attach_parasite(Gimp.Parasite.new(MARK, 0, str(os.getpid()).encode()))
        profile = image.get_color_profile()
        if profile:
            made.set_color_profile(profile)
        yield made
    finally:
        made.delete()


def clear_up() -> None:
    """Delete the stages of calls that have ended: GIMP kills a call that is cancelled, and keeps its images."""
    for image in Gimp.get_images():
        mark = image.get_parasite(MARK)
        if mark and _has_ended(int(bytes(mark.get_data()).rstrip(b"\0"))):
            image.delete()


def visible(image: Gimp.Image) -> Gimp.Layer:
    """What is seen, as a layer outside the image; delete it after use."""
    return Gimp.Layer.new_from_visible(image, image, "visible")


def shown(layer: Gimp.Layer, part: Bounds, encoding: Encoding, with_mask: bool = False) -> bytes:
    """Pixels of `part` with the layer's filters, which its own pixels lack; without mode, opacity and (mostly) mask."""
    if not layer.get_filters() and not with_mask:
        return document.read(layer, part, encoding)
    with stage(layer.get_image(), part) as alone:
        copy = _put(alone, layer, part)
        if copy.get_mask() and not with_mask:
            copy.remove_mask(Gimp.MaskApplyMode.DISCARD)
        document.set_visible(copy, True)
        copy.set_opacity(100)
        copy.set_mode(Gimp.LayerMode.NORMAL)  # which forgets the spaces, so they follow
        document.blend_as_sent(copy, alone)
        return _seen(alone, encoding)


def under(image: Gimp.Image, pixels: bytes, part: Bounds, encoding: Encoding, layers: Sequence[Gimp.Layer]) -> bytes:
    """Pixels of `part` as GIMP shows them under some layers of the image, which are given from the bottom.

    Modes, opacities, masks and groups are as they are seen.
    """
    with stage(image, part) as mixed:
        base = document.new_layer(mixed, "base", document.canvas(mixed), encoding, pixels)
        document.blend_as_sent(base, mixed)
        mixed.insert_layer(base, None, 0)
        for layer in layers:
            if _reaches(layer, part):
                _put(mixed, layer, part)
        return _seen(mixed, encoding)


def _reaches(layer: Gimp.Layer, part: Bounds) -> bool:
    """Whether a layer may change what is seen of `part`: from outside it, filters and all but Normal mode may."""
    is_outside = document.bounds_of(layer).intersection(part).is_empty
    if not is_outside or layer.get_mode() != Gimp.LayerMode.NORMAL or not document.is_composed_plainly(layer):
        return True
    return any(item.get_filters() for item in document.with_descendants([layer]))


def _put(stage: Gimp.Image, layer: Gimp.Layer, part: Bounds) -> Gimp.Layer:
    """A copy of a layer, filters included, on top of a stage for `part`."""
    copy = Gimp.Layer.new_from_drawable(layer, stage)
    stage.insert_layer(copy, None, 0)
    copy.set_lock_content(False)
    for item in document.with_descendants([copy]):
        item.set_lock_position(False)  # GIMP moves no group that holds a locked layer
    x, y, *_ = document.bounds_of(layer).relative_to(part)
    if not copy.set_offsets(x, y):
        raise InpaintError("internal", "GIMP did not move a copy of the layer.", "Please report this with its locks.")
    return copy


def _seen(stage: Gimp.Image, encoding: Encoding) -> bytes:
    seen = visible(stage)
    try:
        return document.read(seen, document.canvas(stage), encoding)
    finally:
        seen.delete()


def _has_ended(process: int) -> bool:
    """Whether a process is known to be gone. Elsewhere than on POSIX systems Python cannot ask without ending it."""
    if os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except OSError:  # none, or one of another user, which has got the number
        return True
    return False
