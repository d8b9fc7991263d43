"""Blocks shared by the branches: partial convolution, knowledge consistent attention, small conveniences."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ATTENTION_BYTES = 128 * 2**20
"""Largest score block [B, queries, keys] kept at once; larger maps are worked through in blocks of queries."""


def composite(prediction: Tensor, image: Tensor, known: Tensor) -> Tensor:
    """Prediction [B, C, H, W] in the hole, `image` where known [B, 1, H, W] is 1. The image is not read in the hole."""
    return torch.where(known > 0, image.to(prediction.dtype), prediction)


def in_float32(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution in float32, also within autocast: a sky in bfloat16's steps of 1/256 has bands."""
    with torch.autocast(x.device.type, enabled=False):
        return convolution(x.float())


def conv_bn(
    inputs: int, outputs: int, kernel: int, activation: nn.Module, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution without bias, BatchNorm, activation; padded so that the size changes by the stride only."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), activation)


def upconv_bn(inputs: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    """Transposed convolution that doubles the size, BatchNorm, activation."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), activation
    )


class PartialConv2d(nn.Module):
    """Convolution over known pixels only (Liu et al. 2018), without bias.

    The input may be several groups of channels, each with a mask of its own; masks have one channel, because all
    channels of a group are known or unknown together. The sum under the window is scaled up by the known share.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.stride = stride

    def forward(self, *groups: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Groups ([B, C, H, W], mask [B, 1, H, W]) -> (features, mask), both at the output's size.

        The new mask is 1 wherever at least one known pixel lay under the window.
        """
        kernel = self.weight.shape[-1]
        seen = [x * mask.to(x.dtype) for x, mask in groups]
        features = torch.cat(seen, dim=1) if len(seen) > 1 else seen[0]
        window = kernel * kernel
        covered = sum(
            F.avg_pool2d(mask.float(), kernel, self.stride, kernel // 2) * (window * x.shape[1]) for x, mask in groups
        )
        assert isinstance(covered, Tensor)
        mask = covered.clamp(0, 1)
        ratio = window * features.shape[1] / (covered + 1e-8) * mask
        out = F.conv2d(features, self.weight, stride=self.stride, padding=kernel // 2)
        return out * ratio.to(out.dtype), mask


class Recall(NamedTuple):
    """What attention must know of one earlier recurrence to weigh its scores again."""

    keys: Tensor  # [B, C, N]
    queries: Tensor  # [B, C, N]
    known: Tensor  # [B, N, 1], was the query known after that recurrence


class Memory(NamedTuple):
    """Scores carried from recurrence to recurrence: whole while they are small, else as what they are made from."""

    scores: Tensor | None = None  # [B, queries, keys]
    past: tuple[Recall, ...] = ()


class ConsistentAttention(nn.Module):
    """Knowledge consistent attention of RFR (Li et al., CVPR 2020, section 3.2).

    Every position is rebuilt from all positions by cosine-like similarity; the scores of earlier recurrences persist
    where the position was known then. Scores are linear in the query, so their 3x3 mean pooling is done on the queries.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ratio = nn.Parameter(torch.ones(1))
        self.combiner = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, known: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Rebuild features from features.

        Args:
            x: [B, C, H, W].
            known: [B, 1, H', W'] mask of this recurrence at any size, resized by nearest neighbour.
            memory: what the last recurrence returned; `Memory()` at the first.

        Returns:
            [B, C, H, W] and the memory for the next recurrence.
        """
        b, c, h, w = x.shape
        with torch.autocast(x.device.type, enabled=False):
            features = x.float()
            shifted = features + 1e-7
            keys = (shifted / shifted.square().sum(1, keepdim=True).sqrt()).flatten(2)
            queries = (F.avg_pool2d(features, 3, 1, 1) * 9).flatten(2)
            here = F.interpolate(known.float(), size=(h, w), mode="nearest").flatten(2).transpose(1, 2)
            now = Recall(keys, queries, here)
            positions = h * w
            if b * positions * positions * features.element_size() <= ATTENTION_BYTES:
                scores = self._scores(now, memory.past[-1].known if memory.past else None, memory.scores, slice(None))
                rebuilt = keys @ scores.transpose(1, 2)
                memory = Memory(scores, (now,))
            else:
                block = max(1, ATTENTION_BYTES // (b * positions * features.element_size()))
                past = (*memory.past, now)
                blocks = (slice(i, i + block) for i in range(0, positions, block))
                rebuilt = torch.cat([keys @ self._replay(past, part).transpose(1, 2) for part in blocks], dim=2)
                memory = Memory(None, past)
        rebuilt = rebuilt.view(b, c, h, w).to(x.dtype)
        return self.combiner(torch.cat([rebuilt, x], dim=1)), memory

    def _scores(self, now: Recall, known: Tensor | None, previous: Tensor | None, block: slice) -> Tensor:
        """Scores [B, queries in block, keys], blended with those of the recurrence before."""
        scores = torch.softmax(now.queries[:, :, block].transpose(1, 2) @ now.keys, dim=2)
        if known is None or previous is None:
            return scores
        known = known[:, block]
        return torch.lerp(scores, previous, known / (known + self.ratio.abs() + 1e-7))

    def _replay(self, past: tuple[Recall, ...], block: slice) -> Tensor:
        """Scores of the last recurrence for a block of queries, recomputed from the first on."""
        scores = self._scores(past[0], None, None, block)
        for before, now in itertools.pairwise(past):
            scores = self._scores(now, before.known, scores, block)
        return scores
