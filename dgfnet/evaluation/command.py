"""Tables 1 and 2: fillers on the same pictures and holes, by kind of hole and share of the area."""

from __future__ import annotations

import argparse
import pathlib
import sys

from tqdm import tqdm

from dgfnet import model
from dgfnet.devices import check_device, default_device
from dgfnet.errors import UserError
from dgfnet.evaluation import fillers
from dgfnet.evaluation.cases import CaseSet, MaskFiles, export
from dgfnet.evaluation.inception import load_inception
from dgfnet.evaluation.judgement import Judgement, write
from dgfnet.evaluation.lpips import load_lpips
from dgfnet.evaluation.perception import Perception, load_squeezenet
from dgfnet.files import make_folder
from dgfnet.masks import KINDS, Kind

_DEFAULT_KINDS: tuple[Kind, ...] = ("irregular", "square")
_JUDGED = "dgfnet"  # the column of the judged weights, as artists get them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dgfnet evaluate`."""
    parser.add_argument("pictures", nargs="+", help="folders or tar files of photographs that were not trained on")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results"), help="folder of tables and report")
    judged = parser.add_mutually_exclusive_group()
    judged.add_argument("--weights", help="weights to judge; the shipped ones unless given")
    judged.add_argument(
        "--ablation",
        nargs="+",
        metavar="WEIGHTS",
        help="several weights, the first the one to judge; or the folder that `dgfnet train --ablation` wrote",
    )
    parser.add_argument("--against", nargs="*", choices=sorted(fillers.CLASSICAL), default=["telea", "ns"])
    parser.add_argument("--results", nargs="*", type=pathlib.Path, default=[], help="folders made by other programs")
    parser.add_argument(
        "--fills",
        type=pathlib.Path,
        metavar="FOLDER",
        help="keep every fill in this folder, and make only those that it does not hold",
    )
    parser.add_argument("--export", action="store_true", help="only write the cases, for other programs to fill")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="holes to make; irregular and square unless given")
    parser.add_argument("--masks", type=pathlib.Path, help="folder of masks; instead of made holes, unless --kinds too")
    parser.add_argument("--holes-are", choices=("white", "black"), help="which colour of --masks is the hole")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--limit", type=int, help="at most this many pictures, spread evenly")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--squeezenet", metavar="FILE", help="SqueezeNet 1.1 without its classifier, as Keras weights")
    parser.add_argument("--inception", metavar="FILE", help="the Inception network of FID, for FID")
    parser.add_argument("--lpips", nargs=2, metavar=("ALEXNET", "LINEAR"), help="torchvision's AlexNet and LPIPS's own")
    parser.add_argument("--device", default=default_device())


def run(arguments: argparse.Namespace) -> int:
    """`dgfnet evaluate`: tables as Markdown and CSV, report.html, a sheet of the worst cases per cell.

    Raises:
        UserError: the text is for the user.
    """
    out: pathlib.Path = arguments.out
    make_folder(out)
    cases = _cases(arguments)
    if arguments.export:
        cases.check()
        export(cases, out)
        print(f"{len(cases)} pictures and masks (white = hole) in {out}", file=sys.stderr)
        return 0
    check_device(arguments.device)
    arguments.ablation = _ablation(arguments.ablation)
    perceptions = _perceptions(arguments)
    columns, reference = _columns(arguments)
    cases.check()
    fillers.check_results(arguments.results, cases.names, cases.size)
    judgement = Judgement(reference, perceptions, arguments.device)
    for case in tqdm(cases, desc="evaluate", unit="case", disable=None):
        judgement.add(case, {name: fill(case.name, case.given, case.hole) for name, fill in columns.items()})
    settings = {
        "weights": ", ".join(_identity(weights) for weights in arguments.ablation or [arguments.weights]),
        "photographs": f"{len(cases.numbers)} from {', '.join(pathlib.Path(s).name for s in arguments.pictures)}",
        "cases": f"{len(cases)} of {cases.size} x {cases.size} px, seed {cases.seed}",
    }
    text = write(judgement, settings, out)
    print(text)
    print(f"{len(cases)} cases; tables, report.html and sheets in {out}", file=sys.stderr)
    return 0


def _cases(arguments: argparse.Namespace) -> CaseSet:
    if (arguments.masks is None) != (arguments.holes_are is None):
        raise UserError("--masks and --holes-are go together: say which colour of the masks is the hole.")
    masks = MaskFiles(arguments.masks, arguments.holes_are) if arguments.masks else None
    kinds = tuple(arguments.kinds or (() if masks else _DEFAULT_KINDS))
    if masks and masks.name in kinds:
        raise UserError(f"'{arguments.masks}' is called as one of the --kinds, and so would its rows be; rename it.")
    return CaseSet(arguments.pictures, kinds, arguments.size, arguments.limit, arguments.seed, masks)


def _perceptions(arguments: argparse.Namespace) -> list[Perception]:
    found: list[Perception] = []
    if arguments.squeezenet:
        found.append(load_squeezenet(arguments.squeezenet).to(arguments.device))
    if arguments.inception:
        found.append(load_inception(arguments.inception).to(arguments.device))
    if arguments.lpips:
        found.append(load_lpips(*arguments.lpips).to(arguments.device))
    return found


def _ablation(given: list[str] | None) -> list[str] | None:
    """The weights to compare: those given, or those in the folder of an ablation's runs."""
    if not given or len(given) > 1 or not pathlib.Path(given[0]).is_dir():
        return given
    folder = given[0]
    found = {name: pathlib.Path(folder, name, "weights.safetensors") for name in model.ABLATION}
    for name, file in found.items():
        if not file.is_file():
            raise UserError(
                f"'{folder}' has no {name}/{file.name}; finish `dgfnet train ... --ablation --out {folder} --resume`, "
                "or name the weights files."
            )
    return [str(file) for file in found.values()]


def _columns(arguments: argparse.Namespace) -> tuple[dict[str, fillers.Filler], str]:
    """Fillers by name, and which one is judged."""
    found: list[tuple[str, fillers.Filler]] = []

    def add(name: str, fill: fillers.Filler, made_with: str = "") -> None:
        folder = f"{name} {made_with}".rstrip()
        found.append((name, fillers.kept(fill, arguments.fills / folder) if arguments.fills else fill))

    for name in arguments.against:
        add(name, fillers.CLASSICAL[name])
    found += [(folder.resolve().name, fillers.results(folder)) for folder in arguments.results]
    for weights in arguments.ablation or [arguments.weights]:
        net, digest = model.load(weights, arguments.device), model.load_info(weights).sha256[:8]
        if arguments.ablation:
            add(model.label(weights), fillers.network(net, "network"), digest)
        else:
            add("coarse branch", fillers.network(net, "coarse"), digest)
            add("network alone", fillers.network(net, "network"), digest)
            add(_JUDGED, fillers.network(net), digest)
    reference = model.label(arguments.ablation[0]) if arguments.ablation else _JUDGED
    columns = dict(found)
    if len(columns) < len(found):
        raise UserError(f"Two columns have the same name ({', '.join(name for name, _ in found)}); rename a folder.")
    return columns, reference


def _identity(weights: str | None) -> str:
    return f"{model.label(weights)} (sha256 {model.load_info(weights).sha256[:16]})"
