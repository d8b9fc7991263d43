"""Which parts of a picture the network looks at: one crop per hole, at a scale that the network can fill.

A hole is measured by its depth, the greatest distance of one of its pixels from a known one: the network cannot fill
deeper than its reach, so deeper holes go down in scale. A long but thin hole (a cable, a scratch) keeps its scale and
is cut into several crops that fade into each other. Near holes share a crop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dgfnet.filling.holes import Box, Hole, HoleMap, around
from dgfnet.network.coarse import STRIDE

MIN_MARGIN = 64  # native pixels of context on each side at least, or an eighth of the longest crop
REACH_MARGIN = 4  # network pixels that a hole stays below the network's reach
MAX_SHRINK = 1.5  # a hole is shrunk further than its depth asks by this at most, to fit one crop; then it is cut
_HOLES_PER_REPORT = 256


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


def plan(
    hole_map: HoleMap,
    holes: list[Hole],
    picture: Box,
    context: float,
    reach: float,
    max_side: int,
    report: Callable[[], None] = lambda: None,
) -> list[Crop]:
    """The network's runs that fill all holes.

    Args:
        hole_map: from `find_holes`, as the next.
        holes: in any order.
        picture: the whole picture's box.
        context: margin around a hole as a multiple of its thickness (twice its depth), as far as one crop holds it.
        reach: how deep the network fills, in network pixels.
        max_side: longest side of a crop, in network pixels.
        report: called now and then; what it raises ends the work.
    """
    scales = _Scales(picture, context, reach, max_side)
    crops: list[Crop] = []
    for look in _merged(holes, scales, report):
        crops += _crops_of(look, hole_map, scales)
    return crops


class _Look(NamedTuple):
    """A hole and how it would be looked at by itself.

    Attributes:
        margin: pixels of context on each side.
        scale: network pixels per picture pixel.
        cost: network pixels of its crops; of several, as if the hole filled its box.
        is_cut: whether it takes several crops.
    """

    hole: Hole
    margin: int
    scale: float
    cost: float
    is_cut: bool


@dataclass(frozen=True)
class _Scales:
    """Margins and scales that the settings ask for."""

    picture: Box
    context: float
    reach: float
    max_side: int

    def look(self, hole: Hole) -> _Look:
        """One crop with the margin that is asked for, or as much of it as a crop holds.

        A hole is cut where one crop, shrunk as far as is allowed, does not even hold the margin of context 1. That does
        not depend on the context: more of it must not lead to several crops, which see less.
        """
        scale = min(1.0, max(self.reach - REACH_MARGIN, 1) / hole.depth)
        margin, usual = (
            max(math.ceil(context * 2 * hole.depth), min(MIN_MARGIN, self.max_side // 8))
            for context in (self.context, 1)
        )
        room = self._room(hole.box, MAX_SHRINK * self.max_side / scale)
        is_cut = usual > room
        if is_cut:
            window = self.max_side / scale
            margin = min(margin, int(window / 4))
            boxes = [core.grown(margin).within(self.picture) for core, _ in _parts(hole.box, window, margin)]
        else:
            margin = math.floor(min(margin, room))
            boxes = [hole.box.grown(margin).within(self.picture)]
            scale = min(scale, self.max_side / max(boxes[0].width, boxes[0].height))
        return _Look(hole, margin, scale, sum(box.width * box.height for box in boxes) * scale**2, is_cut)

    def _room(self, box: Box, longest: float) -> float:
        """The largest margin around a box with which what is in the picture is no longer than `longest`."""
        margin = math.inf
        for start, length, whole in ((box.x, box.width, self.picture.width), (box.y, box.height, self.picture.height)):
            if whole > longest:
                spare = longest - length
                margin = min(margin, max(spare / 2, spare - min(start, whole - length - start)))
        return margin


def _merged(holes: list[Hole], scales: _Scales, report: Callable[[], None]) -> list[_Look]:
    """Join holes that together cost no more than apart, and are seen as finely, with as much margin, as either alone.

    Greedy in reading order; a hole's candidate is the one that makes the smallest union with it, of those whose rows,
    with their margins, meet its own: with any other one crop costs more than two. Holes that are cut, such as parallel
    cables, join each other only.
    """
    left = [scales.look(hole) for hole in sorted(holes, key=lambda hole: (hole.box.y, hole.box.x))]
    x, y, right, bottom = np.array([(*h.box[:2], h.box.right, h.box.bottom) for h, *_ in left], np.int64).T.copy()
    margin = max(look.margin for look in left)
    is_cut = np.array([look.is_cut for look in left])
    alive = np.ones(len(left), bool)
    done = []
    for first, look in enumerate(left):
        if first % _HOLES_PER_REPORT == _HOLES_PER_REPORT - 1:
            report()
        if not alive[first]:
            continue
        alive[first] = False
        while True:
            box = look.hole.box
            near = slice(first, _first_below(y, box.bottom + 2 * margin))
            candidates = alive[near] & (is_cut[near] == look.is_cut)
            if not candidates.any():
                break
            width = np.maximum(right[near], box.right) - np.minimum(x[near], box.x)
            height = np.maximum(bottom[near], box.bottom) - np.minimum(y[near], box.y)
            partner = first + int(np.argmin(np.where(candidates, width * height, np.iinfo(np.int64).max)))
            both = scales.look(_joined(look.hole, left[partner].hole))
            if not _worth_joining(both, look, left[partner]):
                break
            alive[partner] = False
            look = both
        done.append(look)
    return done


def _joined(a: Hole, b: Hole) -> Hole:
    return Hole(a.labels | b.labels, a.box.union(b.box), max(a.depth, b.depth))


def _first_below(tops: np.ndarray, row: int) -> int:
    """Index of the first box that begins below a row; boxes are sorted by where they begin."""
    return int(np.searchsorted(tops, row, "right"))


def _worth_joining(both: _Look, a: _Look, b: _Look) -> bool:
    if not both.is_cut == a.is_cut == b.is_cut:
        return False
    sees_no_less = both.margin >= max(a.margin, b.margin) and both.scale >= 0.999 * max(a.scale, b.scale)
    return sees_no_less and both.cost <= a.cost + b.cost


def _crops_of(look: _Look, hole_map: HoleMap, scales: _Scales) -> list[Crop]:
    hole, margin, scale = look.hole, look.margin, look.scale
    if not look.is_cut:
        box = hole.box.grown(margin).within(scales.picture)
        return [Crop(hole.box, Fade(), _widened_box(box, scale, scales), hole, scale)]
    window = scales.max_side / scale
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
