"""Finding the holes of a mask: labels, boxes and depths, in blocks of pixels so that no picture-sized array is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from dgfnet.errors import PictureError

MAP_SIDE = 2048  # blocks along the longer side of the hole map, at most
_STRIPE = 256  # rows looked at in one go


class Box(NamedTuple):
    """A rectangle of pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row beyond."""
        return self.y + self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def grown(self, left: int, top: int | None = None, right: int | None = None, bottom: int | None = None) -> Box:
        """Wider by so many pixels at each side; by `left` where a side is not given."""
        top, right, bottom = (left if side is None else side for side in (top, right, bottom))
        return Box(self.x - left, self.y - top, self.width + left + right, self.height + top + bottom)

    def within(self, other: Box) -> Box:
        """The common part; of no size where there is none."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        return Box(x, y, max(min(self.right, other.right) - x, 0), max(min(self.bottom, other.bottom) - y, 0))

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Box(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def moved(self, dx: int, dy: int) -> Box:
        """The same size elsewhere."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def relative_to(self, other: Box) -> Box:
        """The same box in the coordinates of `other`."""
        return self.moved(-other.x, -other.y)


def depth_in(pixels: np.ndarray) -> np.ndarray:
    """Distance of each pixel (bool [H, W]) from the nearest one that is False, float32; the same for equal pixels."""
    depth = np.zeros(pixels.shape, np.float32)
    if pixels.any():
        here = around(pixels).grown(1).within(Box(0, 0, pixels.shape[1], pixels.shape[0])).slices
        depth[here] = distance_transform_edt(pixels[here])  # OpenCV's differs in its last bit from call to call
    return depth


def around(pixels: np.ndarray) -> Box:
    """The smallest box that holds every True of [H, W]; there must be one."""
    columns, rows = np.flatnonzero(pixels.any(axis=0)), np.flatnonzero(pixels.any(axis=1))
    return Box(int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


@dataclass(frozen=True)
class Hole:
    """Connected or neighbouring hole pixels that are filled together: bounding box and depth in pixels."""

    labels: frozenset[int]
    box: Box
    depth: float


@dataclass(frozen=True)
class HoleMap:
    """Labelled holes: `labels` [rows, columns], 0 = none, one entry per `block` x `block` pixels, from (x, y) on."""

    x: int
    y: int
    block: int
    labels: np.ndarray

    def own(self, hole: Hole, box: Box) -> np.ndarray:
        """Bool [height, width]: True at the pixels of `box` in the blocks of `hole`."""
        rows, columns = self.labels.shape
        row = (np.arange(box.y, box.bottom) - self.y) // self.block
        column = (np.arange(box.x, box.right) - self.x) // self.block
        inside = ((row >= 0) & (row < rows))[:, None] & ((column >= 0) & (column < columns))[None]
        labels = self.labels[np.clip(row, 0, rows - 1)[:, None], np.clip(column, 0, columns - 1)[None]]
        wanted = np.zeros(int(self.labels.max()) + 1, bool)
        wanted[list(hole.labels)] = True
        return wanted[labels] & inside


def find_holes(mask: np.ndarray, grow: int = 0) -> tuple[HoleMap, list[Hole]]:
    """Holes of a mask, touching ones (8-neighbours, or in touching blocks of the map) joined.

    Args:
        mask: [H, W], > 0 is hole.
        grow: pixels by which the holes will be grown.

    Raises:
        PictureError: `empty_mask`, `full_mask` (before it is grown), or `not_finite`.
    """
    bounds = _bounds(mask)
    picture = Box(0, 0, mask.shape[1], mask.shape[0])
    bounds = bounds.grown(grow).within(picture)
    block = math.ceil(max(bounds.width, bounds.height) / MAP_SIDE)
    occupied = _blocks(mask, bounds, block)
    if grow:
        slack = math.sqrt(2) * (block - 1)  # pixels of two blocks can be nearer to each other than the blocks by this
        occupied = (depth_in(occupied == 0) * block <= grow + slack).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(occupied, connectivity=8)
    distance = _distance_from_known(occupied, bounds, picture) * block
    depths = np.zeros(count, np.float32)
    np.maximum.at(depths, labels[labels > 0].astype(np.intp), distance[labels > 0])
    holes = []
    for label, (x, y, width, height, _) in enumerate(stats.tolist()[1:], 1):
        box = Box(bounds.x + x * block, bounds.y + y * block, width * block, height * block).within(bounds)
        holes.append(Hole(frozenset({label}), box, float(depths[label])))
    return HoleMap(bounds.x, bounds.y, block, labels), holes


def _bounds(mask: np.ndarray) -> Box:
    height, width = mask.shape
    columns = np.zeros(width, bool)
    rows = np.zeros(height, bool)
    full = True
    for top in range(0, height, _STRIPE):
        stripe = mask[top : top + _STRIPE]
        if stripe.dtype.kind == "f" and not np.isfinite(stripe).all():
            raise PictureError("not_finite", "The mask holds NaN or infinity.", "Save it as 8 or 16 bit.")
        hole = stripe > 0
        columns |= hole.any(axis=0)
        rows[top : top + _STRIPE] = hole.any(axis=1)
        full = full and bool(hole.all())
    if not rows.any():
        raise PictureError("empty_mask", "Nothing is selected.", "Select the region to fill (white in a mask).")
    if full:
        raise PictureError("full_mask", "Everything is selected.", "Leave some of the picture to fill it from.")
    x, y = int(columns.argmax()), int(rows.argmax())
    return Box(x, y, width - int(columns[::-1].argmax()) - x, height - int(rows[::-1].argmax()) - y)


def _blocks(mask: np.ndarray, bounds: Box, block: int) -> np.ndarray:
    """uint8 [rows, columns]: 1 where a block of `bounds` holds a hole pixel."""
    mask = mask[bounds.slices]
    if block == 1:
        return (mask > 0).astype(np.uint8)
    starts = np.arange(0, bounds.width, block)
    rows = []
    step = block * max(_STRIPE // block, 1)
    for top in range(0, bounds.height, step):
        hole = mask[top : top + step] > 0
        rows.append(np.logical_or.reduceat(np.logical_or.reduceat(hole, starts, 1), np.arange(0, len(hole), block), 0))
    return np.concatenate(rows).astype(np.uint8)


def _distance_from_known(occupied: np.ndarray, bounds: Box, picture: Box) -> np.ndarray:
    """Distance of each block from the nearest known one; beyond the bounds all is known, beyond the picture nothing."""
    top, left = int(bounds.y > picture.y), int(bounds.x > picture.x)
    bottom, right = int(bounds.bottom < picture.bottom), int(bounds.right < picture.right)
    padded = np.pad(occupied, ((top, bottom), (left, right)))
    if padded.all():  # what is known lies within blocks, whose pixels the fill itself looks at
        return np.full(occupied.shape, max(occupied.shape), np.float32)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)
    return distance[top : len(distance) - bottom, left : distance.shape[1] - right]
