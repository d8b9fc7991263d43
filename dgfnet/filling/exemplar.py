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
_CHANNELS = np.tile(np.eye(3, dtype=np.float32), (PATCH**2, 1))
_FAINT = np.float32(1e-6)  # weight of a place of which nothing is known
_CROSS = np.ones((3, 3), np.uint8)


def copy_greedily(
    image: np.ndarray,
    region: np.ndarray,
    sources: np.ndarray,
    lead: np.ndarray,
    trust: np.ndarray,
    shift: float = 0.0,
    bias: np.ndarray | None = None,
    report: Callable[[float], None] = lambda fraction: None,
    blank: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill a region patch by patch from its border inwards. Time grows with its pixels times the picture's.

    Args:
        image: float32 [H, W, C]; its first three channels are compared. Nothing in the region is read.
        region: bool [H, W].
        sources: [S, 2], row and column of the top left pixels of 7 x 7 patches that may be copied.
        lead: float32 [H, W, 3], a soft picture; what a patch brings to the region, as soft, should be like it. Also
            outside the region: sources are as soft there as they are to be.
        trust: float32 [H, W], 0 to 1, weight of a pixel's likeness to the lead; that of a pixel to what is known has 1.
        shift: how far a copy's colours may be moved to meet what is there, of the image's values.
        bias: float32 [S], factors on the sources' distances; all alike unless given.
        report: is told what part of the region is filled; may raise to stop it.
        blank: bool [H, W], pixels that are neither filled nor gone on; none unless given.

    Returns:
        The filled image, and where each pixel came from: int [H, W], places in the flat picture.
    """
    image, missing = image.copy(), region.copy()
    known = ~region if blank is None else ~(region | blank)
    origin = np.arange(region.size).reshape(region.shape)
    sampled = np.linspace(0, len(sources) - 1, min(len(sources), _MOST_SOURCES)).astype(int)
    sources, factors = sources[sampled], 1.0 if bias is None else bias[sampled]
    compare = _Comparison(_patches(image[..., :3], sources), _patches(lead, sources), shift)
    confidence = known.astype(np.float32)
    last = np.array(region.shape) - PATCH
    pixels = unfilled = int(region.sum())
    while unfilled:
        report(1 - unfilled / pixels)
        front = missing & (cv2.dilate(known.astype(np.uint8), _CROSS) > 0)
        if not front.any():  # the rest lies amid what is blank
            front = missing
        priority = np.where(front, cv2.blur(confidence, (PATCH, PATCH), borderType=cv2.BORDER_CONSTANT), -1)
        centre = np.unravel_index(int(priority.argmax()), priority.shape)
        top, left = np.clip(np.array(centre) - RADIUS, 0, last)
        here = slice(top, top + PATCH), slice(left, left + PATCH)
        new = missing[here].copy()
        distances, moves = compare(image[here][..., :3], known[here], lead[here], new * trust[here])
        best = int((distances * factors).argmin())
        row, column = sources[best]
        there = slice(row, row + PATCH), slice(column, column + PATCH)
        copy = image[there].copy()
        copy[..., :3] += moves[best]
        image[here][new] = copy[new]
        origin[here][new] = origin[there][new]
        confidence[here][new] = priority[centre] * _FADE
        known[here] |= new
        missing[here] = False
        unfilled -= int(new.sum())
    image[region, :3] = image[region, :3].clip(0, 255)
    return image, origin


class _Comparison:
    """Of sources, sharp and soft [S, 147], with what is at a place; their colours may be moved by `shift`."""

    def __init__(self, sharp: np.ndarray, soft: np.ndarray, shift: float) -> None:
        self._both = tuple((patches, np.square(patches)) for patches in (sharp, soft))
        self._shift = shift

    def __call__(
        self, image: np.ndarray, held: np.ndarray, lead: np.ndarray, led: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances [S] from an image [7, 7, 3], weighted by `held` [7, 7], and a lead, and the moves [S, 3].

        The moves are those that make the distances smallest.
        """
        distances = off = total = np.zeros(1, np.float32)
        for (patches, squared), there, share in zip(self._both, (image, lead), (held, led), strict=True):
            wanted, weight = there.ravel(), np.repeat(share.astype(np.float32), 3)
            products = patches @ np.column_stack([weight * wanted, weight[:, None] * _CHANNELS])
            distances = distances + squared @ weight - 2 * products[:, 0] + weight @ np.square(wanted)
            off = off + products[:, 1:] - (weight * wanted) @ _CHANNELS
            total = total + share.sum(dtype=np.float32)
        moves = np.clip(-off / np.maximum(total, _FAINT), -self._shift, self._shift)
        return np.maximum(distances + (moves * (2 * off + total * moves)).sum(1), 0), moves


def _patches(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """float32 [S, 147], in the order of a patch's own pixels, of an image [H, W, 3]."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH), axis=(0, 1))
    found = windows[corners[:, 0], corners[:, 1]].transpose(0, 2, 3, 1)
    return np.ascontiguousarray(found.reshape(len(corners), -1), np.float32)
