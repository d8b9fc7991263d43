"""SN-PatchGAN discriminator (Yu et al. 2019): judges every patch of a picture, under spectral normalisation."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Six 5x5 convolutions of stride 2 on picture and mask."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = round(64 * width)
        sizes = [4, c, 2 * c, 4 * c, 4 * c, 4 * c, 4 * c]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 5, stride=2, padding=2)) for a, b in itertools.pairwise(sizes)
        )

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        """[B, 3, H, W] and [B, 1, H, W] -> a map of scores [B, C, H/64, W/64]; positive means real."""
        x = torch.cat([image, known.to(image.dtype)], dim=1)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)
