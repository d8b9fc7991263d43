"""`dgfnet train`: from options to a recipe, pictures, and a session that trains."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
import time
from collections.abc import Callable

import torch

from dgfnet.devices import default_device
from dgfnet.errors import UserError, check_seed
from dgfnet.files import make_folder
from dgfnet.masks import MaskFolder
from dgfnet.model import ABLATION, DGFNet, label, load, load_info
from dgfnet.training import checkpoints, parallel
from dgfnet.training.data import PictureBank
from dgfnet.training.features import load_features
from dgfnet.training.recipes import MEMBRANE, NARROW, RECIPES, Recipe, restored
from dgfnet.training.samples import Samples
from dgfnet.training.session import SAVE_SECONDS, Session
from dgfnet.training.trainer import Trainer, fast_arithmetic
from dgfnet.training.widening import completed, widened, widest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dgfnet train`."""
    parser.add_argument("pictures", nargs="+", help="folders or tar files of photographs, each PATH or PATH=WEIGHT")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/dgfnet"), help="folder of the run")
    parser.add_argument("--recipe", choices=sorted(RECIPES), help=f"{NARROW.name} unless given")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="length of the whole run; the stages stretch with it")
    length.add_argument("--hours", type=float, help="the same as time, for a machine that is lent; not to the bit")
    parser.add_argument("--minutes", type=float, help="stop cleanly after this time; go on later with --resume")
    parser.add_argument("--start", metavar="WEIGHTS", help="begin with these weights and their network")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, by its recipe")
    parser.add_argument("--ablation", action="store_true", help="three models, one after the other: that of Table 2")
    parser.add_argument("--rate-factor", type=float, help="multiplies the recipe's learning rates")
    parser.add_argument("--batch-factor", type=float, help="multiplies the recipe's batches; 0.5 halves them")
    parser.add_argument("--seed", type=int)

    data = parser.add_argument_group("data")
    data.add_argument("--features", help="VGG weights: torchvision's vgg16 file, a folder of arrays, or 'download'")
    data.add_argument("--no-features", action="store_true", help="train without perceptual and style losses")
    data.add_argument("--masks", help="folder of black and white masks, used beside the recipe's own kinds")
    data.add_argument("--holes-are", choices=("white", "black"), help="which colour of --masks is the hole")
    data.add_argument("--validation", nargs="+", help="photographs for the sample sheets; else those trained on")
    data.add_argument("--sheet-every", type=int, default=500, metavar="STEPS", help="0: never")

    output = parser.add_argument_group("checkpoints")
    output.add_argument("--checkpoint-part-mb", type=float, metavar="MB", help="split checkpoints into such files")
    output.add_argument(
        "--save-every", type=float, default=SAVE_SECONDS / 60, metavar="MINUTES", help="write one so often"
    )
    output.add_argument("--keep-every", type=int, default=0, metavar="STEPS", help="keep the weights of then; 0: never")
    output.add_argument("--slim-checkpoint", action="store_true", help="a quarter of the size; not to the bit")

    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default=default_device())
    machine.add_argument("--threads", type=int, help="CPU threads")
    machine.add_argument("--compile", action="store_true", help="through torch.compile; the first steps take minutes")
    machine.add_argument("--no-graphs", action="store_true", help="ask a GPU for every operation by itself: slower")


def run(arguments: argparse.Namespace) -> int:
    """`dgfnet train`.

    Raises:
        UserError: the text is for the user.
    """
    _check(arguments)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    fast_arithmetic()
    with parallel.joined(arguments.device) as device:
        recipe = _resumed(arguments) if arguments.resume else _recipe(arguments)
        try:
            return _train(arguments, recipe, device)
        except torch.OutOfMemoryError as error:
            if all(stage.batch == 1 for stage in recipe.stages):
                raise UserError(
                    "The GPU's memory is full with batches of one; train on a larger one, or with --device cpu."
                ) from error
            half = f"--batch-factor {recipe.batch_factor / 2:g}"
            raise UserError(f"The GPU's memory is full; `{half}` halves the batches.") from error


def _train(arguments: argparse.Namespace, recipe: Recipe, device: str) -> int:
    """All of `run` that the recipe decides."""
    folder: pathlib.Path = arguments.out
    deadline = time.monotonic() + 60 * arguments.minutes if arguments.minutes is not None else float("inf")
    start, origin = (None, "") if arguments.resume else _start(recipe)
    with parallel.first_here():
        masks = MaskFolder(arguments.masks, arguments.holes_are) if arguments.masks else None
        make_folder(folder)
        features = None if arguments.no_features else load_features(arguments.features)
        bank = _bank(arguments.pictures, recipe, device, folder)
        shown = _bank(arguments.validation, recipe, device, folder) if arguments.validation else bank
    if features is not None:
        features.calibrate(bank.sample(32, 128, torch.Generator().manual_seed(0)).image.cpu())
    samples = Samples(shown, recipe) if arguments.sheet_every and parallel.rank() == 0 else None
    part = int(arguments.checkpoint_part_mb * 1e6) if arguments.checkpoint_part_mb else None
    for name in _models(arguments):
        out = folder / name
        make_folder(out)
        one = _variant(recipe, name)
        graphs = not arguments.no_graphs
        trainer = Trainer(one, bank, features, device, masks, arguments.compile, graphs, start, origin)
        if checkpoints.exists(out):
            trainer.restore(checkpoints.read(out, trainer.device))
        session = Session(  # the ablation's networks come one after the other, each once those before are finished
            trainer,
            out,
            samples,
            sheet_every=arguments.sheet_every,
            part_bytes=part,
            slim=arguments.slim_checkpoint,
            keep_every=arguments.keep_every,
            save_seconds=60 * arguments.save_every,
            alone=name == _models(arguments)[0],
        )
        if not session.run(deadline):
            break
    return 0


_POSITIVE = {
    "save_every": "it is the minutes from one checkpoint to the next",
    "rate_factor": "0.5 halves the learning rates",
    "batch_factor": "0.5 halves the batches",
    "steps": "it is the length of the run",
    "hours": "it is the length of the run",
    "minutes": "leave it out to train to the end",
    "threads": "leave it out to use all that are here",
}
"""Options that are numbers above zero, and what to say of them where they are not."""


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what can be refused before anything is decoded."""
    folder: pathlib.Path = arguments.out
    if not arguments.features and not arguments.no_features:
        raise UserError("The paper's losses need VGG weights: give them with --features, or say --no-features.")
    if bool(arguments.masks) != bool(arguments.holes_are):
        raise UserError("--masks and --holes-are go together: say which colour of the masks is the hole.")
    for name, hint in _POSITIVE.items():
        value = getattr(arguments, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"--{name.replace('_', '-')} must be a positive number; {hint}.")
    if arguments.seed is not None:
        check_seed(arguments.seed)
    if arguments.checkpoint_part_mb is not None and not 1 <= arguments.checkpoint_part_mb < float("inf"):
        raise UserError("--checkpoint-part-mb must be a number of 1 or more.")
    if arguments.ablation and (arguments.start or RECIPES[arguments.recipe or NARROW.name].start):
        raise UserError("--ablation compares networks from scratch: leave --start out, and choose another recipe.")
    begun = any(checkpoints.exists(folder / name) for name in _models(arguments))
    if begun and not arguments.resume:
        raise UserError(f"'{folder}' holds a run already; add --resume, or choose another folder with --out.")
    if arguments.resume and not begun:
        raise UserError(f"There is no checkpoint in '{folder}'; leave --resume out to start.")


def _models(arguments: argparse.Namespace) -> list[str]:
    """Folders of the networks to train, below that of the run."""
    return list(ABLATION) if arguments.ablation else [""]


def _variant(recipe: Recipe, name: str) -> Recipe:
    """The recipe for one of `_models`.

    Those of the ablation are compared at one scale, and the baseline, whose last picture is the coarse one, gets the
    last picture's losses: so that the networks differ and not what they are asked for.
    """
    if not name:
        return recipe
    network = dataclasses.replace(recipe.network, fusion=ABLATION[name], finer=False)
    coarse = recipe.fused if network.fusion == "none" else recipe.coarse
    return dataclasses.replace(recipe, network=network, coarse=coarse)


def _altered(recipe: Recipe, arguments: argparse.Namespace) -> Recipe:
    """The recipe with what the command line says of length, seed, learning rates and batches."""
    given = {name: value for name in ("steps", "hours", "seed") if (value := getattr(arguments, name)) is not None}
    if "steps" in given:
        given["hours"] = 0.0
    recipe = dataclasses.replace(recipe, **given)
    if arguments.rate_factor is not None:
        recipe = recipe.slower(arguments.rate_factor)
    return recipe if arguments.batch_factor is None else recipe.larger(arguments.batch_factor)


_TOLD: dict[str, Callable[[Recipe], str]] = {
    "Length": lambda recipe: f"{recipe.hours:g} hours" if recipe.hours else f"{recipe.steps} steps",
    "Seed": lambda recipe: str(recipe.seed),
    "Learning rates": lambda recipe: ", ".join(f"{stage.rate:g}" for stage in recipe.stages),
    "Batches": lambda recipe: ", ".join(str(stage.batch) for stage in recipe.stages),
}
"""What a resumed run may change."""


def _resumed(arguments: argparse.Namespace) -> Recipe:
    """The checkpoint's recipe, altered by what the command line says; each difference is told in a line."""
    folders = [at for name in _models(arguments) if checkpoints.exists(at := arguments.out / name)]
    records = [checkpoints.records(folder) for folder in folders]
    recipes = [restored(record["recipe"]) for record in records]
    kept, begun = recipes[0], folders[0]
    if arguments.recipe and RECIPES[arguments.recipe].name != kept.name:
        raise UserError(f"'{begun}' is a run of the recipe '{kept.name}'; leave --recipe out, or choose another --out.")
    recipe = _altered(kept, arguments)
    over = any(own.is_over(record["step"], record["seconds"]) for own, record in zip(recipes, records, strict=True))
    if arguments.ablation and over and recipe != kept:
        raise UserError(
            f"A network in '{arguments.out}' is finished, and the others must have its length, seed, learning rates "
            "and batches; leave these options out, or start all again with another --out."
        )
    if parallel.rank() == 0:
        for what, said in _TOLD.items():
            before, now = said(kept), said(recipe)
            if before != now:
                print(f"{what}: {before} in the checkpoint, {now} from here on.", file=sys.stderr)
        given = {"features": not arguments.no_features, "masks": bool(arguments.masks)}
        for what, before in records[0]["used"].items():
            if before != given[what]:
                one, other = ("used", "none") if before else ("none", "used")
                print(f"{what.capitalize()}: {one} in the checkpoint, {other} from here on.", file=sys.stderr)
        if arguments.start and arguments.start != kept.start:
            print(f"'{arguments.start}' is not used: the run goes on from its checkpoint.", file=sys.stderr)
    return recipe


def _recipe(arguments: argparse.Namespace) -> Recipe:
    """What a new run follows: a named recipe, altered, with the network of the weights that it begins with."""
    recipe = _altered(RECIPES[arguments.recipe or NARROW.name], arguments)
    recipe = dataclasses.replace(recipe, start=arguments.start or recipe.start)
    if not recipe.start:
        return recipe
    before = load_info(recipe.start).config
    network = completed(before, recipe.network)
    if before.fusion == "none" and parallel.rank() == 0:
        predicts = "what is added to a membrane over the hole" if network.membrane else "the picture itself"
        print(
            f"'{recipe.start}' is a coarse branch alone, which predicts {predicts}; texture branch and fusion begin "
            "with random weights.",
            file=sys.stderr,
        )
    if recipe.widens:
        network = widest(network, recipe.network)
    most = max(before.recurrences, recipe.recurrences[1])
    network = dataclasses.replace(network, recurrences=most, finer=before.finer or recipe.network.finer)
    deviations = tuple(said for said in recipe.deviations if network.membrane or said != MEMBRANE)
    return dataclasses.replace(recipe, network=network, deviations=deviations)


def _start(recipe: Recipe) -> tuple[DGFNet | None, str]:
    """The network to begin with, and what it is in words."""
    if not recipe.start:
        return None, ""
    info = load_info(recipe.start)
    units = {"step": "steps", "hours": "hours"}
    known = [f"{info.notes[name]} {unit}" for name, unit in units.items() if name in info.notes]
    before = [f"begun with {info.notes['origin']}"] if "origin" in info.notes else []
    start = widened(load(recipe.start), recipe.network, recipe.seed)
    return start, ", ".join([label(recipe.start), *known, f"sha256 {info.sha256[:16]}", *before])


def _bank(sources: list[str], recipe: Recipe, device: str, folder: pathlib.Path) -> PictureBank:
    return PictureBank.build(sources, recipe.short_sides, recipe.scales, recipe.seed, device, folder / "cache")
