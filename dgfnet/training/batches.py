"""What each step of training is given: truths, holes, and all that the network needs of them but its weights."""

from __future__ import annotations

import hashlib
import random
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dgfnet.masks import MaskFolder, random_masks
from dgfnet.model import DGFNet, Known
from dgfnet.network.diffusion import blank
from dgfnet.training import parallel
from dgfnet.training.data import Crops, PictureBank
from dgfnet.training.recipes import Recipe, Stage
from dgfnet.training.replay import Replay


class Below(NamedTuple):
    """A picture with a hole at half its size, and what the network needs of it there."""

    image: Tensor
    known: Tensor
    prepared: Known


class Batch(NamedTuple):
    """All that a step is given: nothing of it depends on the network's weights."""

    stage: Stage
    crops: Crops
    known: Tensor  # [B, 1, H, H], 1 = known
    recurrences: int
    prepared: Known
    below: Below | None  # for a network that is trained one scale finer too


class Batches:
    """Draws a step's batch; what is random in it depends on the recipe's seed, the step and the process's rank only."""

    def __init__(
        self,
        recipe: Recipe,
        bank: PictureBank,
        masks: MaskFolder | None,
        network: DGFNet,
        device: torch.device,
        graphs: bool,
    ) -> None:
        """`network` says what it needs of a picture; with `graphs` what a GPU does for that is recorded once."""
        self.recipe, self.bank, self.masks, self.device = recipe, bank, masks, device
        self._crops, self._holes = torch.Generator(), torch.Generator(device)
        self._prepare, self._prepare_half = (
            Replay(lambda given: network.prepare(*given), device, graphs, copies=True) for _ in range(2)
        )

    def draw(self, stage: Stage, step: int) -> Batch:
        """The batch of step 0, 1, ...; the number of recurrences is the same in all processes."""
        seed = _seed(self.recipe.seed, parallel.rank(), step)
        self._crops.manual_seed(seed)
        self._holes.manual_seed(seed)
        crops = self.bank.sample(stage.batch, stage.size, self._crops, self.recipe.variation)
        crops = Crops(crops.image.to(self.device), crops.texture.to(self.device))
        kinds, share = self.recipe.mask_kinds, self.recipe.hole_share
        known = random_masks(kinds, share, stage.batch, stage.size, self._holes)
        if self.masks is not None:
            known = self.masks.mix_into(known, 1 / (len(kinds) + 1), self._crops)
        low, high = self.recipe.recurrences
        recurrences = random.Random(_seed(self.recipe.seed, step)).randint(low, high)
        prepared = self._prepare(crops.image.shape, 0, (crops.image, known))
        below = self.halved(crops.image, known) if self.recipe.network.finer else None
        return Batch(stage, crops, known, recurrences, prepared, below)

    def halved(self, image: Tensor, known: Tensor) -> Below:
        """A picture with a hole at half its size; nothing under the hole is read."""
        small_known = (F.avg_pool2d(known, 2) == 1).float()
        small = F.avg_pool2d(blank(image, known), 2)
        return Below(small, small_known, self._prepare_half(small.shape, 0, (small, small_known)))


def _seed(*numbers: int) -> int:
    """One seed of several numbers, far from that of their neighbours."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:7], "big")
