"""Results as editor layers: pure functions from float pixels to arrays of the document's depth.

Grain merge shows `backdrop + layer - offset`. The pair (coarse, texture) made here sums to the fill exactly, provided
that the texture layer is clipped to the layer below it (docs/protocol.md, "Putting layers together").
"""

from __future__ import annotations

import numpy as np

from dgfnet.grain_merge import lattice, split
from dgfnet.pixels import from_float, full_scale, split_alpha
from server.messages import Layer

NAME = "Inpaint (DGFNet)"


def with_alpha(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """[h, w, C] and [h, w], both of one dtype -> [h, w, C + 1]."""
    return np.concatenate([colour, alpha[..., None]], axis=2)


def match_channels(values: np.ndarray, channels: int) -> np.ndarray:
    """[h, w, 3 | 1] -> [h, w, channels], 1 or 3: the mean of three channels, or one repeated."""
    if values.shape[2] == channels:
        return values
    if channels == 1:
        return values.mean(axis=2, keepdims=True)
    return np.repeat(values, channels, axis=2)


def fill_layer(fill: np.ndarray, alpha: np.ndarray, x: int, y: int, dtype: np.dtype) -> list[Layer]:
    """The fill as one layer. `fill` float [h, w, 1 | 3], `alpha` float [h, w], 0 to 1; top left corner at x, y."""
    pixels = with_alpha(lattice(from_float(fill, dtype)), from_float(alpha, dtype))
    return [Layer(NAME, "fill", x, y, "normal", 1.0, pixels)]


def fill_group(
    fill: np.ndarray,
    coarse: np.ndarray,
    alpha: np.ndarray,
    x: int,
    y: int,
    dtype: np.dtype,
    strength: float,
) -> list[Layer]:
    """The fill as a coarse layer and a texture layer, whose opacity is the texture `strength`.

    The coarse layer carries the soft `alpha`. The texture layer is opaque wherever that is above 0: were it soft too,
    it would fade twice at a soft edge, and the sum would not be the fill there.
    """
    base, texture = split(lattice(from_float(fill, dtype)), from_float(coarse, dtype))
    soft = from_float(alpha, dtype)
    support = from_float((soft > 0).astype(np.float32), dtype)
    return [
        Layer(f"{NAME} coarse", "coarse", x, y, "normal", 1.0, with_alpha(base, soft)),
        Layer(f"{NAME} texture", "texture", x, y, "grain_merge", strength, with_alpha(texture, support)),
    ]


def texture_bytes(image: np.ndarray) -> int:
    """How many bytes of pixels `texture_pair` makes of a picture [H, W] or [H, W, 1 to 4]."""
    rows, columns, colours = split_alpha(image)[0].shape
    return 2 * rows * columns * (colours + 1) * image.itemsize


def texture_pair(colour: np.ndarray, structure: np.ndarray, alpha: np.ndarray | None) -> list[Layer]:
    """A picture [H, W, C] as structure and texture; `structure` is float, `alpha` [H, W] as `colour` or None."""
    dtype = colour.dtype
    base, texture = split(colour, from_float(structure, dtype))
    full = np.full(colour.shape[:2], full_scale(dtype), dtype)
    return [
        Layer(
            "Structure (DGFNet)", "structure", 0, 0, "normal", 1.0, with_alpha(base, full if alpha is None else alpha)
        ),
        Layer("Texture (DGFNet)", "texture", 0, 0, "grain_merge", 1.0, with_alpha(texture, full)),
    ]
