"""The sRGB transfer curve (IEC 61966-2-1), extended oddly below 0 and onwards above 1. float32."""

from __future__ import annotations

import numpy as np


def linear_to_srgb(values: np.ndarray) -> np.ndarray:
    """Linear light -> display-referred sRGB; any shape."""
    size = np.abs(values, dtype=np.float32)
    curved = np.float32(1.055) * np.power(size, np.float32(1 / 2.4)) - np.float32(0.055)
    return np.copysign(np.where(size <= 0.0031308, size * np.float32(12.92), curved), values)


def srgb_to_linear(values: np.ndarray) -> np.ndarray:
    """Display-referred sRGB -> linear light; any shape."""
    size = np.abs(values, dtype=np.float32)
    curved = np.power((size + np.float32(0.055)) / np.float32(1.055), np.float32(2.4))
    return np.copysign(np.where(size <= 0.04045, size / np.float32(12.92), curved), values)
