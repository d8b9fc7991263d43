"""The losses of paper section 3.4, eqs. (5) to (10). Pure functions; every one returns a scalar."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    """The lambdas of eq. (10) for one branch."""

    hole: float
    valid: float
    perceptual: float = 0.0
    style: float = 0.0
    adversarial: float = 0.0

    @property
    def features(self) -> bool:
        """Are VGG features needed?"""
        return self.perceptual > 0 or self.style > 0


def hole_loss(prediction: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Mean over the whole tensor of the absolute difference inside the hole."""
    return ((prediction - truth).abs() * (1 - known)).mean()


def valid_loss(prediction: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Mean over the whole tensor of the absolute difference outside the hole."""
    return ((prediction - truth).abs() * known).mean()


def perceptual_loss(prediction: list[Tensor], truth: list[Tensor]) -> Tensor:
    """Eq. (5): mean absolute difference of each pool's features, summed over the pools."""
    return torch.stack([F.l1_loss(p.float(), t.float()) for p, t in zip(prediction, truth, strict=True)]).sum()


def gram(features: Tensor) -> Tensor:
    """Eq. (6): [B, C, H, W] -> products of all pairs of channels [B, C, C], per element of the feature map."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / (features.shape[1] * flat.shape[2])


def style_loss(prediction: list[Tensor], truth: list[Tensor]) -> Tensor:
    """Eq. (7): mean absolute difference of the Gram matrices, summed over the pools."""
    return torch.stack([F.l1_loss(gram(p), gram(t)) for p, t in zip(prediction, truth, strict=True)]).sum()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. (8): hinge loss; `fake` are the scores of completed pictures."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def adversarial_loss(fake: Tensor) -> Tensor:
    """Eq. (9), for the generator: hinge on the scores of completed pictures."""
    return F.relu(1 - fake).mean()
