"""Texture branch: a simple encoder-decoder from masked texture to texture (paper section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgfnet.network.layers import conv_bn, in_float32


class DilatedBlock(nn.Module):
    """Two 3x3 convolutions, the first dilated, around a residual."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.widen = conv_bn(channels, channels, 3, nn.ReLU(), dilation=dilation)
        self.filter = conv_bn(channels, channels, 3, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return F.relu(x + self.filter(self.widen(x)))


class TextureBranch(nn.Module):
    """Three strides down, dilated blocks that see across a hole, three steps up with skip connections."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = round(32 * width)
        relu, leaky = nn.ReLU(), nn.LeakyReLU(0.2)
        self.down0 = conv_bn(4, c, 5, relu)
        self.down1 = conv_bn(c, 2 * c, 3, relu, stride=2)
        self.down2 = conv_bn(2 * c, 4 * c, 3, relu, stride=2)
        self.down3 = conv_bn(4 * c, 8 * c, 3, relu, stride=2)
        self.across = nn.Sequential(*(DilatedBlock(8 * c, dilation) for dilation in (2, 4, 8, 1)))
        self.up2 = conv_bn(8 * c + 4 * c, 4 * c, 3, leaky)
        self.up1 = conv_bn(4 * c + 2 * c, 2 * c, 3, leaky)
        self.up0 = conv_bn(2 * c + c, c, 3, leaky)
        self.out = nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, texture: Tensor, known: Tensor) -> Tensor:
        """Predict the texture of every pixel.

        Args:
            texture: [B, 3, H, W], signed, zero in the hole; H and W multiples of 8.
            known: [B, 1, H, W], 1 = known, 0 = hole.

        Returns:
            [B, 3, H, W], signed, about -0.5 to 0.5.
        """
        h0 = self.down0(torch.cat([texture, known.to(texture.dtype)], dim=1))
        h1 = self.down1(h0)
        h2 = self.down2(h1)
        h = self.across(self.down3(h2))
        h = self.up2(torch.cat([double(h), h2], dim=1))
        h = self.up1(torch.cat([double(h), h1], dim=1))
        h = self.up0(torch.cat([double(h), h0], dim=1))
        return in_float32(self.out, h)


def double(x: Tensor) -> Tensor:
    """Twice the height and width by repetition; a convolution always follows."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
