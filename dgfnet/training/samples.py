"""What the network can do so far: fixed crops with fixed holes, filled, as a sheet and as one figure."""

from __future__ import annotations

import copy

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dgfnet.masks import random_masks
from dgfnet.network.layers import composite
from dgfnet.sheets import contact_sheet
from dgfnet.training.data import Crops, PictureBank
from dgfnet.training.losses import hole_loss
from dgfnet.training.recipes import Recipe
from dgfnet.training.trainer import Trainer, set_mode

_CROPS = 8
_COLUMNS = ("input", "coarse", "texture", "fused", "truth")


class Samples:
    """The same crops and holes whenever a run of this recipe asks."""

    def __init__(self, bank: PictureBank, recipe: Recipe) -> None:
        """Crops of the size of the recipe's last stage, with its kinds of holes."""
        size = recipe.stages[-1].size
        generator = torch.Generator().manual_seed(recipe.seed)
        crops = bank.sample(_CROPS, size, generator)
        self.crops = Crops(crops.image.cpu(), crops.texture.cpu())
        self.known = random_masks(recipe.mask_kinds, recipe.hole_share, _CROPS, size, generator)

    @torch.no_grad()
    def judge(self, trainer: Trainer) -> tuple[Image.Image, dict[str, float]]:
        """Sheet and losses of the averaged weights; the trainer is left as it is.

        BatchNorm works as in the trainer's present stage: until it is frozen, running statistics fit no network with
        recurrences.
        """
        network = copy.deepcopy(trainer.average)
        set_mode(network, trainer.stage.frozen_norm)
        image, known = self.crops.image.to(trainer.device), self.known.to(trainer.device)
        with torch.autocast(trainer.device.type, dtype=torch.bfloat16):
            out = network(image, known)
        coarse, texture, fused = (part.float() for part in out)
        filled = composite(fused, image, known)
        rows = zip(
            composite(torch.full_like(image, 0.5), image, known),
            composite(coarse, image, known),
            texture + 0.5,
            filled,
            image,
            strict=True,
        )
        sheet = contact_sheet([[_picture(x) for x in row] for row in rows], _COLUMNS, cell=image.shape[-1])
        figures = {"sample coarse hole": coarse, "sample fused hole": fused}
        return sheet, {name: float(hole_loss(prediction, image, known)) for name, prediction in figures.items()}


def _picture(values: Tensor) -> np.ndarray:
    return values.clamp(0, 1).permute(1, 2, 0).cpu().numpy()
