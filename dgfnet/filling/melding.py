"""Copies joined by their gradients (Perez et al. 2003; of patches: Darabi et al. 2012, "Image Melding").

Where pieces from different places meet, their colours step, and the mean of copies that differ is dull. Their gradients
know neither: the picture whose gradients are those of what was copied, as nearly as there is one, is as lively as that,
and has no steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dgfnet.filling.patches import PATCH, RADIUS, PyramidLevel, as_field

_STEPS = 5  # each leaves a quarter of the error or less
_SWEEPS = 2  # before and after the coarser grid
_NOTHING = 1e-20  # instead of a zero to divide by
_COARSEST = 4  # px, longer side
_COARSEST_SWEEPS = 40
_DAMPING = 0.8  # of a Jacobi sweep


def meld(at: PyramidLevel, nnf: Tensor, reach: float, report: Callable[[float], None] = lambda fraction: None) -> None:
    """Give a voted region the gradients of what was copied: each pixel those of the copy that is centred on it.

    The region then meets what is known around it, so it differs from the votes in colour.

    Args:
        nnf: [N], the source of each target.
        reach: px, over which it comes back to the colours of the votes.
        report: is told what part is done; may raise to stop it, the region then is of no use.
    """
    colours = at.image[:3]
    missing = torch.zeros_like(colours)  # the divergence of the steps that are copied, less those that are there
    for axis in (-2, -1):
        missing += _missing_steps(at, nnf, axis).diff(dim=axis, prepend=torch.zeros_like(colours.narrow(axis, 0, 1)))
    colours += solve_screened_poisson(-missing, at.region, reach**-2, at.blank, report)
    colours.clamp_(0, 255)


def _missing_steps(at: PyramidLevel, nnf: Tensor, axis: int) -> Tensor:
    """[3, H, W], how much more the copy changes from each pixel of the region, or before it, to the next one."""
    (height, width), image = at.size, at.image[:3].flatten(1)
    step = 1 if axis == -1 else width
    meets = at.region | _next(at.region, axis, False)
    pixels = (meets & ~(at.blank | _next(at.blank, axis, True))).flatten().nonzero()[:, 0]
    row, column = pixels // width, pixels % width
    corner = (row - RADIUS).clamp(0, height - PATCH) * width + (column - RADIUS).clamp(0, width - PATCH)
    place = as_field(at, nnf)[corner] + pixels - corner
    missing = torch.zeros_like(image)
    missing[:, pixels] = image[:, place + step] - image[:, place] - image[:, pixels + step] + image[:, pixels]
    return missing.view(3, height, width)


def _next(pixels: Tensor, axis: int, beyond: bool) -> Tensor:
    """bool [H, W], whether the pixel after each is one of these, and `beyond` for that after the last."""
    last = torch.full_like(pixels.narrow(axis, 0, 1), beyond)
    return torch.cat([pixels.narrow(axis, 1, pixels.shape[axis] - 1), last], axis)


def solve_screened_poisson(
    values: Tensor,
    free: Tensor,
    screening: float,
    walls: Tensor | None = None,
    report: Callable[[float], None] = lambda fraction: None,
) -> Tensor:
    """x that is 0 but where it is `free`, and solves `screening * x - laplacian(x) = values` there, to about 1/1000.

    By conjugate gradients, preconditioned by multigrid.

    Args:
        values: [C, H, W], any range.
        free: bool [H, W].
        screening: above 0, one over the square of how many px x reaches.
        walls: bool [H, W], pixels through which nothing flows, as through the picture's border; none unless given.
        report: is told what part is done; may raise to stop it.

    Returns:
        [C, H, W].
    """
    x = torch.zeros_like(values)
    rows, columns = (free.any(axis).nonzero()[:, 0] for axis in (1, 0))
    if not len(rows):
        return x
    part = tuple(slice(max(int(at[0]) - 1, 0), int(at[-1]) + 2) for at in (rows, columns))
    walls = torch.zeros_like(free) if walls is None else walls
    grid = _Grid.of(*(pixels[part][None].to(values) for pixels in (free, walls)))
    for number, (solution, wanted) in enumerate(zip(x, values, strict=True)):  # one by one, to need less memory
        report(number / len(x))
        solution[part] = _solved(wanted[part][None], grid, screening)[0]
    return x


def _solved(values: Tensor, grid: _Grid, screening: float) -> Tensor:
    """The solution [1, H, W] on a grid."""
    left = last = values * grid.free
    x, direction, progress = torch.zeros_like(left), torch.zeros_like(left), torch.ones_like(left[:, :1, :1])
    for _ in range(_STEPS):
        better = grid.cycle(left, screening)
        direction = better + direction * _dot(left - last, better) / progress  # 0 at first
        progress = _dot(left, better).clamp_min(_NOTHING)
        change = grid.applied(direction, screening)
        length = progress / _dot(direction, change).clamp_min(_NOTHING)
        x += length * direction
        last, left = left, left - length * change
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2), keepdim=True)


@dataclass(frozen=True)
class _Grid:
    """Where the equation is solved, at one scale."""

    free: Tensor  # [1, H, W], 1 or 0
    links: Tensor  # [4, H, W], 1 where something flows between a pixel and its neighbour right, left, below and above
    degree: Tensor  # [H, W], how many of these are 1
    coarser: _Grid | None  # of half the size

    @classmethod
    def of(cls, free: Tensor, walls: Tensor) -> _Grid:
        """With all that are coarser; both [1, H, W], 1 or 0."""
        (inside, *beside) = _shifted(1 - walls)
        links, coarser = torch.cat([inside * neighbour for neighbour in beside]), None
        if max(free.shape[1:]) >= _COARSEST:
            half, walled = _halved(free), _halved(walls, beyond=1.0)
            wholly_free = (half > 0) & (half + walled == 1)  # nothing in it is known
            coarser = cls.of(wholly_free.to(free), (walled == 1).to(free))
        return cls(free, links, links.sum(0), coarser)

    def applied(self, x: Tensor, screening: float) -> Tensor:
        """[C, H, W] -> `screening * x - laplacian(x)` where it is free."""
        answer = (screening + self.degree) * x
        for link, neighbour in zip(self.links, _shifted(x)[1:], strict=True):
            answer -= link * neighbour
        return self.free * answer

    def cycle(self, values: Tensor, screening: float) -> Tensor:
        """One V-cycle for `values` [C, H, W], from x = 0."""
        x = torch.zeros_like(values)
        if self.coarser is None:
            return self._swept(x, values, screening, _COARSEST_SWEEPS)
        x = self._swept(x, values, screening, _SWEEPS)
        left = _halved(values - self.applied(x, screening))
        correction = self.coarser.cycle(4 * self.coarser.free * left, 4 * screening)
        finer = F.interpolate(correction[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
        height, width = self.degree.shape
        return self._swept(x + self.free * finer[:, :height, :width], values, screening, _SWEEPS)

    def _swept(self, x: Tensor, values: Tensor, screening: float, times: int) -> Tensor:
        """After so many damped Jacobi sweeps."""
        share = _DAMPING * self.free / (screening + self.degree)
        for _ in range(times):
            x = x + share * (values - self.applied(x, screening))
        return x


def _shifted(x: Tensor) -> list[Tensor]:
    """x [C, H, W], and what is right, left, below and above of each pixel, 0 beyond the border."""
    (height, width), padded = x.shape[1:], F.pad(x, (1, 1, 1, 1))
    starts = ((1, 1), (1, 2), (1, 0), (2, 1), (0, 1))
    return [padded[:, top : top + height, left : left + width] for top, left in starts]


def _halved(x: Tensor, beyond: float = 0.0) -> Tensor:
    """Means of 2 x 2 pixels of a [C, H, W], where there are none beyond its border as well."""
    return F.avg_pool2d(F.pad(x, (0, x.shape[2] % 2, 0, x.shape[1] % 2), value=beyond), 2)
