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


def lattice(values: np.ndarray) -> np.ndarray:
    """Single floats rounded to multiples of `STEP` (by at most 6e-8); other depths as they are."""
    return np.rint(values / STEP) * STEP if values.dtype == np.float32 else values


def split(final: np.ndarray, coarse: np.ndarray, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """(coarse, texture) of the dtype of `final`; see `server.layers.split`."""
    if final.dtype.kind == "u":
        return _whole(final, coarse, int(offset))
    if final.dtype == np.float16:
        return _halves(final, coarse, np.float32(offset))
    wide, neutral = final.astype(np.float32), np.float32(offset)
    texture = np.clip(lattice(wide - coarse.astype(np.float32) + neutral), 0, 1)
    return (wide - (texture - neutral)).astype(final.dtype), texture.astype(final.dtype)


def _whole(final: np.ndarray, coarse: np.ndarray, offset: int) -> tuple[np.ndarray, np.ndarray]:
    full = np.iinfo(final.dtype).max
    whole = final.astype(np.int32)
    texture = np.clip(whole - coarse.astype(np.int32) + offset, 0, full)
    base = whole - (texture - offset)
    return base.astype(final.dtype), texture.astype(final.dtype)


def _halves(final: np.ndarray, coarse: np.ndarray, neutral: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Half floats: where final and coarse are so far apart that no pair is exact, the texture is halved until one is.

    That happens in dark tones: a half float near 0.5, where textures are, is coarser than one near 0.
    """
    shape, whole = final.shape, final.astype(np.float32).reshape(-1)
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
