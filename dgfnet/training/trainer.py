"""The trainer: one step of joint training of both branches and the fusion network, resumable at any step."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dgfnet.errors import UserError
from dgfnet.masks import MaskFolder
from dgfnet.model import DGFNet, Output
from dgfnet.network.discriminator import PatchDiscriminator
from dgfnet.network.layers import composite
from dgfnet.training import losses, parallel
from dgfnet.training.ahead import Ahead
from dgfnet.training.batches import Batch, Batches, Below
from dgfnet.training.data import Crops, PictureBank
from dgfnet.training.divergence import Diverged, Watch
from dgfnet.training.features import VGGFeatures
from dgfnet.training.losses import LossWeights
from dgfnet.training.recipes import Recipe, Stage, restored
from dgfnet.training.replay import Replay

Module = TypeVar("Module", bound=nn.Module)


_MID_GREY = 0.5
"""The feature network expects pictures from 0 to 1: a texture is shown on this."""


class Wanted(NamedTuple):
    """Features of the true pictures and of their textures; none where no loss asks for them."""

    image: list[Tensor] | None
    texture: list[Tensor] | None


class Trainer:
    """Everything that a run changes: networks, optimisers, moving average, step count.

    `used` says of what comes from outside the recipe whether any sitting had it.
    What is random in a step depends on its number (`Batches`): a resumed run needs no generator's state.
    """

    def __init__(
        self,
        recipe: Recipe,
        bank: PictureBank,
        features: VGGFeatures | None,
        device: torch.device | str = "cpu",
        masks: MaskFolder | None = None,
        compiled: bool = False,
        graphs: bool = True,
        start: DGFNet | None = None,
        origin: str = "",
    ) -> None:
        """A run at its first step.

        Args:
            masks: joins the recipe's kinds of holes as one more.
            compiled: run the networks through torch.compile.
            graphs: record what a GPU does in a step, and play it back.
            start: begin with this network's weights; random ones unless given.
            origin: what those weights are, in words, for the records.
        """
        self.recipe, self.bank = recipe, bank
        self.device = torch.device(device)
        torch.manual_seed(recipe.seed)
        self.network = _place(DGFNet(recipe.network), self.device)
        if start is not None:
            self.network.load_state_dict(start.state_dict())
        self.origin = origin
        self.average = _place(DGFNet(recipe.network), self.device).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self.discriminator = PatchDiscriminator(recipe.network.width).to(self.device)
        fused = self.device.type == "cuda"
        self.optimizer = torch.optim.Adam(self.network.parameters(), fused=fused)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), fused=fused)
        self.features = _place(features, self.device) if features else None
        if compiled:
            self._compile()
        self._parameters = [*self.network.parameters(), *self.discriminator.parameters()]
        self._averaged = _states(self.average, self.network)
        self._make_gradients = Replay(self._gradients, self.device, graphs)
        self.batches = Batches(recipe, bank, masks, self.network, self.device, graphs)
        self.ahead = Ahead(self._batch, self.device)
        self.watch = Watch()
        self.used = {"features": features is not None, "masks": masks is not None}
        self.step = 0
        self.seconds = 0.0

    def _compile(self) -> None:
        """Have the networks' parts compiled when they first run.

        Not the whole, of which there is one for each number of recurrences. Still each part is compiled anew for every
        size of crop, with and without gradients, and with either kind of BatchNorm.
        """
        torch._dynamo.config.recompile_limit = 64
        network = self.network
        parts: list[nn.Module] = [network.coarse.reason, self.discriminator]
        if network.config.fusion != "none":
            parts += [network.texture, network.fusion]
        if self.features:
            parts.append(self.features)
        for part in parts:
            part.compile(dynamic=False)

    @property
    def stage(self) -> Stage:
        """That of the step to come."""
        return self.recipe.stage_at(self.step, self.seconds)

    @property
    def over(self) -> bool:
        """Is the recipe's end reached?"""
        return self.recipe.is_over(self.step, self.seconds)

    def run(self, steps: int | None = None) -> Iterator[dict[str, float]]:
        """Train until so many steps are made in all, or else the recipe's end.

        Yields every step's losses; each is the mean over all processes.

        Raises:
            Diverged: a loss or gradient is not finite (no weight was changed by that step), or losses grow.
        """
        clock = time.perf_counter()
        while not self.over if steps is None else self.step < steps:
            batch = self.ahead.take(self.step)
            terms = self.gradients(batch)
            norms, report = self._measure(batch.stage, terms)
            self.ahead.start(self.step + 1)  # before the device is waited for
            values = self._update(batch.stage, terms, norms, report)
            self.watch.see(values, self.step, batch.stage)
            self.step += 1
            before, clock = clock, time.perf_counter()
            self.seconds += clock - before  # with what is done between two steps: sheets, checkpoints
            if self.recipe.hours:  # the stage depends on them
                self.seconds = parallel.agreed(self.seconds, self.device)
            yield values

    def _batch(self, step: int) -> Batch:
        return self.batches.draw(self.recipe.stage_at(step, self.seconds), step)

    def gradients(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a step, their gradients made; no weight changes, no other process is asked."""
        terms, gradients = self._make_gradients(batch.stage, batch.recurrences, batch)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return terms

    def _gradients(self, batch: Batch) -> tuple[dict[str, Tensor], list[Tensor | None]]:
        stage, crops, known, recurrences, prepared, below = batch
        set_mode(self.network, stage.frozen_norm)
        terms: dict[str, Tensor] = {}
        wanted = self._wanted(stage, crops)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            outputs = [self.network(crops.image, known, recurrences, prepared)]
            if below is not None:
                structure = self._from_below(below, recurrences)
                outputs.append(self.network.refine(crops.image, known, structure, prepared))
        total = torch.zeros((), device=self.device)
        for role, out in zip(("", "finer "), outputs, strict=False):
            total = total + self._generator_loss(out, crops, known, wanted, terms, role)
        if stage.adversarial:
            completed = torch.cat([composite(o.fused.float(), crops.image, known) for o in outputs])
            holes = known.repeat(len(outputs), 1, 1, 1)
            self.discriminator.requires_grad_(False)
            terms["adversarial"] = losses.adversarial_loss(self.discriminator(completed, holes))
            total = total + self.recipe.fused.adversarial * terms["adversarial"]
        terms = {"total": total, **terms}
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        if stage.adversarial:
            terms["discriminator"] = self._judge(crops.image, completed.detach(), known, holes)
        return {name: term.detach() for name, term in terms.items()}, [p.grad for p in self._parameters]

    @torch.no_grad()
    def _from_below(self, below: Below, recurrences: int) -> Tensor:
        """The picture as the network fills it at half the size, enlarged: what `DGFNet.refine` gets in use."""
        out = self.network(below.image, below.known, recurrences, below.prepared)
        filled = composite(out.fused, below.image, below.known)
        return F.interpolate(filled.float(), scale_factor=2, mode="bilinear", align_corners=False)

    def _wanted(self, stage: Stage, crops: Crops) -> Wanted:
        """The features of the truths, as far as this stage's losses ask for them."""
        if not stage.features or self.features is None:
            return Wanted(None, None)
        has_texture = self.recipe.network.fusion != "none" and self.recipe.texture.features
        return Wanted(self._features(crops.image), self._features(crops.texture + _MID_GREY) if has_texture else None)

    def _generator_loss(
        self,
        out: Output,
        crops: Crops,
        known: Tensor,
        wanted: Wanted,
        terms: dict[str, Tensor],
        role: str,
    ) -> Tensor:
        """Eq. (10) without its adversarial term, of all branches; in the role "finer " of all but the coarse one."""
        recipe = self.recipe
        total = torch.zeros((), device=self.device)
        if not role:
            total = self._branch("coarse", out.coarse, crops.image, known, recipe.coarse, wanted.image, terms)
        if recipe.network.fusion != "none":
            texture = (out.texture, crops.texture, known, recipe.texture, wanted.texture, terms, _MID_GREY)
            total = total + self._branch(f"{role}texture", *texture)
            fused = (out.fused, crops.image, known, recipe.fused, wanted.image, terms)
            total = total + self._branch(f"{role}fused", *fused)
        return total

    def _branch(
        self,
        name: str,
        prediction: Tensor,
        truth: Tensor,
        known: Tensor,
        weights: LossWeights,
        wanted: list[Tensor] | None,
        terms: dict[str, Tensor],
        offset: float = 0.0,
    ) -> Tensor:
        """Eq. (10) for one branch, without the adversarial term; `wanted` are the features of the truth."""
        prediction = prediction.float()
        hole = terms[f"{name} hole"] = losses.hole_loss(prediction, truth, known)
        valid = terms[f"{name} valid"] = losses.valid_loss(prediction, truth, known)
        total = weights.hole * hole + weights.valid * valid
        if wanted is not None and weights.features:
            found = self._features(composite(prediction, truth, known) + offset)
            perceptual = terms[f"{name} perceptual"] = losses.perceptual_loss(found, wanted)
            style = terms[f"{name} style"] = losses.style_loss(found, wanted)
            total = total + weights.perceptual * perceptual + weights.style * style
        return total

    def _features(self, picture: Tensor) -> list[Tensor]:
        assert self.features is not None
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            return self.features(picture)

    def _judge(self, real: Tensor, fake: Tensor, known: Tensor, holes: Tensor) -> Tensor:
        """The discriminator's loss, its gradients made."""
        self.discriminator.requires_grad_(True)
        loss = losses.discriminator_loss(self.discriminator(real, known), self.discriminator(fake, holes))
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return loss

    def _optimizers(self, stage: Stage) -> list[torch.optim.Adam]:
        return [self.optimizer, *([self.discriminator_optimizer] if stage.adversarial else [])]

    def _measure(self, stage: Stage, terms: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """Norms of the gradients, averaged over the processes, and all that is to be finite before a step is made."""
        norms = []
        for optimizer in self._optimizers(stage):
            gradients = [p.grad for p in optimizer.param_groups[0]["params"] if p.grad is not None]
            parallel.average(gradients)
            norms.append(nn.utils.get_total_norm(gradients))
        report = torch.stack([*terms.values(), *norms])
        parallel.average([report])
        return norms, report

    def _update(self, stage: Stage, terms: dict[str, Tensor], norms: list[Tensor], report: Tensor) -> dict[str, float]:
        """Both optimisers' steps and the moving average, if all is finite; one wait for the device per step."""
        values = report.tolist()
        if not all(map(math.isfinite, values)):
            raise Diverged(f"The loss is not finite at step {self.step}.")
        if self.recipe.clip:
            nn.utils.clip_grads_with_norm_(self.network.parameters(), self.recipe.clip, norms[0])
        for optimizer in self._optimizers(stage):
            optimizer.param_groups[0]["lr"] = self.recipe.rate_at(self.step, self.seconds)
            optimizer.step()
        parallel.average([b for b in self.network.buffers() if b.is_floating_point()])
        self._update_average()
        return dict(zip(terms, values[: len(terms)], strict=True))

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.average, self.step / (self.step + 10))
        means, values, counts, latest = self._averaged
        get_ema_multi_avg_fn(decay)(means, values, 0)
        torch._foreach_copy_(counts, latest)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly where this is."""
        judge = {
            "discriminator": self.discriminator.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **(judge if any(stage.adversarial for stage in self.recipe.stages) else {}),
            "watch": dataclasses.asdict(self.watch),
            "origin": self.origin,
            "used": self.used,
            "step": self.step,
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`, on any device.

        Raises:
            UserError: the state is of another network.
        """
        if restored(state["recipe"]).network != self.recipe.network:
            raise UserError("The checkpoint is of another network; start a new folder with --out.")
        for name in {"network", "average", "discriminator"} & set(state):
            getattr(self, name).load_state_dict(state[name])
        for name in {"optimizer", "discriminator_optimizer"} & set(state):
            optimizer = getattr(self, name)
            saved = state[name]
            groups = [{**group, "fused": optimizer.defaults["fused"]} for group in saved["param_groups"]]
            optimizer.load_state_dict({**saved, "param_groups": groups})
        self.watch = Watch(**state.get("watch", {}))
        self.used = {name: now or state.get("used", {}).get(name, False) for name, now in self.used.items()}
        self.step, self.seconds, self.origin = state["step"], state["seconds"], state.get("origin", "")


def fast_arithmetic() -> None:
    """For every network of this process: attention in TF32 on GPUs that have it."""
    torch.set_float32_matmul_precision("high")


def set_mode(network: nn.Module, frozen_norm: bool) -> None:
    """Training mode; BatchNorm on its running statistics where `frozen_norm`."""
    network.train()
    if frozen_norm:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _states(average: nn.Module, network: nn.Module) -> tuple[list[Tensor], ...]:
    """What is averaged, of both, and what is copied, of both: BatchNorm's counts."""
    pairs = list(zip(average.state_dict().values(), network.state_dict().values(), strict=True))
    means, values = zip(*((m, v) for m, v in pairs if m.is_floating_point()), strict=True)
    counts, latest = zip(*((m, v) for m, v in pairs if not m.is_floating_point()), strict=True)
    return list(means), list(values), list(counts), list(latest)


def _place(module: Module, device: torch.device) -> Module:
    """On the device, in the memory format in which bfloat16 convolutions are fastest."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
