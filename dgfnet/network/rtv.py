"""Structure / texture split by relative total variation (Xu, Yan, Xia and Jia, SIGGRAPH Asia 2012).

An image I is the sum of a structure S = rtv(I), smooth but for its main edges, and a signed texture T = I - S.
Each outer iteration solves (1 + lambda / 2 * L(wx, wy)) S = I, where L is the five-point Laplacian whose weights are
small where local gradients agree (edges) and large where they cancel (texture).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LAMBDA = 0.01
SIGMA = 3.0
SHARPNESS = 0.02
"""Gradients below this are not told apart; smaller keeps more edges."""
OUTER_ITERATIONS = 4
"""Re-weighted solves."""

EXACT = 80
"""Solver iterations per outer step: largest error below 1/255 against the original's direct solution."""
FAST = 30
"""For the network's input, in 3/8 of the time: largest error below 5/255, mean below 0.4/255 on three photographs."""

_EPSILON = 1e-3  # the original's floor under the windowed variation


@torch.compiler.disable  # hundreds of solver steps, which a compiler would unroll for minutes
@torch.no_grad()
def rtv(
    image: Tensor,
    lam: float = LAMBDA,
    sigma: float = SIGMA,
    solver_iterations: int = EXACT,
) -> Tensor:
    """Structure of an image; its texture is `image - rtv(image)`. Computed in float32, also within autocast.

    Args:
        image: [B, C, H, W], float, 0 to 1. The channels share their weights, pictures of a batch do not.
        lam: strength of the smoothing (the paper's lambda).
        sigma: largest scale, in pixels, of what counts as texture; halved at each outer iteration, not below 0.5.
        solver_iterations: conjugate gradient steps per solve, started from the last solution; `EXACT` or `FAST`.

    Returns:
        [B, C, H, W], float32.
    """
    image = image.float()
    structure = image.clone()
    with torch.autocast(image.device.type, enabled=False):
        for _ in range(OUTER_ITERATIONS):
            wx, wy = _weights(structure, sigma)
            structure = _solve(0.5 * lam * wx, 0.5 * lam * wy, image, structure, solver_iterations)
            sigma = max(sigma / 2, 0.5)
    return structure


def masked_texture(membrane: Tensor, known: Tensor) -> Tensor:
    """Texture of a picture with a hole, the texture branch's input in training and serving alike.

    The hole is filled by a membrane first: the edge that a blank hole would make is an error as large as the texture.

    Args:
        membrane: the picture [B, 3, H, W], 0 to 1, with its hole filled by `harmonic_fill`.
        known: [B, 1, H, W], 1 = known, 0 = hole.

    Returns:
        [B, 3, H, W], about -0.5 to 0.5, zero in the hole.
    """
    return (membrane - rtv(membrane, solver_iterations=FAST)) * (known > 0)


def _weights(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Edge weights [B, 1, H, W-1] and [B, 1, H-1, W] of the re-weighted Laplacian."""
    dx, dy = x.diff(dim=-1), x.diff(dim=-2)
    norm = torch.sqrt(F.pad(dx, (0, 1)).square() + F.pad(dy, (0, 0, 0, 1)).square()).mean(1, keepdim=True)
    sharp = 1 / norm.clamp_min(SHARPNESS)
    blurred = gaussian_blur(x, sigma)
    wx = sharp[..., :-1] / blurred.diff(dim=-1).abs().mean(1, keepdim=True).clamp_min(_EPSILON)
    wy = sharp[..., :-1, :] / blurred.diff(dim=-2).abs().mean(1, keepdim=True).clamp_min(_EPSILON)
    return wx, wy


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Of [B, C, H, W]: separable, zero-padded, with the original's kernel size round(5 sigma) | 1 (halves round up)."""
    radius = (math.floor(5 * sigma + 0.5) | 1) // 2
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = kernel / kernel.sum()
    return _convolved(_convolved(x, kernel, axis=3), kernel, axis=2)


def _convolved(x: Tensor, kernel: Tensor, axis: int) -> Tensor:
    """[B, C, H, W] along an axis, zero-padded; on a CPU shifted pictures are summed, ten times as fast as `conv2d`."""
    radius = len(kernel) // 2
    pad = (0, radius) if axis == 3 else (radius, 0)
    if x.device.type != "cpu":
        window = kernel.view(1, 1, 1, -1) if axis == 3 else kernel.view(1, 1, -1, 1)
        return F.conv2d(x.flatten(0, 1)[:, None], window, padding=pad).view_as(x)
    padded = F.pad(x, (pad[1], pad[1], pad[0], pad[0]))
    total = torch.zeros_like(x)
    for step, weight in enumerate(kernel.tolist()):
        total.add_(padded.narrow(axis, step, x.shape[axis]), alpha=weight)
    return total


def _solve(wx: Tensor, wy: Tensor, rhs: Tensor, x: Tensor, iterations: int) -> Tensor:
    """(1 + L(wx, wy)) x = rhs by conjugate gradients with a Jacobi preconditioner, `x` being the start.

    The preconditioner is folded into the system: divided by the roots of its diagonal on both sides, that is one.
    """
    diagonal = torch.ones_like(rhs[:, :1])
    diagonal[..., :-1] += wx
    diagonal[..., 1:] += wx
    diagonal[..., :-1, :] += wy
    diagonal[..., 1:, :] += wy
    scale = diagonal.rsqrt()
    wx = wx * scale[..., :-1] * scale[..., 1:]
    wy = wy * scale[..., :-1, :] * scale[..., 1:, :]

    def apply(v: Tensor) -> Tensor:
        out = v.clone()
        out[..., :-1].addcmul_(wx, v[..., 1:], value=-1)
        out[..., 1:].addcmul_(wx, v[..., :-1], value=-1)
        out[..., :-1, :].addcmul_(wy, v[..., 1:, :], value=-1)
        out[..., 1:, :].addcmul_(wy, v[..., :-1, :], value=-1)
        return out

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return torch.linalg.vecdot(a.flatten(2), b.flatten(2))[..., None, None]

    x = (x / scale).contiguous()  # rows must lie in memory as rows: on strided ones this takes twice the time
    residual = (rhs * scale).contiguous() - apply(x)
    direction = residual.clone()
    rho = dot(residual, residual)
    tiny = torch.finfo(x.dtype).tiny  # a solved system keeps its solution instead of dividing 0 by 0
    for _ in range(iterations):
        q = apply(direction)
        alpha = rho / dot(direction, q).clamp_min(tiny)
        x.addcmul_(alpha, direction)
        residual.addcmul_(alpha, q, value=-1)
        rho, previous = dot(residual, residual), rho
        torch.addcmul(residual, direction, rho / previous.clamp_min(tiny), out=direction)
    return x * scale
