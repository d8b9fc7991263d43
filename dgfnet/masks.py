"""Random holes for training and evaluation, made on the device. 1 = known, 0 = hole."""

from __future__ import annotations

import math
import pathlib
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from dgfnet.photographs import read_pictures

Colour = Literal["white", "black"]
Kind = Literal["irregular", "square", "object"]
KINDS: tuple[Kind, ...] = ("irregular", "square", "object")

_SEGMENTS = 64
_RADIUS = (5.0, 14.0)  # half stroke width in px
_STEP = (12.0, 60.0)  # length of a stroke's segment in px
_TOGETHER = 8  # segments drawn at once


def random_masks(
    kinds: tuple[Kind, ...], share: tuple[float, float], batch: int, size: int, generator: torch.Generator
) -> Tensor:
    """Random holes, one of `kinds` per mask, each covering a share of the area drawn from `share`.

    Args:
        share: lowest and highest hole share, 0 to 1.
        generator: its device is where the masks are made.

    Returns:
        [batch, 1, size, size], float32, 1 = known.
    """
    device = generator.device
    shares = torch.empty(batch, device=device).uniform_(*share, generator=generator)
    here = generator if device.type == "cpu" else torch.Generator().manual_seed(generator.initial_seed())
    choice = torch.randint(len(kinds), (batch,), generator=here)  # on the CPU: nothing waits for a GPU to say it
    known = torch.ones(batch, 1, size, size, device=device)
    for index, kind in enumerate(kinds):
        picked = (choice == index).nonzero().flatten().to(device, non_blocking=True)
        if len(picked):
            known[picked] = _MAKERS[kind](shares[picked], size, generator)
    return known


def irregular(share: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Brush strokes: capsules along random walks, as many as come nearest to each share [B]."""
    b, device = len(share), generator.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(b, _SEGMENTS, device=device).uniform_(low, high, generator=generator)

    angle = (uniform(-1, 1) * 0.8).cumsum(1) + uniform(0, 2 * math.pi)[:, :1]
    restart = uniform(0, 1) < 0.15
    restart[:, 0] = True
    step = torch.stack([angle.cos(), angle.sin()], dim=-1) * uniform(*_STEP)[..., None]
    origin = torch.stack([uniform(0, size), uniform(0, size)], dim=-1)
    start = torch.empty_like(origin)
    position = origin[:, 0]
    for i in range(_SEGMENTS):
        position = torch.where(restart[:, i, None], origin[:, i], position)
        start[:, i] = position
        position = (position + step[:, i]) % size
    radius = uniform(*_RADIUS) * restart
    stroke = restart.long().cumsum(1) - 1
    radius = radius.new_zeros(b, _SEGMENTS).scatter_add_(1, stroke, radius).gather(1, stroke)

    grid = torch.arange(size, device=device) + 0.5
    order = torch.full((b, size, size), _SEGMENTS, device=device)
    for first in reversed(range(0, _SEGMENTS, _TOGETHER)):
        few = slice(first, first + _TOGETHER)
        s, d = start[:, few, :, None, None], step[:, few, :, None, None]
        x, y = grid.view(1, 1, 1, -1) - s[:, :, 0], grid.view(1, 1, -1, 1) - s[:, :, 1]
        along = ((x * d[:, :, 0] + y * d[:, :, 1]) / (d * d).sum(2)).clamp(0, 1)
        distance = (x - along * d[:, :, 0]).square() + (y - along * d[:, :, 1]).square()
        near = distance < radius[:, few, None, None].square()
        for i in reversed(range(_TOGETHER)):
            order = torch.where(near[:, i], first + i, order)
    counts = radius.new_zeros(b, _SEGMENTS + 1)
    counts.scatter_add_(1, order.flatten(1), counts.new_ones(1, 1).expand(b, size**2))
    covered = counts[:, :_SEGMENTS].cumsum(1) / size**2
    last = (covered - share[:, None]).abs().argmin(1)
    return (order > last[:, None, None]).float()[:, None]


def square(share: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """One square of each share [B] at a random place."""
    side = (share.sqrt() * size).round()[:, None]
    corner = torch.rand(len(share), 2, device=generator.device, generator=generator) * (size - side)
    grid = torch.arange(size, device=generator.device)[None]
    low = corner.floor()
    x = (grid >= low[:, :1]) & (grid < low[:, :1] + side)
    y = (grid >= low[:, 1:]) & (grid < low[:, 1:] + side)
    return 1 - (x[:, None, :] & y[:, :, None]).float()[:, None]


def blob(share: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A few round shapes of each share [B]: smooth noise, weighted towards a random centre, cut at the quantile."""
    b, device = len(share), generator.device
    noise = torch.randn(b, 1, 6, 6, device=device, generator=generator)
    noise = F.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)[:, 0]
    grid = (torch.arange(size, device=device) + 0.5) / size
    centre = 0.2 + 0.6 * torch.rand(b, 2, device=device, generator=generator)
    distance = (grid.view(1, 1, -1) - centre[:, :1, None]).square() + (
        grid.view(1, -1, 1) - centre[:, 1:, None]
    ).square()
    height = (noise - 8 * distance).flatten(1)
    cut = torch.quantile(height, 1 - share, dim=1).diagonal()  # every share of every height: b times b, in one sort
    return (height <= cut[:, None]).float().view(b, 1, size, size)


_MAKERS = {"irregular": irregular, "square": square, "object": blob}


def hole_of(picture: Image.Image, holes: Colour) -> np.ndarray:
    """Where a drawn mask has its hole, bool [H, W]; grey is divided in the middle."""
    return (np.asarray(picture.convert("L")) > 127) == (holes == "white")


class MaskFolder:
    """Holes drawn by others: black and white pictures, used at random sizes, places and orientations."""

    def __init__(self, folder: str | pathlib.Path, holes: Colour) -> None:
        """`holes` is the colour of a hole; nothing about it is guessed.

        Raises:
            UserError: there is no mask in the folder.
        """
        self.masks: list[Tensor] = []
        for _, picture in read_pictures([str(folder)]):
            self.masks.append(torch.from_numpy(~hole_of(picture, holes)))

    def sample(self, batch: int, size: int, generator: torch.Generator) -> Tensor:
        """[batch, 1, size, size], 1 = known: each a square of half to all of a mask's short side, turned and mirrored.

        Args:
            generator: on the CPU.
        """
        return torch.stack([self._draw(size, generator) for _ in range(batch)])

    def _draw(self, size: int, generator: torch.Generator) -> Tensor:
        mask = self.masks[int(torch.randint(len(self.masks), (1,), generator=generator))]
        zoom, u, v = torch.rand(3, generator=generator).tolist()
        turns, mirrored = torch.randint(4, (2,), generator=generator).tolist()
        side = max(1, round(min(mask.shape) * (0.5 + 0.5 * zoom)))
        y, x = (int(w * (length - side + 1)) for w, length in zip((u, v), mask.shape, strict=True))
        part = mask[y : y + side, x : x + side].rot90(turns)
        part = part.flip(-1) if mirrored % 2 else part
        return F.interpolate(part[None, None].float(), size=(size, size), mode="nearest")[0]

    def mix_into(self, known: Tensor, share: float, generator: torch.Generator) -> Tensor:
        """Replace each of the masks [B, 1, H, H] with probability `share` by one of these."""
        drawn = self.sample(len(known), known.shape[-1], generator).to(known.device, non_blocking=True)
        replaced = (torch.rand(len(known), generator=generator) < share).to(known.device, non_blocking=True)
        return torch.where(replaced[:, None, None, None], drawn, known)
