"""Structure and texture of pictures of any size, in tiles."""

from __future__ import annotations

import numpy as np
import torch

from dgfnet.errors import PictureError, Progress, check_number
from dgfnet.filling.holes import Box
from dgfnet.grain_merge import offset_of, split
from dgfnet.network.diffusion import harmonic_fill
from dgfnet.network.rtv import EXACT, LAMBDA, SIGMA, rtv
from dgfnet.pixels import check_pixels, from_float, split_alpha, to_float

TILE = 512
"""Side of the tiles in which texture maps are made."""
HALO = 96
"""Pixels that a tile sees beyond its borders; tiles then meet within 1/255 (tests/dgfnet/test_maps.py)."""
STRONG = 0.05
"""Lambda above which a pixel's influence reaches further: halo and solver steps then grow with lambda's root. At 0.2
tiles meet within 2/255 but for a few pixels; what is left is the solver's, and would cost many more steps."""


def texture_maps(
    image: np.ndarray,
    lam: float = LAMBDA,
    sigma: float = SIGMA,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Structure and texture of a picture by relative total variation, in tiles with bounded memory.

    Args:
        image: as for Inpainter.fill. Alpha is left out; transparent pixels keep their colour as structure, without
            texture, and do not disturb their neighbours.
        lam: strength of the smoothing, above 0 to 0.2.
        sigma: largest scale in pixels of what counts as texture, 0.5 to 32.
        progress: see Progress.
        device: that solves.

    Returns:
        structure, texture: float32 [H, W, 1 | 3]; their sum is the picture, to float precision.
    """
    check_pixels(image)
    check_number("lambda", lam, 1e-4, 0.2)
    check_number("sigma", sigma, 0.5, 32)
    colour, opacity = split_alpha(image)
    height, width, channels = colour.shape
    structure = np.empty((height, width, channels), np.float32)
    texture = np.empty_like(structure)
    picture = Box(0, 0, width, height)
    further = max(lam / STRONG, 1) ** 0.5
    halo, steps = round(HALO * further), round(EXACT * further)
    tiles = [Box(x, y, TILE, TILE).within(picture) for y in range(0, height, TILE) for x in range(0, width, TILE)]
    for index, tile in enumerate(tiles):
        if progress:
            progress("Splitting structure and texture", index / len(tiles))
        seen = tile.grown(halo).within(picture)
        values = to_float(colour[seen.slices])
        known = np.ones(values.shape[:2], bool) if opacity is None else opacity[seen.slices] > 0
        if not np.isfinite(values[known]).all():
            raise PictureError("not_finite", "The picture holds NaN or infinity.", "Replace those pixels first.")
        tensor = torch.from_numpy(values.transpose(2, 0, 1)[None].copy()).to(device)
        tensor = harmonic_fill(tensor, torch.from_numpy(known.astype(np.float32))[None, None].to(device))
        smooth = rtv(tensor, lam, sigma, steps)[0].cpu().numpy().transpose(1, 2, 0)
        smooth = np.where(known[..., None], smooth, values)[tile.relative_to(seen).slices]
        structure[tile.slices] = smooth
        texture[tile.slices] = values[tile.relative_to(seen).slices] - smooth
    if progress:
        progress("Splitting structure and texture", 1.0)
    return structure, texture


def encoded_maps(image: np.ndarray, structure: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Maps at the picture's depth: structure + texture - offset is the picture, as exactly as an editor's sum can be.

    Args:
        image: the picture.
        structure: of `texture_maps`. A texture beyond what the depth holds goes into it (`dgfnet.grain_merge.split`).

    Returns:
        structure, texture [H, W(, C)] like the picture without alpha; offset (`grain_merge.offset_of`).
    """
    colour = split_alpha(image)[0]
    smooth, rest = split(colour, from_float(structure, image.dtype))
    if colour.shape[2] == 1:
        smooth, rest = smooth[..., 0], rest[..., 0]
    return smooth, rest, offset_of(image.dtype)
