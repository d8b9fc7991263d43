"""A filler that only copies, coarse to fine: the idea behind the editors' own fillers, the rival to beat on looks."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from dgfnet.filling.patches import (
    FEWEST_SOURCES,
    PATCH,
    SMALLEST,
    PyramidLevel,
    level,
    optimised,
    random_sources,
    upsampled,
    vote,
)

_ROUNDS = (10, 2)  # rounds of search and vote at the coarsest and at the finest level


def patchmatch(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill a hole from known patches of the same picture; equal ones are filled alike.

    Args:
        picture: uint8 [H, W, 3]; nothing under the hole is read.
        hole: bool [H, W].

    Returns:
        uint8 [H, W, 3]. Where no patch of 7 x 7 px is wholly known, the colours of the nearest known pixels.
    """
    if not hole.any() or hole.all():
        return picture.copy()
    levels = _pyramid(picture.astype(np.float32), hole)
    if not levels:
        return _nearest(picture, hole)
    generator = torch.Generator().manual_seed(0)
    rounds = np.linspace(*_ROUNDS, len(levels)).round().astype(int)
    first = levels[0]
    start = _nearest(first.image.permute(1, 2, 0).numpy(), first.region.numpy())
    first.image.copy_(torch.from_numpy(start).permute(2, 0, 1))
    nnf = random_sources(first, generator)
    for number, (at, count) in enumerate(zip(levels, rounds, strict=True)):
        if number:
            nnf = upsampled(levels[number - 1], nnf, at, generator)
            vote(at, nnf)
        nnf = optimised(at, nnf, count, generator)
    finished = levels[-1].image.permute(1, 2, 0).numpy()
    return np.clip(finished, 0, 255).round().astype(np.uint8)


def _pyramid(image: np.ndarray, hole: np.ndarray) -> list[PyramidLevel]:
    """Levels from coarse to fine, each half the size of the next, as long as there are patches to copy."""
    levels: list[PyramidLevel] = []
    while min(hole.shape) >= (SMALLEST if levels else PATCH):
        region = torch.from_numpy(hole)
        this = level(torch.from_numpy(image.transpose(2, 0, 1)), region, region)
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
