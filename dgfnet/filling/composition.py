"""Putting a fill into a picture: reduction without the hole, colour at the seam, soft edges. Pure functions.

Pictures are float32 [H, W, C], 0 to 1; `known` and `hole` are [H, W].
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from dgfnet.filling.holes import Box, around, depth_in
from dgfnet.network.diffusion import harmonic_fill
from dgfnet.pixels import from_float, split_alpha, to_float

KNOWN_SHARE = 0.5
"""A reduced pixel is known where at least this share of its area is; its value comes from that share alone."""
_NEAR = 16
"""Pixels around a hole from which its seam takes colour."""
_LEVELS = np.maximum(np.arange(16, dtype=np.float32) / 15, np.float32(1 / 255))
"""Values to which soft ones are rounded down where a selection grows; what is below the second counts as the first."""
_TOUCHING = 0.25
"""How much the known pixels that touch a hole's outermost pixel say of its colour; a membrane says the rest."""


def selection(mask: np.ndarray, box: Box, grow: int, feather: float) -> np.ndarray:
    """Share of the fill at each pixel of a box: 0 keep, 1 fill; above 0 is the hole.

    The mask grows by a disc of `grow` pixels (soft edges move outward with it, in steps of 1/15), then its edge is
    softened *inward* over `feather` pixels: nothing outside the grown selection ever changes. There is no edge at the
    picture's border.

    Args:
        mask: the whole mask [H, W], any depth; read within the box and `grow + feather` pixels around it only.

    Returns:
        float32 [height, width].
    """
    reach = grow + int(np.ceil(feather)) + 1
    nearby = box.grown(reach).within(Box(0, 0, mask.shape[1], mask.shape[0]))
    alpha = np.clip(to_float(mask[nearby.slices]), 0, 1)
    if grow:
        alpha = _dilated(alpha, grow)
    if feather and (alpha == 0).any():
        alpha = alpha * np.minimum(depth_in(alpha > 0) / np.float32(feather + 1), 1)
    return alpha[box.relative_to(nearby).slices]


def _dilated(alpha: np.ndarray, radius: int) -> np.ndarray:
    """Largest value within a disc, to a level, and no less than before; the cost does not grow with the radius."""
    if ((alpha == 0) | (alpha == 1)).all():
        if not alpha.any():
            return alpha
        return (depth_in(alpha == 0) <= radius).astype(np.float32)
    level = np.digitize(alpha, _LEVELS[1:]) + (alpha > 0)  # 0 is none
    grown = alpha.copy()
    for number in np.unique(level[level > 0]):  # OpenCV's distance is the faster one; none lies within 0.25 / radius
        distance = cv2.distanceTransform((level < number).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        np.maximum(grown, _LEVELS[number - 1], out=grown, where=distance < radius + 0.25 / radius)
    return grown


def reduced(values: np.ndarray, known: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Area average of the known pixels only, and where the result is known (bool).

    Where not one pixel reaches `KNOWN_SHARE` (a thin frame around a huge hole), every share counts.
    """
    values = np.where(known[..., None], values, np.float32(0))
    if values.shape[:2] == (height, width):
        return values, known
    share = cv2.resize(known.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    sums = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
    small_known = share >= KNOWN_SHARE
    if not small_known.any():
        small_known = share > 0
    return np.where(small_known[..., None], sums / np.maximum(share, 1e-6)[..., None], np.float32(0)), small_known


def enlarged(values: np.ndarray, width: int, height: int, smooth: bool = True) -> np.ndarray:
    """Enlargement to a given size, bicubic, or bilinear where not `smooth`."""
    if values.shape[:2] == (height, width):
        return values
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR)


def seam_offset(picture: np.ndarray, prediction: np.ndarray, known: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Colour that, added to the prediction, makes it meet the picture at the hole's border.

    A membrane over the hole, and the known pixels right beside them, say what its outermost pixels would be like; the
    prediction's difference from that is continued over the hole by a second membrane, under which fine detail fades
    within a few pixels.
    The comparison is inside the hole because a network copies what it knows: outside, there is nothing to correct.

    Args:
        picture: [H, W, 3]; nothing is read where it is not known.
        prediction: [H, W, 3]; read at the hole's outermost pixels only.
        known: bool [H, W].
        hole: bool [H, W], the unknown pixels that are filled.

    Returns:
        float32 [H, W, 3]; meant for the hole, zero beyond its neighbourhood.
    """
    offset = np.zeros_like(prediction)
    if not hole.any():  # thinner than a pixel at this scale
        return offset
    near = around(hole).grown(_NEAR).within(Box(0, 0, known.shape[1], known.shape[0])).slices
    offset[near] = _seam_offset(picture[near], prediction[near], known[near])
    return offset


def _seam_offset(picture: np.ndarray, prediction: np.ndarray, known: np.ndarray) -> np.ndarray:
    rim = ~known & (cv2.dilate(known.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    weight = known.astype(np.float32)
    surroundings = (1 - _TOUCHING) * _membrane(picture, weight) + _TOUCHING * _touching(picture, weight)
    return _membrane(surroundings - prediction, rim.astype(np.float32))


def _touching(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean of the known pixels among the nine around each; zero where there is none."""

    def summed(array: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(array, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)

    return summed(np.where(known[..., None] > 0, values, np.float32(0))) / np.maximum(summed(known), 1)[..., None]


def _membrane(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`harmonic_fill` of an array [H, W, 3] where `known` [H, W] is 0."""
    tensor = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
    return harmonic_fill(tensor, torch.from_numpy(known)[None, None])[0].numpy().transpose(1, 2, 0)


def blend(pixels: np.ndarray, fill: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What a picture shows with the fill as a normal layer above it; identical to the bit where alpha is 0.

    Straight alpha, Porter and Duff's "over": transparent pixels in the hole become as opaque as the fill, opaque ones
    stay so. Where alpha is 1 nothing of the old pixel is read. Grey pictures get the fill's mean.

    Args:
        pixels: [H, W] or [H, W, 1 to 4], any depth; returned at the same depth.
        fill: float32 [H, W, 3].
        alpha: float32 [H, W].
    """
    result = pixels.copy()
    colour, opacity = split_alpha(result)
    where = alpha > 0
    share = alpha[where][:, None]
    new = fill[where]
    if colour.shape[2] == 1:
        new = new.mean(axis=1, keepdims=True)
    old = to_float(colour[where])
    old = np.where((share < 1) & np.isfinite(old), old, new)  # a broken float under a soft edge is replaced too
    if opacity is None:
        colour[where] = from_float(old + share * (new - old), pixels.dtype)
        return result
    below = np.nan_to_num(to_float(opacity[where])[:, None]) * (1 - share)
    covered = below + share
    colour[where] = from_float(old + share / covered * (new - old), pixels.dtype)
    opacity[where] = from_float(covered[:, 0], pixels.dtype)
    return result
