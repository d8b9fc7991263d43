"""What is looked at: a layer with its fills, or all that is seen, without what is left out."""

from __future__ import annotations

from typing import NamedTuple

import blend
import document
import gi
import records
import staging
from client.geometry import Bounds
from precision import Encoding

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402


class Pixels(NamedTuple):
    """Pixels and how they travel."""

    data: bytes
    encoding: Encoding


def of_layer(
    image: Gimp.Image, layer: Gimp.Layer, crop: Bounds, exclude: Gimp.Channel | None = None, for_copy: bool = False
) -> Pixels:
    """Pixels of a layer under the fills of it that are seen, so that a fill builds on those before it.

    What its mask hides, or `exclude` marks, is transparent, which is unknown to the network.
    """
    encoding = document.encoding_of(layer, with_curve=for_copy)
    hidden = _hidden_by_mask(layer, crop)
    if hidden or exclude:
        encoding = encoding.with_alpha()
    data = looker(image, layer, for_copy)(layer, crop, encoding)
    if hidden:
        data = blend.hide(data, encoding.dtype, encoding.channels, hidden)
    return _without(exclude, _under_fills(image, layer, Pixels(data, encoding), crop), crop)


def of_map(image: Gimp.Image, layer: Gimp.Layer, part: Bounds) -> Pixels:
    """As `of_layer`, but as transparent as the layer's mask makes it: a texture map is to show the same."""
    encoding, has_mask = document.encoding_of(layer), document.has_mask(layer)
    if has_mask:
        encoding = encoding.with_alpha()
    data = staging.shown(layer, part, encoding, with_mask=has_mask)
    return _under_fills(image, layer, Pixels(data, encoding), part)


def looker(image: Gimp.Image, layer: Gimp.Layer, for_copy: bool) -> document.Look:
    """How a layer's pixels are read: as its filters show them, but for copies that keep the filters."""
    return document.read if for_copy and is_copied_as_it_is(image, layer) else staging.shown


def is_copied_as_it_is(image: Gimp.Image, layer: Gimp.Layer) -> bool:
    """Whether a copy of a layer has its filters and raw pixels; else it has the pixels that the filters show.

    Groups and text become pixels, and fills that become part of a copy were made from what the filters show.
    """
    return type(layer) is Gimp.Layer and not (layer.get_filters() and records.seen_fills(image, layer))


def is_plain_copy(image: Gimp.Image, source: Gimp.Layer, copy: Gimp.Layer) -> bool:
    """Whether raw pixels of a layer still are those of its copy: neither was moved, scaled or given other filters."""
    if not is_copied_as_it_is(image, source) or document.bounds_of(source) != document.bounds_of(copy):
        return False
    return len(source.get_filters()) == len(copy.get_filters())


def of_picture(image: Gimp.Image, crop: Bounds, exclude: Gimp.Channel | None = None) -> Pixels:
    """Pixels of all that is seen; what `exclude` marks is transparent."""
    seen = staging.visible(image)
    try:
        encoding = document.encoding_of(seen)
        if exclude:
            encoding = encoding.with_alpha()
        return _without(exclude, Pixels(document.read(seen, crop, encoding), encoding), crop)
    finally:
        seen.delete()


def _under_fills(image: Gimp.Image, layer: Gimp.Layer, pixels: Pixels, crop: Bounds) -> Pixels:
    fills = records.seen_fills(image, layer)
    if not fills:
        return pixels
    return pixels._replace(data=staging.under(image, pixels.data, crop, pixels.encoding, fills))


def _without(exclude: Gimp.Channel | None, pixels: Pixels, crop: Bounds) -> Pixels:
    if exclude is None:
        return pixels
    data, encoding = pixels
    return Pixels(blend.hide(data, encoding.dtype, encoding.channels, document.channel_mask(exclude, crop)), encoding)


def _hidden_by_mask(layer: Gimp.Layer, crop: Bounds) -> bytes:
    """An 8-bit mask of what the layer mask hides; empty where there is none, or it is switched off."""
    if not document.has_mask(layer):
        return b""
    return blend.inverted(document.channel_mask(layer.get_mask(), crop, document.bounds_of(layer)))
