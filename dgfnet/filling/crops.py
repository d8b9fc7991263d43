"""Which parts of a picture the network looks at: one crop per hole, at a scale that the network can fill.

A hole is measured by its depth, the greatest distance of one of its pixels from a known one: the network cannot fill
deeper than its reach, so deeper holes go down in scale. A long but thin hole (a cable, a scratch) keeps its scale and
is cut into several crops that fade into each other. Near holes share a crop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dgfnet.filling.holes import Box, Hole, HoleMap, around

STRIDE = 16  # the network's sides are multiples of this
MIN_MARGIN = 64  # native pixels of context on each side at least, or an eighth of the longest crop
REACH_MARGIN = 4  # network pixels that a hole stays below the network's reach
MAX_SHRINK = 1.5  # a hole is shrunk further than its depth asks by this at most, to fit one crop; then it is cut


class Fade(NamedTuple):
    """Half widths, in pixels, of the cross-fades at a crop's sides; 0 where no other crop follows."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


@dataclass(frozen=True)
class Window:
    """A part of a region that is worked through in parts.

    Attributes:
        core: the pixels that it fills; `fade` reaches beyond them into the neighbouring windows.
        box: the pixels that it looks at.
    """

    core: Box
    fade: Fade
    box: Box

    @property
    def target(self) -> Box:
        """The pixels that it contributes to."""
        return self.core.grown(*self.fade).within(self.box)

    def share(self) -> np.ndarray:
        """Weight of this window at the pixels of `target`, float32 [height, width]; those of a region sum to 1."""
        target = self.target
        x = np.arange(target.x, target.right, dtype=np.float32) + 0.5
        y = np.arange(target.y, target.bottom, dtype=np.float32) + 0.5
        across = _ramp(x - self.core.x, self.fade.left) * _ramp(self.core.right - x, self.fade.right)
        down = _ramp(y - self.core.y, self.fade.top) * _ramp(self.core.bottom - y, self.fade.bottom)
        return down[:, None] * across[None]


def _ramp(inside: np.ndarray, half_width: int) -> np.ndarray:
    """0 to 1 over `half_width` pixels on both sides of a border; `inside` is the distance from it, inwards positive."""
    if half_width == 0:
        return np.ones_like(inside)
    return np.clip(0.5 + inside / (2 * half_width), 0, 1)


@dataclass(frozen=True)
class Crop(Window):
    """One run of the whole network: a window onto the picture.

    Attributes:
        hole: the hole that it fills, or a part of it.
        scale: network pixels per picture pixel.
    """

    hole: Hole
    scale: float


def plan(hole_map: HoleMap, holes: list[Hole], picture: Box, context: float, reach: float, max_side: int) -> list[Crop]:
    """The network's runs that fill all holes.

    Args:
        hole_map: from `find_holes`, as the next.
        holes: in any order.
        picture: the whole picture's box.
        context: margin around a hole as a multiple of its thickness (twice its depth).
        reach: how deep the network fills, in network pixels.
        max_side: longest side of a crop, in network pixels.
    """
    scales = _Scales(picture, context, reach, max_side)
    crops: list[Crop] = []
    for hole in _merged(holes, scales):
        crops += _crops_of(hole, hole_map, scales)
    return crops


@dataclass(frozen=True)
class _Scales:
    """Margins and scales that the settings ask for."""

    picture: Box
    context: float
    reach: float
    max_side: int

    def margin(self, hole: Hole) -> int:
        return max(math.ceil(self.context * 2 * hole.depth), min(MIN_MARGIN, self.max_side // 8))

    def box(self, hole: Hole) -> Box:
        return hole.box.grown(self.margin(hole)).within(self.picture)

    def by_depth(self, hole: Hole) -> float:
        return min(1.0, max(self.reach - REACH_MARGIN, 1) / hole.depth)

    def by_size(self, hole: Hole) -> float:
        box = self.box(hole)
        return min(1.0, self.max_side / max(box.width, box.height))

    def one_crop(self, hole: Hole) -> float | None:
        """Scale of a single crop, or None where it would have to be much smaller than the depth asks."""
        scale = min(self.by_depth(hole), self.by_size(hole))
        return scale if scale * MAX_SHRINK >= self.by_depth(hole) else None

    def cost(self, hole: Hole) -> float:
        """Network pixels of one crop; infinite where it takes several."""
        scale, box = self.one_crop(hole), self.box(hole)
        return math.inf if scale is None else box.width * box.height * scale**2


def _merged(holes: list[Hole], scales: _Scales) -> list[Hole]:
    """Join holes for which one crop costs no more than two and is not coarser than either's own.

    Greedy in reading order; a hole's candidate is the one that makes the smallest union with it, of those whose rows,
    with their margins, meet its own: with any other one crop costs more than two.
    """
    left = sorted(holes, key=lambda hole: (hole.box.y, hole.box.x))
    boxes = np.array([hole.box for hole in left], np.int64)
    margin = max(map(scales.margin, left))
    alive = np.ones(len(left), bool)
    done = []
    for first, hole in enumerate(left):
        if not alive[first]:
            continue
        alive[first] = False
        while True:
            end = _first_below(boxes, hole.box.bottom + 2 * margin)
            if not alive[first:end].any():
                break
            partner = first + _smallest_union(hole.box, boxes[first:end], alive[first:end])
            if not _worth_joining(hole, left[partner], scales):
                break
            alive[partner] = False
            hole = _joined(hole, left[partner])
        done.append(hole)
    return done


def _joined(a: Hole, b: Hole) -> Hole:
    return Hole(a.labels | b.labels, a.box.union(b.box), max(a.depth, b.depth))


def _first_below(boxes: np.ndarray, row: int) -> int:
    """Index of the first box that begins below a row; boxes are sorted by where they begin."""
    return int(np.searchsorted(boxes[:, 1], row, "right"))


def _smallest_union(box: Box, boxes: np.ndarray, alive: np.ndarray) -> int:
    width = np.maximum(boxes[:, 0] + boxes[:, 2], box.right) - np.minimum(boxes[:, 0], box.x)
    height = np.maximum(boxes[:, 1] + boxes[:, 3], box.bottom) - np.minimum(boxes[:, 1], box.y)
    return int(np.argmin(np.where(alive, width * height, np.iinfo(np.int64).max)))


def _worth_joining(a: Hole, b: Hole, scales: _Scales) -> bool:
    both = _joined(a, b)
    together, first, second = (scales.one_crop(hole) for hole in (both, a, b))
    if together is None or first is None or second is None:
        return False
    return together >= 0.999 * max(first, second) and scales.cost(both) <= scales.cost(a) + scales.cost(b)


def _crops_of(hole: Hole, hole_map: HoleMap, scales: _Scales) -> list[Crop]:
    scale = scales.one_crop(hole)
    if scale is not None:
        return [Crop(hole.box, Fade(), _widened_box(scales.box(hole), scale, scales), hole, scale)]
    scale = scales.by_depth(hole)
    window = scales.max_side / scale
    margin = min(scales.margin(hole), int(window / 4))
    crops = []
    for core, fade in _parts(hole.box, window, margin):
        reached = core.grown(*fade)
        pixels = hole_map.own(hole, reached)
        if pixels.any():  # only as large as its part of the hole, which may be a line through a corner
            box = around(pixels).moved(reached.x, reached.y).grown(margin).within(core.grown(margin))
            box = _widened_box(box.within(scales.picture), scale, scales)
            crops.append(Crop(core, fade, box, hole, scale))
    return crops


def windows(hole: np.ndarray, longest: int, margin: int) -> list[Window]:
    """Windows of up to `longest` px onto an array, which together fill the hole (bool [H, W]) in it.

    Each looks `margin` px beyond its part of the hole, where the array has room, and has sides that are multiples of
    the network's stride where it has room for that too.
    """
    whole = Box(0, 0, hole.shape[1], hole.shape[0])
    found: list[Window] = []
    if not hole.any():
        return found
    for core, fade in _parts(around(hole), longest, margin):
        reached = core.grown(*fade).within(whole)
        pixels = hole[reached.slices]
        if pixels.any():
            box = around(pixels).moved(reached.x, reached.y).grown(margin).within(core.grown(margin)).within(whole)
            x, width = _widened(box.x, box.width, whole.width, 1.0)
            y, height = _widened(box.y, box.height, whole.height, 1.0)
            found.append(Window(core, fade, Box(x, y, width, height)))
    return found


def _parts(box: Box, longest: float, margin: int) -> Iterator[tuple[Box, Fade]]:
    """Equal parts of a box, none longer than `longest` with its margins, that fade into each other over a margin."""
    xs = _cuts(box.x, box.width, longest - 2 * margin)
    ys = _cuts(box.y, box.height, longest - 2 * margin)
    half = margin // 2
    for row, (top, bottom) in enumerate(pairwise(ys)):
        for column, (left, right) in enumerate(pairwise(xs)):
            sides = (column > 0, row > 0, column < len(xs) - 2, row < len(ys) - 2)
            yield Box(left, top, right - left, bottom - top), Fade(*(half * side for side in sides))


def _cuts(start: int, length: int, longest: float) -> list[int]:
    """Borders of equal parts, none longer than `longest`."""
    parts = math.ceil(length / longest)
    return [start + round(length * i / parts) for i in range(parts + 1)]


def _widened_box(box: Box, scale: float, scales: _Scales) -> Box:
    """Grow a crop, where the picture has room, until its sides are multiples of the stride at network scale."""
    x, width = _widened(box.x, box.width, scales.picture.width, scale)
    y, height = _widened(box.y, box.height, scales.picture.height, scale)
    return Box(x, y, width, height)


def _widened(start: int, length: int, room: int, scale: float) -> tuple[int, int]:
    wanted = min(math.floor(network_length(length * scale) / scale + 1e-6), room)
    start = min(max(start - (wanted - length) // 2, 0), room - wanted)
    return start, wanted


def network_length(length: float) -> int:
    """The next multiple of the network's stride; lengths a hair above one do not count as more."""
    return max(math.ceil(length / STRIDE - 1e-6), 1) * STRIDE
