"""Rectangles in whole pixels: which part of a document is sent, and where the answer goes."""

from __future__ import annotations

import math
from typing import NamedTuple

CONTEXT_SIDE = 512  # a crop gets at least this many pixels each way where the picture has them
CONTEXT_MARGIN = 128  # and at least this much picture on each side of the selection
STRIDE_SHARE = 1 / 6  # of a hole's thickness: a stride of the network (16 px) where the hole is as deep as its reach


class Bounds(NamedTuple):
    """A rectangle: left and top edge (may be negative), width and height (0 or more)."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """One past the last column."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """One past the last row."""
        return self.y + self.height

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is inside."""
        return self.width <= 0 or self.height <= 0

    @property
    def area(self) -> int:
        """Pixels inside."""
        return 0 if self.is_empty else self.width * self.height

    @classmethod
    def between(cls, x: int, y: int, right: int, bottom: int) -> Bounds:
        """The rectangle with these edges; width or height 0 where they cross."""
        return cls(x, y, max(0, right - x), max(0, bottom - y))

    def pad(self, margin: int) -> Bounds:
        """Grown by `margin` pixels on every side."""
        return Bounds.between(self.x - margin, self.y - margin, self.right + margin, self.bottom + margin)

    def translate(self, dx: int, dy: int) -> Bounds:
        """Moved by (dx, dy)."""
        return Bounds(self.x + dx, self.y + dy, self.width, self.height)

    def relative_to(self, origin: Bounds) -> Bounds:
        """The same pixels, counted from the top left corner of `origin`."""
        return self.translate(-origin.x, -origin.y)

    def from_relative(self, origin: Bounds) -> Bounds:
        """Undo `relative_to`: pixels counted from `origin`'s corner, in the coordinates `origin` is in."""
        return self.translate(origin.x, origin.y)

    def intersection(self, other: Bounds) -> Bounds:
        """The common pixels (empty if there are none)."""
        return Bounds.between(
            max(self.x, other.x), max(self.y, other.y), min(self.right, other.right), min(self.bottom, other.bottom)
        )

    def union(self, other: Bounds) -> Bounds:
        """The smallest rectangle around both; an empty one counts for nothing."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        return Bounds.between(
            min(self.x, other.x), min(self.y, other.y), max(self.right, other.right), max(self.bottom, other.bottom)
        )

    def contains(self, other: Bounds) -> bool:
        """Whether every pixel of `other` is inside."""
        return other.is_empty or self.intersection(other) == other

    def grow_to(self, side: int, within: Bounds) -> Bounds:
        """Grown to at least `side` pixels each way, evenly, shifted at the edges of `within` and cut to it."""
        x, width = _grow_span(self.x, self.width, side, within.x, within.width)
        y, height = _grow_span(self.y, self.height, side, within.y, within.height)
        return Bounds(x, y, width, height)


def _grow_span(start: int, length: int, wanted: int, low: int, available: int) -> tuple[int, int]:
    size = min(max(length, wanted), available)
    start -= (size - length) // 2
    return min(max(start, low), low + available - size), size


def request_bounds(selection: Bounds, picture: Bounds, context: float = 1.0) -> Bounds:
    """The part of `picture` to send so that `selection` can be filled.

    It holds all that the server would look at if it had the whole picture, so that the fill is the same. The server's
    margin is `context` times the hole's thickness, which is at most the selection's longer side, or twice that where
    the picture's edge leaves the hole known from one side only; its crops grow a little, to whole strides of the
    network. The margin is at least CONTEXT_MARGIN and the crop at least CONTEXT_SIDE each way; it is cut to the
    picture. Both arguments and the result are in the same coordinates; the result is empty when nothing selected lies
    in the picture. A hole that the server will grow is widened first: `selection.pad(...)`. Feathering goes inward.
    """
    hole = selection.intersection(picture)
    if hole.is_empty:
        return Bounds(picture.x, picture.y, 0, 0)
    thickness = max(hole.width, hole.height)
    if hole.pad(1).intersection(picture) != hole.pad(1):
        thickness *= 2
    margin = max(CONTEXT_MARGIN, math.ceil(context * thickness)) + math.ceil(STRIDE_SHARE * thickness)
    return hole.pad(margin).intersection(picture).grow_to(CONTEXT_SIDE, picture)
