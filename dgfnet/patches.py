"""Patches that are copied: search (PatchMatch, Barnes et al. 2009) and vote (Wexler et al. 2007) at one scale.

A patch that touches the region to fill, a target, looks for the wholly known patch most like it, a source; those found
vote for the pixels of the region. `patchmatch` fills a hole that way alone, `rebuilding` on top of a network's fill.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np

from dgfnet.holes import depth_in

RADIUS = 3  # patches of 7 x 7 px
PATCH = 2 * RADIUS + 1
SMALLEST = 24
"""Shortest side, in px, of the coarsest level."""
FEWEST_SOURCES = 32
"""Of a level, but for the finest of a filler that has nothing else."""
_JUMPS = (4, 1)
_FALLOFF = 2.0  # a vote shrinks by this factor per px that its patch's centre lies inside the hole (paper: 1.3)


class Level(NamedTuple):
    """One scale: patches are named by their top left pixel, (row, column)."""

    image: np.ndarray  # float32 [H, W, 3], 0 to 255; changes in the region
    region: np.ndarray  # bool [H, W], to be filled
    is_source: np.ndarray  # bool [H - 6, W - 6], patches that may be copied
    sources: np.ndarray  # int [S, 2], where that is
    targets: np.ndarray  # int [N, 2], patches that touch the region
    shift: float  # how far a copy's colour may be moved to meet what it replaces, of 255


def level(image: np.ndarray, region: np.ndarray, unknown: np.ndarray, shift: float = 0.0) -> Level:
    """A level of an image [H, W, 3]: fill `region`, from patches without an `unknown` pixel (bool [H, W])."""
    is_source = ~_touched(unknown)
    return Level(image, region, is_source, np.argwhere(is_source), np.argwhere(_touched(region)), shift)


def _touched(pixels: np.ndarray) -> np.ndarray:
    """bool [H - 6, W - 6]: the patches that hold one of the pixels."""
    grown = cv2.dilate(pixels.astype(np.uint8), np.ones((PATCH, PATCH), np.uint8))
    return grown[RADIUS:-RADIUS, RADIUS:-RADIUS] > 0


def patches_at(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """[N, 147] values of the patches at `corners` [N, 2]."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH), axis=(0, 1))
    return windows[corners[:, 0], corners[:, 1]].reshape(len(corners), -1)


def as_field(at: Level, found: np.ndarray) -> np.ndarray:
    """[H - 6, W - 6, 2]: each target's source; -1 for patches that are sources themselves."""
    field = np.full((*at.is_source.shape, 2), -1)
    field[at.targets[:, 0], at.targets[:, 1]] = found
    return field


def search(
    at: Level, sources: np.ndarray, found: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One PatchMatch round for all targets at once: the neighbours' answers, shifted, then ever nearer random guesses.

    Args:
        sources: `patches_at` the level's sources.
        found: [N, 2], the source of each target so far.

    Returns:
        The best source [N, 2] of each target, and its squared distance per value [N].
    """
    row = np.full(at.is_source.shape, -1)
    row[at.is_source] = np.arange(len(at.sources))
    wanted = patches_at(at.image, at.targets)
    limit = np.array(at.is_source.shape) - 1

    def distances(which: np.ndarray | slice, candidates: np.ndarray) -> np.ndarray:
        difference = sources[row[candidates[:, 0], candidates[:, 1]]] - wanted[which]
        distance = np.einsum("nk,nk->n", difference, difference) / difference.shape[1]
        if at.shift:
            mean = difference.reshape(len(difference), 3, PATCH * PATCH).mean(axis=2)
            moved = mean.clip(-at.shift, at.shift)
            distance += (moved * (moved - 2 * mean)).mean(axis=1)
        return distance

    found, best = found.copy(), distances(slice(None), found)

    def offer(candidates: np.ndarray) -> None:
        inside = ((candidates >= 0) & (candidates <= limit)).all(axis=1)
        clipped = candidates.clip(0, limit)
        new = (candidates != found).any(axis=1)  # neighbours mostly agree
        which = np.flatnonzero(inside & new & at.is_source[clipped[:, 0], clipped[:, 1]])
        distance = distances(which, candidates[which])
        better = distance < best[which]
        found[which[better]], best[which[better]] = candidates[which[better]], distance[better]

    for jump in _JUMPS:
        for step in ((-jump, 0), (jump, 0), (0, -jump), (0, jump)):
            neighbour = at.targets + step
            clipped = neighbour.clip(0, limit)
            answer = as_field(at, found)[clipped[:, 0], clipped[:, 1]]
            missing = (answer[:, :1] < 0) | (clipped != neighbour).any(axis=1, keepdims=True)
            offer(np.where(missing, -1, answer - step))
    radius = max(at.region.shape)
    while radius >= 1:
        offer(found + rng.integers(-radius, radius + 1, found.shape))
        radius //= 2
    return found, best


def vote(at: Level, found: np.ndarray, distance: np.ndarray, every: int = 1) -> None:
    """Each pixel of the region becomes the weighted mean of what the patches over it propose.

    Args:
        found: [N, 2], the source of each target.
        distance: [N], of the two.
        every: a patch speaks for each so-manieth of its pixels, both ways; 3 still has nine voices per pixel.
    """
    first, last = at.targets.min(axis=0), at.targets.max(axis=0) + PATCH
    here = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    region, corners = at.region[here], at.targets - first
    depth = depth_in(region)[RADIUS:-RADIUS, RADIUS:-RADIUS]
    spread = max(float(np.quantile(distance, 0.75)), 1e-3)
    weight = _FALLOFF ** -depth[corners[:, 0], corners[:, 1]] * np.exp(-distance / (2 * spread))
    weight = np.maximum(weight, 1e-12)[:, None].astype(np.float32)
    total, share = np.zeros((*region.shape, 3), np.float32), np.zeros((*region.shape, 1), np.float32)
    moved = _moved(at, found)
    for step in itertools.product(range(0, PATCH, every), repeat=2):
        (y, x), (from_y, from_x) = (corners + step).T, (found + step).T
        total[y, x] += weight * (at.image[from_y, from_x] + moved)  # targets differ, so no pixel is met twice
        share[y, x] += weight
    at.image[here][region] = (total[region] / share[region]).astype(np.float32)


def _moved(at: Level, found: np.ndarray) -> np.ndarray:
    """[N, 3], what is added to the copies of `found` so that their mean is that of what they replace."""
    if not at.shift:
        return np.zeros((1, 3), np.float32)
    means = cv2.blur(at.image, (PATCH, PATCH))[RADIUS:-RADIUS, RADIUS:-RADIUS]
    there, here = (means[corners[:, 0], corners[:, 1]] for corners in (found, at.targets))
    return (here - there).clip(-at.shift, at.shift)


def enlarged(field: np.ndarray, at: Level, rng: np.random.Generator) -> np.ndarray:
    """The coarser level's answers, at this level's targets; random ones where they are no sources here."""
    parent = (at.targets // 2).clip(0, np.array(field.shape[:2]) - 1)
    guess = field[parent[:, 0], parent[:, 1]] * 2 + at.targets % 2
    clipped = guess.clip(0, np.array(at.is_source.shape) - 1)
    good = (guess == clipped).all(axis=1) & at.is_source[clipped[:, 0], clipped[:, 1]]
    return np.where(good[:, None], guess, random_sources(at, rng))


def random_sources(at: Level, rng: np.random.Generator) -> np.ndarray:
    """[N, 2], any source for each target."""
    return at.sources[rng.integers(len(at.sources), size=len(at.targets))]
