"""Pixels as bytes, without numpy: byte order, channels, crops, masks, the encoding of texture layers.

Every function takes rows without padding, channels interleaved, and returns new bytes; nothing is changed in place.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Sequence

from .geometry import Bounds
from .zmtp import Buffer


class Depth(NamedTuple):
    """How one channel value is stored: wire name, bytes, the value of white or opaque, that value's bytes."""

    dtype: str
    item_bytes: int
    full: float
    full_bytes: bytes
    grain_merge_offset: float  # the texture layer's value that changes nothing, proven exact in GIMP and Krita


DEPTHS = {
    "u1": Depth("u1", 1, 255, b"\xff", 127),
    "u2": Depth("u2", 2, 65535, b"\xff\xff", 32767),
    "f2": Depth("f2", 2, 1.0, struct.pack("<e", 1.0), 0.5),
    "f4": Depth("f4", 4, 1.0, struct.pack("<f", 1.0), 0.5),
}
OPAQUE = -1  # in `rearrange`: a channel of full values
_RECIPES = {
    ("BGRA", "RGBA"): (2, 1, 0, 3),
    ("RGBA", "BGRA"): (2, 1, 0, 3),
    ("BGR", "RGB"): (2, 1, 0),
    ("RGB", "BGR"): (2, 1, 0),
}


def rearrange(data: Buffer, dtype: str, channels: int, picks: Sequence[int]) -> bytearray:
    """Pixels whose channel i is the old channel `picks[i]`, or full where that is OPAQUE.

    (2, 1, 0, 3) turns BGRA into RGBA, (0, 1, 2) strips alpha, (0, 1, 2, OPAQUE) adds it, (0, 0, 0, 1) turns grey and
    alpha into RGBA. Raises ValueError where `data` is not whole pixels.
    """
    depth = DEPTHS[dtype]
    source = memoryview(data).cast("B")
    if source.nbytes % (depth.item_bytes * channels):
        raise ValueError(f"{source.nbytes} bytes are not whole pixels of {channels} channels in {dtype}")
    pixels = source.nbytes // (depth.item_bytes * channels)
    result = bytearray(pixels * depth.item_bytes * len(picks))
    if not pixels:
        return result
    if depth.item_bytes == 1:  # bytearray copies strides faster than memoryview
        plain = data if isinstance(data, (bytes, bytearray)) else bytes(source)
        for place, pick in enumerate(picks):
            result[place :: len(picks)] = b"\xff" * pixels if pick == OPAQUE else plain[pick::channels]
        return result
    items, target = _items(source, depth), _items(memoryview(result), depth)
    full = _items(memoryview(depth.full_bytes * pixels), depth) if OPAQUE in picks else items
    for place, pick in enumerate(picks):
        target[place :: len(picks)] = full if pick == OPAQUE else items[pick::channels]
    return result


def _items(view: memoryview, depth: Depth) -> memoryview:
    # Values are moved, never read: half floats travel as whole numbers of their size.
    return view.cast("H") if depth.item_bytes == 2 else view.cast("I")


def reorder(data: Buffer, dtype: str, source: str, target: str) -> Buffer:
    """Change the byte order between ``BGRA``/``BGR`` (Krita's integer depths) and ``RGBA``/``RGB`` (the wire)."""
    if source == target:
        return data
    return rearrange(data, dtype, len(source), _RECIPES[source, target])


def crop(data: Buffer, pixel_bytes: int, bounds: Bounds, part: Bounds) -> bytes:
    """The pixels of `part` out of a picture that covers `bounds`. Raises ValueError where `part` is not inside."""
    view = memoryview(data).cast("B")
    if view.nbytes != bounds.area * pixel_bytes or not bounds.contains(part):
        raise ValueError(f"{part} is not inside {bounds}, or the picture has not {bounds.area} pixels")
    inner, stride = part.relative_to(bounds), bounds.width * pixel_bytes
    start, length = inner.x * pixel_bytes, inner.width * pixel_bytes
    rows = range(inner.y, inner.bottom)
    return b"".join(view[row * stride + start : row * stride + start + length] for row in rows)


def mask_bounds(mask: Buffer, bounds: Bounds) -> Bounds:
    """The smallest rectangle around the non-zero values of an 8-bit mask that covers `bounds`; empty if all are 0.

    An editor's own bounds of a selection may be much larger (Krita rounds them up to tiles).
    """
    data = mask if isinstance(mask, (bytes, bytearray)) else bytes(mask)
    if len(data) != bounds.area:
        raise ValueError(f"a mask of {len(data)} values does not cover {bounds}")
    first, end = len(data) - len(data.lstrip(b"\0")), len(data.rstrip(b"\0"))
    if first >= end:
        return Bounds(bounds.x, bounds.y, 0, 0)
    width = bounds.width
    top, bottom = first // width, (end - 1) // width + 1
    left, right = width, 0
    for row in range(top, bottom):
        values = data[row * width : (row + 1) * width]
        right = max(right, len(values.rstrip(b"\0")))
        if right:
            left = min(left, width - len(values.lstrip(b"\0")))
    return Bounds.between(left, top, right, bottom).from_relative(bounds)


def is_blank(mask: Buffer) -> bool:
    """Whether every value of an 8-bit mask is 0."""
    return not bytes(mask).strip(b"\0")
