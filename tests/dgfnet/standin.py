"""A stand-in for the network: a membrane, wrong in the hole by a constant colour, with a fixed texture on top."""

from typing import NamedTuple

import torch
from torch import Tensor

from dgfnet.network.diffusion import harmonic_fill


class Answer(NamedTuple):
    coarse: Tensor
    texture: Tensor
    fused: Tensor


class StandIn(torch.nn.Module):
    """Reads everything that it is given, holes too, so that a caller who shows it a hole is found out."""

    def __init__(self, reach=80, error=0.1, amplitude=0.05, finer=False):
        super().__init__()
        self._reach, self.error, self.amplitude = reach, error, amplitude
        self.finer = finer
        self.seen, self.refined = [], []

    def reach(self):
        return self._reach

    def recurrences_for(self, depth):
        return 1

    def forward(self, image, known, recurrences=None):
        assert image.shape[-1] % 16 == 0
        assert image.shape[-2] % 16 == 0
        assert image.shape[1] == 3
        self.seen.append((image.clone(), known.clone()))
        coarse = harmonic_fill(image, known) - self.error * (1 - known) + 0.5 * image * (1 - known)
        x = torch.arange(image.shape[-1])
        texture = (self.amplitude * torch.sin(x * 1.3)).expand_as(image)
        return Answer(coarse, texture, coarse + texture)

    def refine(self, image, known, structure):
        self.refined.append((image.clone(), known.clone(), structure.clone()))
        x = torch.arange(image.shape[-1])
        texture = (self.amplitude * torch.sin(x * 2.1)).expand_as(image)
        return Answer(structure, texture, structure + texture + 0.5 * image * (1 - known))
