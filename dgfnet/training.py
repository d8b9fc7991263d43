"""The training loop: joint training of both branches and the fusion network, resumable at any step."""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import json
import pathlib
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from dgfnet import losses
from dgfnet.data import PictureBank
from dgfnet.discriminator import PatchDiscriminator
from dgfnet.features import VGGFeatures, load_features
from dgfnet.layers import composite
from dgfnet.losses import LossWeights
from dgfnet.masks import random_masks
from dgfnet.model import DGFNet, save
from dgfnet.recipes import RECIPES, Recipe, Stage

_LOG_EVERY = 10
Module = TypeVar("Module", bound=nn.Module)


class TrainingError(RuntimeError):
    """Training cannot start or go on; the text says why and what to do."""


class Trainer:
    """Everything that a run changes: networks, optimisers, moving average, generators, step count."""

    def __init__(
        self, recipe: Recipe, bank: PictureBank, features: VGGFeatures | None, device: torch.device | str = "cpu"
    ) -> None:
        self.recipe, self.bank = recipe, bank
        self.device = torch.device(device)
        torch.manual_seed(recipe.seed)
        self.network = _place(DGFNet(recipe.network), self.device)
        self.average = DGFNet(recipe.network).to(self.device).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self.discriminator = PatchDiscriminator(recipe.network.width).to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters())
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters())
        self.features = _place(features, self.device) if features else None
        self.crops = torch.Generator().manual_seed(recipe.seed)
        self.holes = torch.Generator(self.device).manual_seed(recipe.seed)
        self.step = 0
        self.seconds = 0.0

    def run(self, steps: int) -> Iterator[dict[str, float]]:
        """Train, one yield of this step's losses per step.

        Raises:
            TrainingError: a loss is not finite; nothing was changed by that step.
        """
        while self.step < steps:
            started = time.perf_counter()
            values = self._step(self.recipe.stage_at(self.step))
            self.step += 1
            self.seconds += time.perf_counter() - started
            yield values

    def _step(self, stage: Stage) -> dict[str, float]:
        crops = self.bank.sample(stage.batch, stage.size, self.crops)
        image, texture = crops.image.to(self.device), crops.texture.to(self.device)
        known = random_masks(self.recipe.mask_kinds, self.recipe.hole_share, stage.batch, stage.size, self.holes)
        low, high = self.recipe.recurrences
        recurrences = int(torch.randint(low, high + 1, (1,), generator=self.crops))
        set_mode(self.network, stage.frozen_norm)
        for optimizer in (self.optimizer, self.discriminator_optimizer):
            optimizer.param_groups[0]["lr"] = stage.rate

        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            out = self.network(image, known, recurrences)
        terms: dict[str, Tensor] = {}
        features = self._features if stage.features and self.features is not None else None
        seen = features(image) if features else None
        total = self._branch("coarse", out.coarse, image, known, self.recipe.coarse, seen, terms)
        if self.recipe.network.fusion != "none":
            # The feature network expects pictures from 0 to 1: a texture is shown on mid-grey.
            shown = features(texture + 0.5) if features and self.recipe.texture.features else None
            total = total + self._branch("texture", out.texture, texture, known, self.recipe.texture, shown, terms, 0.5)
            total = total + self._branch("fused", out.fused, image, known, self.recipe.fused, seen, terms)
        completed = composite(out.fused.float(), image, known)
        if stage.adversarial:
            self.discriminator.requires_grad_(False)
            terms["adversarial"] = losses.adversarial_loss(self.discriminator(completed, known))
            total = total + self.recipe.fused.adversarial * terms["adversarial"]
        if not torch.isfinite(total):
            raise TrainingError(f"The loss is not finite at step {self.step}; resume with a lower learning rate.")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        if stage.adversarial:
            terms["discriminator"] = self._discriminate(image, completed.detach(), known)
        self._update_average()
        return {"total": float(total.detach()), **{name: float(value.detach()) for name, value in terms.items()}}

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

    def _discriminate(self, real: Tensor, fake: Tensor, known: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        loss = losses.discriminator_loss(self.discriminator(real, known), self.discriminator(fake, known))
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimizer.step()
        return loss

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.average, self.step / (self.step + 10))
        for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly where this is."""
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "crops": self.crops.get_state(),
            "holes": self.holes.get_state(),
            "holes_device": self.device.type,
            "step": self.step,
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`.

        Raises:
            TrainingError: the state is of another network.
        """
        if state["recipe"]["network"] != dataclasses.asdict(self.recipe.network):
            raise TrainingError("The checkpoint is of another network; start a new folder with --out.")
        for name in ("network", "average", "discriminator", "optimizer", "discriminator_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.crops.set_state(state["crops"])
        if state["holes_device"] == self.device.type:
            self.holes.set_state(state["holes"])
        else:
            self.holes.manual_seed(self.recipe.seed + state["step"])
        self.step, self.seconds = state["step"], state["seconds"]


def _place(module: Module, device: torch.device) -> Module:
    """On the device, in the memory format in which bfloat16 convolutions are fastest."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def set_mode(network: nn.Module, frozen_norm: bool) -> None:
    """Training mode; BatchNorm on its running statistics where `frozen_norm`."""
    network.train()
    if frozen_norm:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def write_checkpoint(trainer: Trainer, folder: pathlib.Path) -> None:
    """Checkpoint and averaged weights; a crash while writing leaves the last ones whole."""
    partial = folder / "checkpoint.partial"
    torch.save(trainer.state(), partial)
    partial.replace(folder / "checkpoint.pt")
    notes = {
        "recipe": trainer.recipe.name,
        "step": str(trainer.step),
        "steps": str(trainer.recipe.steps),
        "hours": f"{trainer.seconds / 3600:.2f}",
        "device": device_name(trainer.device),
    }
    save(trainer.average, folder / "weights.partial", notes)
    (folder / "weights.partial").replace(folder / "weights.safetensors")


def device_name(device: torch.device) -> str:
    """What a person calls the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dgfnet train`."""
    parser.add_argument("pictures", nargs="+", help="folders or tar files of photographs")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/dgfnet"), help="folder of the run")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="narrow")
    parser.add_argument("--steps", type=int, help="length of the whole run; the stages stretch with it")
    parser.add_argument("--minutes", type=float, help="stop cleanly after this time; go on later with --resume")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--features", help="VGG weights: a folder of .npy arrays or torchvision's vgg16 file")
    parser.add_argument("--no-features", action="store_true", help="train without perceptual and style losses")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--seed", type=int)


def run(arguments: argparse.Namespace) -> int:
    """`dgfnet train`.

    Raises:
        TrainingError, DataError, FeaturesError: each is one sentence for the user.
    """
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    folder: pathlib.Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists() and not arguments.resume:
        raise TrainingError(f"'{folder}' holds a run already; add --resume, or choose another folder with --out.")
    if arguments.resume and not checkpoint.exists():
        raise TrainingError(f"There is no checkpoint in '{folder}'; leave --resume out to start.")

    recipe = RECIPES[arguments.recipe]
    changes = {name: getattr(arguments, name) for name in ("steps", "seed") if getattr(arguments, name) is not None}
    recipe = dataclasses.replace(recipe, **changes)
    bank = PictureBank.build(
        arguments.pictures, recipe.short_sides, recipe.scales, recipe.seed, arguments.device, folder / "cache"
    )
    trainer = Trainer(recipe, bank, _features(arguments, bank), arguments.device)
    if arguments.resume:
        trainer.restore(torch.load(checkpoint, map_location=arguments.device, weights_only=True))
    (folder / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=1) + "\n")
    return _loop(trainer, folder, arguments.minutes)


def _features(arguments: argparse.Namespace, bank: PictureBank) -> VGGFeatures | None:
    if arguments.no_features:
        return None
    if not arguments.features:
        raise TrainingError("The paper's losses need VGG weights: give them with --features, or say --no-features.")
    features = load_features(arguments.features)
    features.calibrate(bank.sample(32, 128, torch.Generator().manual_seed(0)).image.cpu())
    return features


def _loop(trainer: Trainer, folder: pathlib.Path, minutes: float | None) -> int:
    """Steps until the recipe's end, the time is up, or a stop is asked for; logs, and keeps checkpoints on the way."""
    deadline = time.monotonic() + 60 * minutes if minutes else float("inf")
    saved = time.monotonic()
    stop = False

    def ask(*_: object) -> None:
        nonlocal stop
        stop = True

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with (
            open(folder / "log.csv", "a", newline="") as file,
            tqdm(total=trainer.recipe.steps, initial=trainer.step, unit="step", disable=None) as bar,
        ):
            log = csv.writer(file)
            for values in trainer.run(trainer.recipe.steps):
                bar.update()
                if trainer.step % _LOG_EVERY == 0:
                    bar.set_postfix({k: f"{values[k]:.4f}" for k in ("coarse hole", "fused hole") if k in values})
                    for name, value in values.items():
                        log.writerow([trainer.step, f"{trainer.seconds:.1f}", name, f"{value:.6g}"])
                    file.flush()
                if stop or time.monotonic() > deadline:
                    break
                if time.monotonic() - saved > 300:
                    write_checkpoint(trainer, folder)
                    saved = time.monotonic()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    with contextlib.suppress(KeyboardInterrupt):
        write_checkpoint(trainer, folder)
    print(
        f"step {trainer.step} of {trainer.recipe.steps}; weights in {folder / 'weights.safetensors'}", file=sys.stderr
    )
    return 0
