"""Smooth interpolation of unknown pixels: the leak-free fill under everything that must not see the hole."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_FINEST_SWEEPS = 8
_COARSEST_SWEEPS = 64


def blank(values: Tensor, known: Tensor) -> Tensor:
    """Zero where `known` is 0. Unlike a product this stops NaN and infinity in the hole as well.

    Args:
        values: [B, C, H, W].
        known: [B, 1, H, W], 1 = known, 0 = hole.
    """
    return torch.where(known > 0, values, torch.zeros((), dtype=values.dtype, device=values.device))


@torch.compiler.disable  # hundreds of sweeps, which a compiler would unroll for minutes
@torch.no_grad()
def harmonic_fill(values: Tensor, known: Tensor) -> Tensor:
    """Replace the hole by a membrane stretched over the known pixels.

    Solves Laplace's equation approximately, with the known pixels as boundary values and no flux through the picture's
    border: a pull-push pyramid gives the start, a few Jacobi sweeps per level the smoothness.
    What lies under the hole is never read. A picture with nothing known becomes zero.

    Args:
        values: [B, C, H, W], floating point, any range.
        known: [B, 1, H, W], 1 = known, 0 = hole.

    Returns:
        [B, C, H, W]; known pixels are unchanged to the bit.
    """
    known = (known > 0).to(values.dtype)
    return _fill(blank(values, known), known, sweeps=_FINEST_SWEEPS)


def _fill(values: Tensor, known: Tensor, sweeps: int) -> Tensor:
    height, width = values.shape[-2:]
    if max(height, width) == 1:
        return values
    if values.device.type == "cpu" and bool((known > 0).all()):  # a GPU would be waited for
        return values
    pad = (0, width % 2, 0, height % 2)
    weight = F.avg_pool2d(F.pad(known, pad), 2)
    coarse = F.avg_pool2d(F.pad(values * known, pad), 2) / weight.clamp_min(0.125)
    coarse_known = (weight > 0).to(values.dtype)
    coarse = _fill(coarse, coarse_known, sweeps=min(2 * sweeps, _COARSEST_SWEEPS))
    guess = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
    fixed = known > 0
    filled = torch.where(fixed, values, guess)
    for _ in range(sweeps):
        filled = torch.where(fixed, values, _neighbour_mean(filled))
    return filled


def _neighbour_mean(x: Tensor) -> Tensor:
    """Mean of the four neighbours; at the border a pixel stands in for its missing neighbour."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return 0.25 * (x[..., 1:-1, 2:] + x[..., 1:-1, :-2] + x[..., 2:, 1:-1] + x[..., :-2, 1:-1])
