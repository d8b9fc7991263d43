"""A filler that copies: Wexler, Shechtman and Irani 2007 with PatchMatch (Barnes et al. 2009) as its search.

From coarse to fine, every patch that touches the hole looks for the known patch most like it; those found vote for the
pixels of the hole. This is the idea behind the editors' own fillers, so it is the rival to beat on looks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt, maximum_filter

_RADIUS = 3  # patches of 7 x 7 px
_PATCH = 2 * _RADIUS + 1
_SMALLEST = 24  # shortest side, in px, of the coarsest level
_FEWEST_SOURCES = 32
_ROUNDS = (10, 2)  # rounds of search and vote at the coarsest and at the finest level
_JUMPS = (4, 1)
_FALLOFF = 2.0  # a vote shrinks by this factor per px that its patch's centre lies inside the hole (paper: 1.3)


class _Level(NamedTuple):
    """One scale: patches are named by their top left pixel, (row, column), or by its flat index in that grid."""

    image: np.ndarray  # float32 [H, W, 3]; changes in the hole
    hole: np.ndarray  # bool [H, W]
    is_source: np.ndarray  # bool [H - 6, W - 6], patches without a hole pixel
    targets: np.ndarray  # int [N, 2], patches with one
    sources: np.ndarray  # int [S, 2]


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
    for index, (level, count) in enumerate(zip(levels, rounds, strict=True)):
        sources = _patches(level.image, level.sources)
        if index == 0:
            level.image[:] = _nearest(level.image, level.hole)
            found = level.sources[rng.integers(len(level.sources), size=len(level.targets))]
        else:
            found = _enlarged(field, level, rng)
            _vote(level, found, np.zeros(len(found)))
        for _ in range(count):
            found, distance = _search(level, sources, found, rng)
            _vote(level, found, distance)
        field = _as_field(level, found)
    return np.clip(levels[-1].image, 0, 255).round().astype(np.uint8)


def _pyramid(image: np.ndarray, hole: np.ndarray) -> list[_Level]:
    """Levels from coarse to fine, each half the size of the next, as long as there are patches to copy."""
    levels: list[_Level] = []
    while min(hole.shape) >= (_SMALLEST if levels else _PATCH):
        touched = maximum_filter(hole, _PATCH)[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
        sources = np.argwhere(~touched)
        if not hole.any() or len(sources) < (_FEWEST_SOURCES if levels else 1):
            break
        levels.insert(0, _Level(image, hole, ~touched, np.argwhere(touched), sources))
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


def _patches(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """[N, 147] values of the patches at `corners` [N, 2]."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (_PATCH, _PATCH), axis=(0, 1))
    return windows[corners[:, 0], corners[:, 1]].reshape(len(corners), -1)


def _as_field(level: _Level, found: np.ndarray) -> np.ndarray:
    """[H - 6, W - 6, 2]: each target's source; -1 for patches that are sources themselves."""
    field = np.full((*level.is_source.shape, 2), -1)
    field[level.targets[:, 0], level.targets[:, 1]] = found
    return field


def _search(
    level: _Level, sources: np.ndarray, found: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One PatchMatch round for all targets at once: the neighbours' answers, shifted, then ever nearer random guesses.

    Returns:
        The best source [N, 2] of each target, and its squared distance per value [N].
    """
    row = np.full(level.is_source.shape, -1)
    row[level.is_source] = np.arange(len(level.sources))
    wanted = _patches(level.image, level.targets)
    limit = np.array(level.is_source.shape) - 1

    def distances(which: np.ndarray | slice, candidates: np.ndarray) -> np.ndarray:
        difference = sources[row[candidates[:, 0], candidates[:, 1]]] - wanted[which]
        return np.einsum("nk,nk->n", difference, difference) / difference.shape[1]

    found, best = found.copy(), distances(slice(None), found)

    def offer(candidates: np.ndarray) -> None:
        inside = ((candidates >= 0) & (candidates <= limit)).all(axis=1)
        clipped = candidates.clip(0, limit)
        which = np.flatnonzero(inside & level.is_source[clipped[:, 0], clipped[:, 1]])
        distance = distances(which, candidates[which])
        better = distance < best[which]
        found[which[better]], best[which[better]] = candidates[which[better]], distance[better]

    for jump in _JUMPS:
        for step in ((-jump, 0), (jump, 0), (0, -jump), (0, jump)):
            neighbour = level.targets + step
            clipped = neighbour.clip(0, limit)
            answer = _as_field(level, found)[clipped[:, 0], clipped[:, 1]]
            missing = (answer[:, :1] < 0) | (clipped != neighbour).any(axis=1, keepdims=True)
            offer(np.where(missing, -1, answer - step))
    radius = max(level.hole.shape)
    while radius >= 1:
        offer(found + rng.integers(-radius, radius + 1, found.shape))
        radius //= 2
    return found, best


def _vote(level: _Level, found: np.ndarray, distance: np.ndarray) -> None:
    """Each pixel of the hole becomes the weighted mean of what the patches over it propose."""
    depth = distance_transform_edt(level.hole)[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
    spread = max(float(np.quantile(distance, 0.75)), 1e-3)
    weight = _FALLOFF ** -depth[level.targets[:, 0], level.targets[:, 1]] * np.exp(-distance / (2 * spread))
    weight = np.maximum(weight, 1e-12)[:, None]
    total, share = np.zeros(level.image.shape), np.zeros((*level.hole.shape, 1))
    for step in np.ndindex(_PATCH, _PATCH):
        (y, x), (from_y, from_x) = (level.targets + step).T, (found + step).T
        total[y, x] += weight * level.image[from_y, from_x]  # targets differ, so no pixel is met twice
        share[y, x] += weight
    level.image[level.hole] = (total[level.hole] / share[level.hole]).astype(np.float32)


def _enlarged(field: np.ndarray, level: _Level, rng: np.random.Generator) -> np.ndarray:
    """The coarser level's answers, at this level's targets; random ones where they are no sources here."""
    parent = (level.targets // 2).clip(0, np.array(field.shape[:2]) - 1)
    guess = field[parent[:, 0], parent[:, 1]] * 2 + level.targets % 2
    clipped = guess.clip(0, np.array(level.is_source.shape) - 1)
    good = (guess == clipped).all(axis=1) & level.is_source[clipped[:, 0], clipped[:, 1]]
    random = level.sources[rng.integers(len(level.sources), size=len(guess))]
    return np.where(good[:, None], guess, random)
