"""Coarse branch: the recurrent feature reasoning network RFR (Li, Wang, Zhang, Du and Tao, CVPR 2020).

At width 1 it computes exactly what the authors' network computes, with parameters of the same shapes (`rfr.py` maps the
names), but as a pure function: nothing is kept on the modules between or within calls.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgfnet.network.layers import ConsistentAttention, Memory, PartialConv2d, conv_bn, in_float32, upconv_bn

MAX_RECURRENCES = 6
STRIDE = 16
"""Input height and width must be multiples of this."""


def reach(recurrences: int) -> int:
    """How far, in pixels, the network fills from a hole's border: 3 + 6 in the stem, 12 per recurrence."""
    return 9 + 12 * recurrences


class FeatureReasoning(nn.Module):
    """The hourglass inside a recurrence, with attention at an eighth of the input's size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c1, c2, c4, c8 = channels, 2 * channels, 4 * channels, 8 * channels
        relu, leaky = nn.ReLU(), nn.LeakyReLU(0.2)
        self.down1 = conv_bn(c1, c2, 3, relu, stride=2)
        self.down2 = conv_bn(c2, c4, 3, relu, stride=2)
        self.down3 = conv_bn(c4, c8, 3, relu, stride=2)
        self.wide4 = conv_bn(c8, c8, 3, relu, dilation=2)
        self.wide5 = conv_bn(c8, c8, 3, relu, dilation=2)
        self.wide6 = conv_bn(c8, c8, 3, relu, dilation=2)
        self.merge5 = conv_bn(2 * c8, c8, 3, leaky, dilation=2)
        self.merge4 = conv_bn(2 * c8, c8, 3, leaky, dilation=2)
        self.up3 = upconv_bn(2 * c8, c8, leaky)
        self.attention = ConsistentAttention(c8)
        self.up2 = upconv_bn(c8 + c4, c4, leaky)
        self.up1 = upconv_bn(c4 + c2, c1, leaky)

    def forward(self, x: Tensor, known: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """[B, C, H, W] at half the picture's size, mask [B, 1, H, W] -> the same shape, memory for the next call."""
        h1 = self.down1(x)
        h2 = self.down2(h1)
        h3 = self.down3(h2)
        h4 = self.wide4(h3)
        h5 = self.wide5(h4)
        h = self.wide6(h5)
        h = self.merge5(torch.cat([h, h5], dim=1))
        h = self.merge4(torch.cat([h, h4], dim=1))
        h = self.up3(torch.cat([h, h3], dim=1))
        h, memory = self.attention(h, known, memory)
        h = self.up2(torch.cat([h, h2], dim=1))
        return self.up1(torch.cat([h, h1], dim=1)), memory


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 4, 1)
        self.reduce = conv_bn(channels, inner, 1, nn.ReLU())
        self.filter = conv_bn(inner, inner, 3, nn.ReLU())
        self.expand = conv_bn(inner, channels, 1, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return F.relu(self.expand(self.filter(self.reduce(x))) + x)


class CoarseBranch(nn.Module):
    """RFR: fills a ring of the hole per recurrence in feature space, then averages the recurrences."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = round(64 * width)
        half = c // 2
        self.entry = PartialConv2d(3, c, 7, stride=2)
        self.entry_norm = nn.BatchNorm2d(c)
        self.widen = PartialConv2d(c, c, 7)
        self.widen_norm = nn.BatchNorm2d(c)
        self.grow1 = PartialConv2d(c, c, 7)
        self.grow2 = PartialConv2d(c, c, 7)
        self.grow_norm = nn.BatchNorm2d(c)
        self.reason = FeatureReasoning(c)
        self.up = nn.ConvTranspose2d(c, c, 4, stride=2, padding=1, bias=False)
        self.up_norm = nn.BatchNorm2d(c)
        self.blend = PartialConv2d(3 + c, half, 3)
        self.refine = Bottleneck(half)
        self.out = nn.Conv2d(2 * half, 3, 3, padding=1, bias=False)

    def forward(self, image: Tensor, known: Tensor, recurrences: int = MAX_RECURRENCES) -> Tensor:
        """Predict every pixel of a picture with a hole.

        Args:
            image: [B, 3, H, W], 0 to 1, zero in the hole; H and W multiples of 16.
            known: [B, 1, H, W], 1 = known, 0 = hole.
            recurrences: rings to fill, 12 px each.

        Returns:
            [B, 3, H, W], not clamped, not composed with the known pixels.
        """
        x, mask = self.entry((image, known))
        x, mask = self.widen((F.relu(self.entry_norm(x)), mask))
        x = F.relu(self.widen_norm(x))

        total, weight, memory = x * mask, mask, Memory()
        for _ in range(recurrences):
            x, mask = self.grow1((x, mask))
            x, mask = self.grow2((x, mask))
            x, memory = self.reason(F.leaky_relu(self.grow_norm(x), 0.01), mask, memory)
            x = x * mask
            total, weight = total + x, weight + mask
        entries = recurrences + 1
        x = (total / entries) / (weight / entries + 1e-7)

        x = F.leaky_relu(self.up_norm(self.up(x)), 0.01)
        mask = F.interpolate(mask, scale_factor=2, mode="nearest")
        x, _ = self.blend((image, known), (x, mask))
        x = F.leaky_relu(x, 0.01)
        return in_float32(self.out, torch.cat([x, self.refine(x)], dim=1))
