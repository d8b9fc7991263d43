"""The deep parts of a network's fill, made anew of patches that are copied from what is known around the hole.

Far from its border a hole leaves the network guessing, and what it guesses is the mean of what could be there: the
right colours in the right places, but soft. Patches of the picture itself are sharp, but know nothing of what belongs
where. So the fill leads the search for patches: blurred, they must be like it, blurred (a soft fill must not ask for
soft patches), and they must fit each other and the fill's rim, which stays as the network made it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from dgfnet.holes import depth_in
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

RIM = 5
"""Pixels from a hole's border up to which the network's fill stays."""
_FIRST_ROUNDS = 5  # of search by the blurred fill alone
_ROUNDS = (10, 3)  # rounds of search and vote at the coarsest and at the finest level that is searched
_LEAD = (0.8, 0.2)  # the network's share in the blurred part of what patches are compared with, there and there
_BLUR = 2.0  # px of a level: standard deviation
_SHIFT = 8.0  # of 255: copies follow a sky's gradient
_SEARCHED = 400_000  # pixels; levels above take over the answers of the level below


def rebuilt(
    picture: np.ndarray, hole: np.ndarray, report: Callable[[float], None] = lambda fraction: None, seed: int = 0
) -> np.ndarray:
    """Copy detail into the deep parts of a filled hole.

    Args:
        picture: float32 [H, W, 3], 0 to 1, the network's fill in its hole.
        hole: bool [H, W].
        report: is told what part of the work is done, 0 to 1; may raise to stop it.
        seed: of the random search; equal seeds give equal fills.

    Returns:
        float32 [H, W, 3]; the picture but for pixels more than `RIM` px inside the hole. Where there is too little to
        copy from, the picture itself.
    """
    levels = _levels(picture.astype(np.float32) * 255, hole)
    if not levels:
        return picture
    rng = np.random.default_rng(seed)
    searched = max(sum(at.region.size <= _SEARCHED for at in levels), 1)
    rounds = np.linspace(*_ROUNDS, searched).round().astype(int)
    leads = np.linspace(*_LEAD, searched)
    field = np.empty((0, 0, 2), int)
    for index, at in enumerate(levels):
        report(index / len(levels))
        is_searched = index < searched
        lead = _blurred(at.image) if is_searched else at.image
        found = enlarged(field, at, rng) if index else _first_found(at, lead, rng)
        vote(at, found, np.zeros(len(found)), every=1 if is_searched else 3)
        if is_searched:
            sources = patches_at(at.image, at.sources)
            for step in range(rounds[index]):
                report((index + step / rounds[index]) / len(levels))
                at.image[at.region] += leads[index] * (lead - _blurred(at.image))[at.region]
                found, distance = search(at, sources, found, rng)
                vote(at, found, distance)
        field = as_field(at, found)
    return np.where(levels[-1].region[..., None], levels[-1].image / 255, picture)


def _blurred(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), _BLUR)


def _first_found(at: Level, lead: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sources [N, 2] that look like the lead when blurred."""
    blurred = at._replace(image=lead)
    sources = patches_at(lead, at.sources)
    found = random_sources(at, rng)
    for _ in range(_FIRST_ROUNDS):
        found, _distance = search(blurred, sources, found, rng)
    return found


def _levels(image: np.ndarray, hole: np.ndarray) -> list[Level]:
    """From coarse to fine, each half the size of the next, as long as there is something to fill and to copy."""
    region = depth_in(hole) > RIM
    levels: list[Level] = []
    while region.any() and min(hole.shape) >= (SMALLEST if levels else PATCH):
        this = level(image, region, hole, _SHIFT)
        if len(this.sources) < FEWEST_SOURCES:
            break
        levels.insert(0, this)
        height, width = (n // 2 * 2 for n in hole.shape)
        blocks = (height // 2, 2, width // 2, 2)
        image = image[:height, :width].reshape(*blocks, 3).mean(axis=(1, 3))
        region = np.asarray(region[:height, :width].reshape(blocks).sum(axis=(1, 3)) > 2)
        hole = np.asarray(hole[:height, :width].reshape(blocks).any(axis=(1, 3)))
    return levels
