"""Training recipes: everything that decides what a run computes, as named, frozen configurations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dgfnet.errors import UserError
from dgfnet.masks import Kind
from dgfnet.model import DEFAULT, DGFNetConfig
from dgfnet.training.data import NONE, Variation
from dgfnet.training.losses import LossWeights


@dataclass(frozen=True)
class Stage:
    """A stretch of training with constant settings.

    `share` of the recipe's steps, crops of `size` px, `batch` of them, learning rate `rate`, falling geometrically to
    `final_rate` where that is given. `frozen_norm` runs BatchNorm on its running statistics: RFR shares it over its
    recurrences, so inference needs a stage like this. `features` switches the perceptual and style losses,
    `adversarial` the discriminator.
    """

    share: float
    size: int
    batch: int
    rate: float
    frozen_norm: bool = False
    features: bool = True
    adversarial: bool = False
    final_rate: float | None = None


@dataclass(frozen=True)
class Recipe:
    """A whole training run.

    `recurrences` is the range that is drawn from at each step. A network that is `finer` is also trained one scale
    finer, on the picture that it made at half the size. `start` names the weights to begin with; none: random ones.
    Those of a narrower network are widened where the recipe `widens`, else their network is the one that is trained.
    With `hours` the run is as long as that instead of `steps`, and so are its stages: for a machine that is lent for a
    time. Such a run is not repeatable to the bit. The factors say by what `slower` and `larger` have multiplied the
    stages that the recipe began with; `batches` are theirs, where `larger` has rounded new ones.
    """

    name: str
    network: DGFNetConfig
    stages: tuple[Stage, ...]
    steps: int
    coarse: LossWeights
    texture: LossWeights
    fused: LossWeights
    recurrences: tuple[int, int] = (6, 6)
    mask_kinds: tuple[Kind, ...] = ("irregular", "square")
    hole_share: tuple[float, float] = (0.1, 0.6)
    short_sides: tuple[int, int] = (256, 512)
    scales: int = 1
    variation: Variation = NONE
    average: float = 0.999
    clip: float = 1.0
    seed: int = 1
    start: str = ""
    widens: bool = False
    hours: float = 0.0
    rate_factor: float = 1.0
    batch_factor: float = 1.0
    batches: tuple[int, ...] = ()
    deviations: tuple[str, ...] = ()

    def stage_at(self, step: int, seconds: float = 0.0) -> Stage:
        """The stage to which step 0, 1, ... belongs, begun after so many seconds of training."""
        return self._place(step, seconds)[0]

    def rate_at(self, step: int, seconds: float = 0.0) -> float:
        """The learning rate of step 0, 1, ..., begun after so many seconds of training."""
        stage, done = self._place(step, seconds)
        return stage.rate * ((stage.final_rate or stage.rate) / stage.rate) ** done

    def is_over(self, step: int, seconds: float = 0.0) -> bool:
        """Are all steps before this one the whole run?"""
        position, length = self._position(step, seconds)
        return position >= length

    def slower(self, factor: float) -> Recipe:
        """The same with `factor` times the learning rates that it began with."""
        change = factor / self.rate_factor

        def scaled(stage: Stage) -> Stage:
            final = None if stage.final_rate is None else stage.final_rate * change
            return replace(stage, rate=stage.rate * change, final_rate=final)

        return replace(self, stages=tuple(map(scaled, self.stages)), rate_factor=factor)

    def larger(self, factor: float) -> Recipe:
        """The same with `factor` times the batches that it began with, rounded, 1 or more."""
        began = self.batches or tuple(stage.batch for stage in self.stages)
        pairs = zip(self.stages, began, strict=True)
        stages = tuple(replace(stage, batch=max(1, round(batch * factor))) for stage, batch in pairs)
        return replace(self, stages=stages, batch_factor=factor, batches=began)

    def _position(self, step: int, seconds: float) -> tuple[float, float]:
        """How far a run has come, and how far it goes: both in seconds or both in steps."""
        return (seconds, 3600 * self.hours) if self.hours else (step, self.steps)

    def _place(self, step: int, seconds: float) -> tuple[Stage, float]:
        """A step's stage, and how much of that lies behind it, 0 to 1."""
        position, length = self._position(step, seconds)
        start = 0.0
        for stage in self.stages:
            end = start + stage.share * length
            if position < round(end):
                return stage, max(0.0, (position - start) / (end - start))
            start = end
        return self.stages[-1], 1.0


def restored(settings: dict[str, Any]) -> Recipe:
    """The recipe of which `dataclasses.asdict` made these settings; those that came later have their defaults.

    Raises:
        UserError: they are of another version of the program.
    """
    try:
        parts = {
            "network": DGFNetConfig(**settings["network"]),
            "stages": tuple(Stage(**stage) for stage in settings["stages"]),
            "variation": Variation(**settings["variation"]),
            **{branch: LossWeights(**settings[branch]) for branch in ("coarse", "texture", "fused")},
        }
        return Recipe(**{**settings, **parts})
    except (KeyError, TypeError) as error:
        raise UserError(
            "The checkpoint is of another version of this program; start a new folder with --out, and --start from "
            "the weights beside the checkpoint."
        ) from error


PAPER = Recipe(
    name="paper",
    network=DGFNetConfig(),
    stages=(
        Stage(share=0.8, size=256, batch=6, rate=5e-4, adversarial=True),
        Stage(share=0.2, size=256, batch=6, rate=5e-5, adversarial=True, frozen_norm=True),
    ),
    steps=600_000,
    coarse=LossWeights(6, 1, 0.1, 180),
    texture=LossWeights(50, 50, 0.1, 180),
    fused=LossWeights(50, 50, 0.1, 180, 0.1),
    average=0.0,
    clip=0.0,
)
"""Section 4.1 of the paper. How long it trained is not printed; RFR's own number of steps stands in."""

_FUSED = LossWeights(50, 50, 30, 1000, 0.1)
"""Perceptual x 300 and style x 5.6: chosen by measurement, docs/training-log.md, 2. and 6."""
_VARIED = Variation(zoom=(0.85, 1.25), aspect=1.2, colour=0.2, darken=0.85)
MEMBRANE = "the coarse branch adds to a membrane over the hole"
"""A deviation that a run has only where its network has."""
_OURS = (
    MEMBRANE,
    "the fused picture's perceptual loss x 300, its style loss x 5.6",
    "a random number of recurrences",
    "crops varied in scale, aspect and colour",
    "moving average of weights",
    "gradients clipped to a norm of 1",
    "holes like objects as a third kind",
    "texture branch and fusion trained at a finer scale too",
)

FULL = replace(
    PAPER,
    name="full",
    network=DGFNetConfig(membrane=True, finer=True),
    stages=(
        Stage(share=0.5, size=128, batch=64, rate=5e-4),
        Stage(share=0.3, size=256, batch=32, rate=3e-4, adversarial=True),
        Stage(share=0.2, size=256, batch=32, rate=5e-5, adversarial=True, frozen_norm=True),
    ),
    steps=40_000,
    fused=_FUSED,
    recurrences=(2, 6),
    mask_kinds=("irregular", "square", "object"),
    scales=3,
    variation=_VARIED,
    average=0.999,
    clip=1.0,
    widens=True,
    deviations=(
        *_OURS,
        "crops of 128 px first",
        "batch 32 and more",
        "each picture at three scales",
        "a third learning rate between the two",
    ),
)

NARROW = replace(
    FULL,
    name="narrow",
    network=DGFNetConfig(width=0.5, detail_width=0.5, membrane=True, finer=True),
    stages=(
        Stage(share=0.45, size=128, batch=8, rate=1e-3, features=False),
        Stage(share=0.35, size=128, batch=8, rate=5e-4, frozen_norm=True),
        Stage(share=0.20, size=192, batch=4, rate=1e-4, frozen_norm=True),
    ),
    steps=4_000,
    coarse=LossWeights(6, 1),
    texture=LossWeights(50, 50),
    short_sides=(224, 448),
    scales=1,
    average=0.998,
    widens=False,
    deviations=(
        *_OURS,
        "half the channels",
        "crops of 128 and 192 px",
        "no discriminator",
        "feature losses for the fused picture only, and none in the first stage",
    ),
)
"""For machines without a GPU, and trainable on one in a night."""

SMALL = replace(
    NARROW,
    name="small",
    network=DGFNetConfig(width=0.25, detail_width=0.25, membrane=True),
    stages=(
        Stage(share=0.5, size=64, batch=8, rate=1e-3, features=False),
        Stage(share=0.5, size=64, batch=8, rate=5e-4, final_rate=2e-5, frozen_norm=True),
    ),
    steps=10_000,
    short_sides=(96, 192),
    deviations=(
        *_OURS[:-1],
        "a quarter of the channels",
        "crops of 64 px",
        "no discriminator",
        "feature losses for the fused picture only, and none in the first stage",
    ),
)
"""For comparing ideas within an hour of one CPU core; too small a network to fill pictures with."""

FINETUNE = replace(
    NARROW,
    name="finetune",
    start=DEFAULT,
    stages=(
        Stage(share=0.5, size=192, batch=2, rate=3e-4, final_rate=1.2e-4, frozen_norm=True),
        Stage(share=0.5, size=256, batch=1, rate=1.2e-4, final_rate=1.5e-5, frozen_norm=True),
    ),
    steps=1_000,
    deviations=(
        *_OURS,
        "training goes on from other weights",
        "crops of 192 and 256 px",
        "no discriminator",
        "feature losses for the fused picture only",
        "a learning rate that falls steadily",
    ),
)
"""On one's own pictures, from the shipped weights (or `--start`); BatchNorm stays as it was."""

BRIEF = replace(
    NARROW,
    name="brief",
    network=FULL.network,
    start=DEFAULT,
    widens=True,
    stages=(
        Stage(share=0.35, size=128, batch=64, rate=5e-4, final_rate=2e-4),
        Stage(share=0.65, size=256, batch=16, rate=3e-4, final_rate=1e-5, frozen_norm=True),
    ),
    steps=8_000,
    short_sides=FULL.short_sides,
    scales=FULL.scales,
    deviations=(
        *_OURS,
        "training goes on from the weights of a narrower network, widened",
        "crops of 128 and 256 px, larger batches",
        "each picture at three scales",
        "no discriminator",
        "feature losses for the fused picture only",
        "a learning rate that falls steadily",
    ),
)
"""The full network in minutes of one large GPU, from the shipped weights (or `--start`)."""

RECIPES = {recipe.name: recipe for recipe in (PAPER, FULL, NARROW, SMALL, FINETUNE, BRIEF)}
