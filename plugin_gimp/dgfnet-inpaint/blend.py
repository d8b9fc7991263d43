"""Masks and blending on bytes, without numpy: GIMP's Python has none. Pure functions, no GIMP in them."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

from client.pixels import DEPTHS

CODES = {"u1": "B", "u2": "H", "f4": "f"}
FULL = {"u1": 255, "u2": 65535, "f4": 1.0}
_PAINTED = re.compile(rb"[^\0]+")


class Span(NamedTuple):
    """A run of pixels in one row: [start, end)."""

    row: int
    start: int
    end: int


def inverted(mask: bytes) -> bytes:
    """An 8- or 16-bit integer mask turned round: 0 becomes full, full becomes 0."""
    return _xor(mask, b"\xff" * len(mask))


def nonzero(mask: bytes, item_bytes: int) -> bytes:
    """One byte per item: 255 where any of its bytes is not 0, else 0."""
    table = b"\0" + b"\xff" * 255
    return reduce(_or, (mask[start::item_bytes].translate(table) for start in range(item_bytes)))


def whole(mask: bytes, item_bytes: int) -> bytes:
    """An integer mask with every value that is not 0 made full."""
    result, plane = bytearray(len(mask)), nonzero(mask, item_bytes)
    for start in range(item_bytes):
        result[start::item_bytes] = plane
    return bytes(result)


def painted(pixels: bytes, dtype: str, channels: int) -> bytes:
    """One byte per pixel: 255 where its alpha, the last channel, is not 0, else 0."""
    alpha = array(CODES[dtype], pixels)[channels - 1 :: channels]
    return nonzero(alpha.tobytes(), alpha.itemsize)


def changed(before: bytes, after: bytes, pixel_bytes: int) -> bytes:
    """One byte per pixel: 255 where the two differ, else 0."""
    return nonzero(_xor(before, after), pixel_bytes)


def covered(shape: bytes, cover: bytes) -> float:
    """The share of a shape that another one covers, 0 to 1; of an empty shape, all. One byte per pixel, 255 or 0."""
    size = shape.count(b"\xff")
    return _and(shape, cover).count(b"\xff") / size if size else 1.0


def hide(pixels: bytes, dtype: str, channels: int, excluded: bytes) -> bytes:
    """Make the pixels transparent where `excluded` (8 bit, one value each) is at least half; the last channel is alpha.

    What is transparent is unknown to the network: nothing of it is copied into the fill.
    """
    size = DEPTHS[dtype].item_bytes
    keep = excluded.translate(b"\xff" * 128 + b"\0" * 128)
    result = bytearray(pixels)
    step = channels * size
    for offset in range(step - size, step):
        result[offset::step] = _and(bytes(result[offset::step]), keep)
    return bytes(result)


def spans(painted: bytes, width: int) -> Iterator[Span]:
    """The runs of non-zero values in an 8-bit mask with rows of `width`, from top to bottom."""
    for row in range(len(painted) // width if width else 0):
        for found in _PAINTED.finditer(painted[row * width : (row + 1) * width]):
            yield Span(row, found.start(), found.end())


def over(below: bytes, fill: bytes, dtype: str, colours: int, below_has_alpha: bool) -> bytes:
    """The fill above other pixels as a normal layer: straight alpha, Porter and Duff's "over".

    `fill` has `colours` and alpha, `below` has the same colours and perhaps alpha; the result is as `below`, and equal
    to it wherever the fill's alpha is 0. Integers are rounded to the nearest.
    """
    result: array[Any] = array(CODES[dtype], below)
    top: array[Any] = array(CODES[dtype], fill)
    full = FULL[dtype]
    whole = dtype != "f4"
    step = colours + below_has_alpha
    for pixel, share in enumerate(top[colours :: colours + 1]):
        if not share:
            continue
        here, there = pixel * step, pixel * (colours + 1)
        opacity = result[here + colours] if below_has_alpha else full
        if share >= full or not opacity:
            result[here : here + colours] = top[there : there + colours]
            if below_has_alpha:
                result[here + colours] = share
            continue
        covered = share + opacity * (full - share) / full
        weight = share / covered
        for channel in range(colours):
            old, new = result[here + channel], top[there + channel]
            value = old + weight * (new - old)
            result[here + channel] = round(value) if whole else value
        if below_has_alpha:
            result[here + colours] = round(covered) if whole else covered
    return result.tobytes()


def _and(first: bytes, second: bytes) -> bytes:
    return (int.from_bytes(first, "little") & int.from_bytes(second, "little")).to_bytes(len(first), "little")


def _or(first: bytes, second: bytes) -> bytes:
    return (int.from_bytes(first, "little") | int.from_bytes(second, "little")).to_bytes(len(first), "little")


def _xor(first: bytes, second: bytes) -> bytes:
    return (int.from_bytes(first, "little") ^ int.from_bytes(second, "little")).to_bytes(len(first), "little")
