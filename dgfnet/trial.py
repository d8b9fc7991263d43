"""A small fill that shows whether a network and a device do their work."""

from __future__ import annotations

import numpy as np

from dgfnet.errors import UserError
from dgfnet.inpainting import FillOptions, Inpainter
from dgfnet.model import DGFNet
from server.client.errors import INSTALL

SEAM_LIMIT = 0.05
"""Largest mean colour step across the border of the fill below; a broken fill steps by several times that."""


def small_fill(network: DGFNet, device: str) -> tuple[str, str]:
    """Fill a hole in a small picture: finite, all of it, the same twice, and without a step at the border.

    Returns:
        What was seen, and what to do about it; nothing if all is well.
    """
    y, x = np.mgrid[:128, :160].astype(np.float32)
    image = np.stack([0.3 + x / 400, 0.7 - y / 300, 0.5 + 0.1 * np.sin(x / 9)], axis=-1)
    mask = (x - 80) ** 2 + (y - 64) ** 2 < 20**2
    try:
        inpainter = Inpainter(network, device)
        first, second = (inpainter.fill(image, mask, FillOptions()) for _ in range(2))
    except (UserError, RuntimeError, ValueError) as fault:
        return str(fault), "Try `dgfnet doctor --device cpu`."
    result = first.compose(image)
    step = seam_step(result, mask)
    detail = f"{1000 * sum(second.seconds.values()):.0f} ms on {device}, colour step at the border {step:.3f}"
    if not np.array_equal(result[~mask], image[~mask]):
        return f"{detail}; pixels outside the mask changed", "Please report this."
    if not np.allclose(first.fill, second.fill, atol=1e-4):
        return f"{detail}; two runs differ", "Try `dgfnet doctor --device cpu`; the driver may be at fault."
    if step > SEAM_LIMIT:
        return f"{detail}, above {SEAM_LIMIT}", f"Other weights may help, or `{INSTALL}`."
    return detail, ""


def seam_step(picture: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute step between neighbouring pixels on either side of a mask's border; picture float [H, W, C]."""
    across = mask[:, 1:] != mask[:, :-1]
    down = mask[1:] != mask[:-1]
    steps = [np.abs(np.diff(picture, axis=1))[across], np.abs(np.diff(picture, axis=0))[down]]
    return float(np.concatenate(steps).mean())
