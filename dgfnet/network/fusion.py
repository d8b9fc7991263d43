"""Fusion network: coarse picture and texture, merged scale by scale (paper section 3.3)."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgfnet.network.layers import conv_bn, in_float32
from dgfnet.network.texture import double


class DifferencePerception(nn.Module):
    """Difference perception fusion module (DPFM, Fig. 3): each stream is gated by what both streams say.

    Every convolution has stride 2, so a module halves the size.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gates = conv_bn(2 * inputs, 2 * outputs, 3, nn.Sigmoid(), stride=2)
        self.coarse = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.texture = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.coarse_norm = nn.BatchNorm2d(outputs)
        self.texture_norm = nn.BatchNorm2d(outputs)

    def forward(self, coarse: Tensor, texture: Tensor) -> tuple[Tensor, Tensor]:
        """F_c and F_t [B, C, H, W] -> F_c' and F_t' [B, C', H/2, W/2]; F_out, eq. (4), is their concatenation."""
        gate_c, gate_t = self.gates(torch.cat([coarse, texture], dim=1)).chunk(2, dim=1)  # eq. (1)
        coarse = self.coarse_norm(gate_c * F.leaky_relu(self.coarse(coarse), 0.2))  # eq. (2)
        texture = self.texture_norm(gate_t * F.leaky_relu(self.texture(texture), 0.2))  # eq. (3)
        return coarse, texture


class PlainFusion(nn.Module):
    """The ablation's stand-in for a DPFM: the same convolutions without gates ("w/o DPFM" in Table 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(0.2)
        self.coarse = conv_bn(inputs, outputs, 3, leaky, stride=2)
        self.texture = conv_bn(inputs, outputs, 3, leaky, stride=2)

    def forward(self, coarse: Tensor, texture: Tensor) -> tuple[Tensor, Tensor]:
        """F_c and F_t [B, C, H, W] -> the same at half the size, each on its own."""
        return self.coarse(coarse), self.texture(texture)


class FusionNetwork(nn.Module):
    """Encodes both inputs, merges them in four cascaded modules, decodes with skips of merged and coarse features."""

    def __init__(self, width: float = 1.0, perceive: bool = True) -> None:
        super().__init__()
        c = round(32 * width)
        sizes = [c, 2 * c, 4 * c, 8 * c, 8 * c]  # at 1, 1/2, 1/4, 1/8, 1/16 of the picture
        leaky = nn.LeakyReLU(0.2)
        module = DifferencePerception if perceive else PlainFusion
        steps = list(itertools.pairwise(sizes))
        self.encode_coarse = nn.Sequential(conv_bn(4, c, 5, leaky), conv_bn(c, c, 3, leaky))
        self.encode_texture = nn.Sequential(conv_bn(4, c, 5, leaky), conv_bn(c, c, 3, leaky))
        self.merge = nn.ModuleList(module(a, b) for a, b in steps)
        self.skip = nn.ModuleList(conv_bn(a, b, 3, leaky, stride=2) for a, b in steps)
        self.bottom = conv_bn(3 * sizes[4], sizes[4], 3, leaky)
        self.decode = nn.ModuleList(conv_bn(below + 3 * here, here, 3, leaky) for here, below in reversed(steps[1:]))
        self.top = conv_bn(sizes[1] + 2 * c, c, 3, leaky)
        self.out = nn.Conv2d(c, 3, 3, padding=1)
        nn.init.zeros_(self.out.weight)  # an untrained fusion changes nothing

    def forward(self, coarse: Tensor, texture: Tensor, known: Tensor) -> Tensor:
        """Final picture, as a change to the coarse one.

        Args:
            coarse: [B, 3, H, W], the coarse result composed with the known pixels; H and W multiples of 16.
            texture: [B, 3, H, W], the generated texture composed with the known texture, signed.
            known: [B, 1, H, W], 1 = known, 0 = hole.

        Returns:
            [B, 3, H, W], not clamped, not composed.
        """
        known = known.to(coarse.dtype)
        f_c = self.encode_coarse(torch.cat([coarse, known], dim=1))
        f_t = self.encode_texture(torch.cat([texture, known], dim=1))
        skips = [torch.cat([f_c, f_t], dim=1)]
        s = f_c
        for merge, skip in zip(self.merge, self.skip, strict=True):
            f_c, f_t = merge(f_c, f_t)
            s = skip(s)
            skips.append(torch.cat([f_c, f_t, s], dim=1))
        h = self.bottom(skips.pop())
        for decode in self.decode:
            h = decode(torch.cat([double(h), skips.pop()], dim=1))
        h = self.top(torch.cat([double(h), skips.pop()], dim=1))
        return coarse + in_float32(self.out, h)
