"""Pairs of stored values that add up exactly in grain merge, `coarse + texture - offset`, as editors compute it.

Krita adds whole numbers; GIMP adds in single floats, full scale 1, whatever the depth. Nothing is lost there where all
values are multiples of `STEP`; pairs of half floats are exact where their last bits are in reach of each other. Whole
numbers end halfway between two in GIMP (0.5 is no whole number of them), so its plug-in looks at the sum and puts right
what was rounded the other way.
"""

from __future__ import annotations

import numpy as np

STEP = np.float32(2**-23)
"""Single floats hold every multiple of it up to 2: the fill, both layers and their sum."""
HALVINGS = 12
"""A texture of half floats that is halved so often is none."""
STRIPE = 256
"""Rows computed in one go, so that a large picture is not held again in a wider type."""


def lattice(values: np.ndarray) -> np.ndarray:
    """Single floats rounded to multiples of `STEP` (by at most 6e-8); other depths as they are."""
    return np.rint(values / STEP) * STEP if values.dtype == np.float32 else values


def offset_of(dtype: np.dtype) -> float:
    """What both GIMP's and Krita's grain merge subtract, in a picture's own units: half of full scale, rounded down."""
    return int(np.iinfo(dtype).max) // 2 if dtype.kind == "u" else 0.5


def split(final: np.ndarray, coarse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split `final` into (coarse, texture) with `coarse + texture - offset == final`; all of one shape and dtype.

    The offset is that of `offset_of`. The texture is cut to what a layer can hold, 0 to full scale; what it cannot
    hold, and its rounding, goes into the coarse part, which otherwise stays as it is (half floats in dark tones give
    way by a little more). In float32 the sum is exact where `final` is on the `lattice`, and to 6e-8 elsewhere.
    """
    pair = {"u": _whole, "f": _halves if final.dtype == np.float16 else _singles}[final.dtype.kind]
    offset = offset_of(final.dtype)
    base, texture = np.empty_like(final), np.empty_like(final)
    for top in range(0, len(final), STRIPE):
        rows = slice(top, top + STRIPE)
        base[rows], texture[rows] = pair(final[rows], coarse[rows], offset)
    return base, texture


def _whole(final: np.ndarray, coarse: np.ndarray, offset: float) -> tuple[np.ndarray, np.ndarray]:
    full, neutral = np.iinfo(final.dtype).max, int(offset)
    whole = final.astype(np.int32)
    texture = np.clip(whole - coarse.astype(np.int32) + neutral, 0, full)
    base = whole - (texture - neutral)
    return base.astype(final.dtype), texture.astype(final.dtype)


def _singles(final: np.ndarray, coarse: np.ndarray, offset: float) -> tuple[np.ndarray, np.ndarray]:
    neutral = np.float32(offset)
    texture = np.clip(lattice(final - coarse + neutral), 0, 1)
    return final - (texture - neutral), texture


def _halves(final: np.ndarray, coarse: np.ndarray, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Half floats: where final and coarse are so far apart that no pair is exact, the texture is halved until one is.

    That happens in dark tones: a half float near 0.5, where textures are, is coarser than one near 0.
    """
    shape, whole, neutral = final.shape, final.astype(np.float32).reshape(-1), np.float32(offset)
    wanted = np.clip(whole - coarse.astype(np.float32).reshape(-1), -neutral, 1 - neutral)
    base, texture = final.reshape(-1).copy(), np.full(whole.size, neutral, np.float16)
    open_ = np.arange(whole.size)
    for halving in range(HALVINGS):
        difference = wanted[open_] * np.float32(0.5**halving)
        for texture_first in (True, False):
            below, above = _half_pair(whole[open_], difference, neutral, texture_first)
            exact = (below.astype(np.float32) + above.astype(np.float32)) - neutral == whole[open_]
            exact &= (above >= 0) & (above <= 1)
            base[open_[exact]], texture[open_[exact]] = below[exact], above[exact]
            open_, difference = open_[~exact], difference[~exact]
    return base.reshape(shape), texture.reshape(shape)


def _half_pair(
    whole: np.ndarray, difference: np.ndarray, neutral: np.float32, texture_first: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Coarse and texture as half floats; the one that is rounded second makes up for the first."""
    if texture_first:
        texture = (neutral + difference).astype(np.float16)
        return (whole - (texture.astype(np.float32) - neutral)).astype(np.float16), texture
    base = (whole - difference).astype(np.float16)
    return base, (whole - base.astype(np.float32) + neutral).astype(np.float16)
