"""A filler that only copies, coarse to fine: the idea behind the editors' own fillers, the rival to beat on looks."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from dgfnet.patches import (
    FEWEST_SOURCES,
    PATCH,
    SMALLEST,
    Level,
    as_field,
    enlarged,
    level,
    patches_at,
    random_sources,
    search,
    vote,
)

_ROUNDS = (10, 2)  # rounds of search and vote at the coarsest and at the finest level


def patchmatch(picture: np.ndarray, hole: np.ndarray, seed: int = 0) -> np.ndarray:
    """Fill a hole from known patches of the same picture.

    Args:
        picture: uint8 [H, W, 3]; nothing under the hole is read.
        hole: bool [H, W].
        seed: of the random search; equal seeds give equal fills.

    Returns:
        uint8 [H, W, 3]. Where no patch of 7 x 7 px is wholly known, the colours of the nearest known pixels.
    """
    if not hole.any() or hole.all():
        return picture.copy()
    levels = _pyramid(picture.astype(np.float32), hole)
    if not levels:
        return _nearest(picture, hole)
    rng = np.random.default_rng(seed)
    rounds = np.linspace(*_ROUNDS, len(levels)).round().astype(int)
    field = np.empty((0, 0, 2), int)
    for index, (at, count) in enumerate(zip(levels, rounds, strict=True)):
        sources = patches_at(at.image, at.sources)
        if index == 0:
            at.image[:] = _nearest(at.image, at.region)
            found = random_sources(at, rng)
        else:
            found = enlarged(field, at, rng)
            vote(at, found, np.zeros(len(found)))
        for _ in range(count):
            found, distance = search(at, sources, found, rng)
            vote(at, found, distance)
        field = as_field(at, found)
    return np.clip(levels[-1].image, 0, 255).round().astype(np.uint8)


def _pyramid(image: np.ndarray, hole: np.ndarray) -> list[Level]:
    """Levels from coarse to fine, each half the size of the next, as long as there are patches to copy."""
    levels: list[Level] = []
    while min(hole.shape) >= (SMALLEST if levels else PATCH):
        this = level(image, hole, hole)
        if not hole.any() or len(this.sources) < (FEWEST_SOURCES if levels else 1):
            break
        levels.insert(0, this)
        image, hole = _halved(image, hole)
    return levels


def _halved(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of the known pixels of 2 x 2; a pixel is a hole where fewer than two are known."""
    height, width = (n // 2 * 2 for n in hole.shape)
    known = (~hole[:height, :width, None]).astype(np.float32)
    blocks = (height // 2, 2, width // 2, 2, -1)
    count = known.reshape(blocks).sum(axis=(1, 3))
    total = (image[:height, :width] * known).reshape(blocks).sum(axis=(1, 3))
    return total / np.maximum(count, 1), count[..., 0] < 2


def _nearest(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    rows, columns = distance_transform_edt(hole, return_distances=False, return_indices=True)
    return image[rows, columns]
