"""Pictures in memory: arrays of pixels at one of four depths, and what a file says about them.

Pixels are arrays [H, W] (grey) or [H, W, 2 | 3 | 4] (grey + alpha, RGB, RGBA; alpha straight) of uint8, uint16, float16
or float32; integers span 0 to 255 or 65535, floats 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgfnet.errors import PictureError

DEPTHS = ("uint8", "uint16", "float16", "float32")
_VALUES_AT_ONCE = 1 << 18  # as doubles, of which a whole picture would take eight times its room


@dataclass(frozen=True)
class Picture:
    """Pixels, upright, and what a file says about them: ICC profile, dots per inch, EXIF block (orientation 1)."""

    pixels: np.ndarray
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None


def full_scale(dtype: np.dtype | type) -> float:
    """The value that means 1.0: 255, 65535, or 1 for floats."""
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Pixels of any supported depth as float32, full scale 1."""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.float32)
    return pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))


def from_float(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Float values, full scale 1, at a depth: integers rounded and cut to their range, floats as they are."""
    if np.dtype(dtype).kind != "u":
        return values.astype(dtype)
    scale = np.float64(full_scale(dtype))
    whole = np.empty(values.shape, dtype)
    rows = max(_VALUES_AT_ONCE * len(values) // max(values.size, 1), 1)
    for top in range(0, len(values), rows):
        some = slice(top, top + rows)
        whole[some] = np.rint(np.clip(values[some], 0, 1) * scale)
    return whole


def split_alpha(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour [H, W, 1 | 3] and alpha [H, W] or None; views, no copies."""
    if pixels.ndim == 2:
        return pixels[..., None], None
    channels = pixels.shape[2]
    if channels in (2, 4):
        return pixels[..., : channels - 1], pixels[..., channels - 1]
    return pixels, None


def check_pixels(pixels: np.ndarray) -> None:
    """Raise PictureError `bad_array` unless the array is a picture as this module's head describes it."""
    shape = pixels.shape
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and shape[2] not in (1, 2, 3, 4)) or 0 in shape:
        raise PictureError(
            "bad_array",
            f"An array of shape {tuple(shape)} is not a picture.",
            "Send rows x columns, or rows x columns x 1 to 4 channels.",
        )
    if pixels.dtype.name not in DEPTHS:
        raise PictureError(
            "bad_array", f"Pixels of type {pixels.dtype} are not supported.", f"Convert them to {', '.join(DEPTHS)}."
        )


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply EXIF orientation 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
