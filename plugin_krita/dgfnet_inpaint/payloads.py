"""Bytes between Krita and the wire: called in the line's thread, and never touching Krita.

Long data is worked on stripe by stripe here too: Python lets the window's thread in only between two operations.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any, Iterable, Mapping, Sequence

from . import colour
from .client import events as ev
from .client import pixels
from .client.errors import InpaintError
from .client.geometry import Bounds
from .client.wire import Array
from .client.zmtp import Buffer
from .colour import CHANNELS, Space
from .document import LEAVE_OUT
from .layers import MadeLayer
from .reading import Sheet

SELECT = "Select the region, then run Inpaint."  # the remedy where a recorded region cannot be filled


def joined(stripes: Iterable[Buffer]) -> bytearray:
    """Stripes as one run of bytes."""
    whole = bytearray()
    for stripe in stripes:
        whole += stripe
    return whole


def lay_on(picture: bytearray, width: int, fill: Buffer, where: Bounds, space: Space, opacity: float) -> None:
    """Lay pixels of a working space, at `where` of a picture of `width` columns, on that picture: in place."""
    length = where.width * space.pixel_bytes
    for row in range(where.height):
        start = ((where.y + row) * width + where.x) * space.pixel_bytes
        under, above = picture[start : start + length], fill[row * length : (row + 1) * length]
        picture[start : start + length] = colour.over(under, above, space, opacity)


def image(picture: Buffer, space: Space, bounds: Bounds) -> Array:
    """Pixels over `bounds`, in Krita's order for a working space, as the wire's picture."""
    data = joined(colour.to_wire(stripe, space) for _band, stripe in colour.stripes(picture, bounds, space))
    return Array("image", space.dtype, (bounds.height, bounds.width, CHANNELS[space.model]), data)


def made_layer(layer: ev.Layer, space: Space, origin: Bounds) -> MadeLayer:
    """A layer of the server's on the canvas; `origin`: the bounds of the picture that was sent."""
    if layer.dtype != space.dtype or layer.channels != CHANNELS[space.model]:
        raise InpaintError("bad_array", "The server's layer has another depth than the picture.", "Please report this.")
    bounds = layer.bounds.from_relative(origin)
    stripes = colour.stripes(layer.pixels, bounds, space)
    data = joined(colour.from_wire(stripe, space) for _band, stripe in stripes)
    return MadeLayer(layer.name, bounds, layer.blend, layer.opacity, space, data)


def without(picture: Buffer, space: Space, bounds: Bounds, left_out: Buffer) -> bytearray:
    """A picture that is transparent, which is to say unknown, where a mask is not 0."""
    parts = colour.stripes(picture, bounds, space)
    return joined(colour.hide(part, space, mask) for (_, part), mask in zip(parts, _bands_of(left_out, bounds)))


def mask_of(sheets: Sequence[Sheet], bounds: Bounds) -> bytes:
    """What is marked on any of the sheets, one byte for each pixel of `bounds`."""
    mask = bytes(bounds.area)
    for sheet in sheets:
        mask = colour.either(mask, mask_over(bounds, joined(sheet.stripes), sheet.bounds))
    return mask


def shows_around(picture: Buffer, space: Space, bounds: Bounds, hole: Buffer) -> bool:
    """Whether anything is shown outside of a hole, or at all where the hole is everywhere."""
    parts = [colour.shown(part, space) for _, part in colour.stripes(picture, bounds, space)]
    outside = [mask.translate(b"\xff" + b"\0" * 255) for mask in _bands_of(hole, bounds)]
    if not any(map(any, outside)):
        return any(map(any, parts))
    return any(any(colour.both(part, mask)) for part, mask in zip(parts, outside))


def require_shown(picture: Buffer, space: Space, bounds: Bounds, hole: Buffer, name: str, where: str) -> None:
    """Raise where `shows_around` says no. `name` and `where`: what is empty and where, for the message."""
    if not shows_around(picture, space, bounds, hole):
        raise InpaintError(
            "empty_layer", f"{name} is empty {where}.", "Choose another layer, or the visible picture as the source."
        )


def known(
    picture: Buffer, space: Space, bounds: Bounds, mask: bytes, left_out: Sequence[Sheet], name: str
) -> tuple[Buffer, bool]:
    """The picture to fill from, and whether a part of it is left out. `name`: what is filled, for messages."""
    require_shown(picture, space, bounds, mask, name, "around the region to fill")
    hidden = mask_of(left_out, bounds)
    if pixels.is_blank(hidden):
        return picture, False
    picture = without(picture, space, bounds, hidden)
    if not shows_around(picture, space, bounds, mask):
        raise InpaintError(
            "left_out",
            "Everything around the hole is left out.",
            f"Hide or erase part of the layer “{LEAVE_OUT}”.",
        )
    return picture, True


def red(stripes: Sequence[Buffer]) -> bytearray:
    """8-bit pixels in Krita's order, red as far as a mask says."""
    return joined(map(_red, stripes))


def _red(mask: Buffer) -> bytearray:
    data = bytearray(b"\0\0\xff\0" * len(mask))
    data[3::4] = mask
    return data


def _bands_of(mask: Buffer, bounds: Bounds) -> list[bytes]:
    """A mask over `bounds` in the parts that lie in each of its bands."""
    view, top = memoryview(mask), bounds.y
    return [bytes(view[(band.y - top) * band.width :][: band.area]) for band in colour.bands(bounds)]


def holes(stripes: Sequence[Buffer]) -> bytearray:
    """A mask of everything that is not fully opaque, from stripes of 8-bit alpha: 255 to fill, 0 to keep."""
    return joined(colour.holes(stripe) for stripe in stripes)


def mask_over(bounds: Bounds, mask: Buffer, covered: Bounds) -> bytes:
    """A mask that covers `covered`, over `bounds`: 0 where it was not read."""
    common = bounds.intersection(covered)
    part = pixels.crop(mask, 1, covered, common)
    left, right = bytes(common.x - bounds.x), bytes(bounds.right - common.right)
    rows = (part[start : start + common.width] for start in range(0, len(part), common.width))
    above, below = common.y - bounds.y, bounds.bottom - common.bottom
    return bytes(bounds.width * above) + b"".join(left + row + right for row in rows) + bytes(bounds.width * below)


def packed(bounds: Bounds, mask: Buffer) -> dict[str, Any]:
    """A mask for the record of a layer."""
    return {"bounds": list(bounds), "mask": base64.b64encode(zlib.compress(mask, 6)).decode()}


def unpacked(record: Mapping[str, Any], canvas: Bounds, way: tuple[int, int]) -> tuple[Bounds, bytes]:
    """Bounds and mask out of a record, moved by `way` and as far as they lie on the canvas; bounds empty: no hole."""
    try:
        hole = record["hole"]
        bounds = Bounds(*hole["bounds"]).translate(*way)
        mask = zlib.decompress(base64.b64decode(hole["mask"]))
        common = bounds.intersection(canvas)
        mask = pixels.crop(mask, 1, bounds, common)
        return common._replace(width=0) if pixels.is_blank(mask) else common, mask
    except (KeyError, TypeError, ValueError, zlib.error):
        raise InpaintError("no_record", "What is remembered about this layer is damaged.", SELECT) from None
