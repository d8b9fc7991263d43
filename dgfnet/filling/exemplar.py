"""A rough fill of whole pieces of the picture: greedy copying of patches (Criminisi et al. 2004), led by a soft fill.

Patches that are found one by one, each to fit what was copied before it, stay as rich as the picture is: a search for
all of them at once, beginning at a soft fill, ends at the patches that are nearest to all others, which are dull. But
greedy copying alone strays (the sky grows into the wall); so what a patch brings is also held against the soft fill,
as far as that can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from dgfnet.filling.patches import PATCH, RADIUS

_MOST_SOURCES = 8000  # evenly spread ones stand for more
_FADE = 0.999  # of confidence per patch: what was copied counts a little less than what was known
_CROSS = np.ones((3, 3), np.uint8)


def copied(
    image: np.ndarray,
    region: np.ndarray,
    sources: np.ndarray,
    lead: np.ndarray,
    trust: np.ndarray,
    reluctance: np.ndarray | None = None,
    report: Callable[[float], None] = lambda fraction: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill a region patch by patch from its border inwards. Time grows with its pixels times the picture's.

    Args:
        image: float32 [H, W, C]; its first three channels are compared. Nothing in the region is read.
        region: bool [H, W].
        sources: [S, 2], row and column of the top left pixels of 7 x 7 patches that may be copied.
        lead: float32 [H, W, 3], a soft picture; what a patch brings to the region, as soft, should be like it. Also
            outside the region: sources are as soft there as they are to be.
        trust: float32 [H, W], 0 to 1, weight of a pixel's likeness to the lead; that of a pixel to what is known has 1.
        reluctance: float32 [S], factors on the sources' distances; all alike unless given.
        report: is told what part of the region is filled; may raise to stop it.

    Returns:
        The filled image, and where each pixel came from: int [H, W], places in the flat picture.
    """
    image, known = image.copy(), ~region
    origin = np.arange(region.size).reshape(region.shape)
    sampled = np.linspace(0, len(sources) - 1, min(len(sources), _MOST_SOURCES)).astype(int)
    sources, reluctance = sources[sampled], None if reluctance is None else reluctance[sampled]
    sharp, soft = (_patches(picture, sources) for picture in (image[..., :3], lead))
    sharp_squared, soft_squared = np.square(sharp), np.square(soft)
    confidence = known.astype(np.float32)
    last = np.array(region.shape) - PATCH
    pixels = unfilled = int(region.sum())
    while unfilled:
        report(1 - unfilled / pixels)
        front = ~known & (cv2.dilate(known.astype(np.uint8), _CROSS) > 0)
        priority = np.where(front, cv2.blur(confidence, (PATCH, PATCH), borderType=cv2.BORDER_CONSTANT), -1)
        centre = np.unravel_index(int(priority.argmax()), priority.shape)
        top, left = np.clip(np.array(centre) - RADIUS, 0, last)
        here = slice(top, top + PATCH), slice(left, left + PATCH)
        new = ~known[here]
        held, led = (np.repeat(weight.astype(np.float32), 3) for weight in (~new, new * trust[here]))
        cost = sharp_squared @ held - 2 * sharp @ (held * image[here][..., :3].ravel())
        cost += soft_squared @ led - 2 * soft @ (led * lead[here].ravel())
        if reluctance is not None:
            wanted, lead_wanted = image[here][..., :3].ravel(), lead[here].ravel()
            cost += held @ np.square(wanted) + led @ np.square(lead_wanted)
            cost *= reluctance
        row, column = sources[int(cost.argmin())]
        for copy in (image, origin):
            copy[here][new] = copy[row : row + PATCH, column : column + PATCH][new]
        confidence[here][new] = priority[centre] * _FADE
        known[here] = True
        unfilled -= int(new.sum())
    return image, origin


def _patches(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """float32 [S, 147], in the order of a patch's own pixels, of an image [H, W, 3]."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH), axis=(0, 1))
    found = windows[corners[:, 0], corners[:, 1]].transpose(0, 2, 3, 1)
    return np.ascontiguousarray(found.reshape(len(corners), -1), np.float32)
