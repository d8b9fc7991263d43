"""Tables 1 and 2: fillers on the same pictures and holes, by kind of hole and share of the area."""

from __future__ import annotations

import argparse
import heapq
import pathlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm import tqdm

from dgfnet import fillers, metrics, model
from dgfnet.cases import Case, CaseSet, MaskFiles, export
from dgfnet.data import DataError
from dgfnet.inception import load_inception
from dgfnet.lpips import load_lpips
from dgfnet.masks import KINDS, Kind
from dgfnet.perception import Perception, load_squeezenet
from dgfnet.report import Example, report
from dgfnet.sheets import contact_sheet
from dgfnet.tables import Score, difference_table, differences, mean_table, means, write_csv

_DEFAULT_KINDS: tuple[Kind, ...] = ("irregular", "square")
_WORST = 6  # cases shown per cell
_RANKED_BY = "hole PSNR"
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
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def run(arguments: argparse.Namespace) -> int:
    """`dgfnet evaluate`: tables as Markdown and CSV, report.html, a sheet of the worst cases per cell.

    Raises:
        DataError, WeightsError, FeaturesError: each is one sentence for the user.
    """
    out: pathlib.Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    cases = _cases(arguments)
    if arguments.export:
        export(cases, out)
        print(f"{len(cases)} pictures and masks (white = hole) in {out}", file=sys.stderr)
        return 0
    _check_device(arguments.device)
    arguments.ablation = _ablation(arguments.ablation)
    perceptions = _perceptions(arguments)
    columns, reference = _columns(arguments)
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


@dataclass
class Judgement:
    """Gathers what is to be said about fillers, case by case.

    Pictures are kept of the worst cases only. What grows with the cases: a line of figures per case and filler, and one
    feature vector (2 or 8 KB) of each result and truth where a Frechet distance is wanted.
    """

    reference: str
    perceptions: Sequence[Perception] = ()
    device: str = "cpu"
    scores: list[Score] = field(default_factory=list)
    _features: dict[tuple[str, str, str], list[np.ndarray]] = field(default_factory=dict)
    _worst: dict[str, list[tuple[float, int, Example]]] = field(default_factory=dict)

    def add(self, case: Case, filled: dict[str, np.ndarray]) -> None:
        """Score the results of all fillers on a case; composed with the truth outside the hole first."""
        results = {name: np.where(case.hole[..., None], pixels, case.truth) for name, pixels in filled.items()}
        figures = {name: _figures(case, result) for name, result in results.items()}
        stack = torch.from_numpy(np.stack([case.truth, *results.values()])).permute(0, 3, 1, 2)
        for perception in self.perceptions:
            compared = perception.compare(stack.to(self.device).float() / 255)
            if compared.distances is not None:
                for name, distance in zip(results, compared.distances.tolist(), strict=True):
                    figures[name][perception.distance] = distance
            if compared.features is not None:
                for name, vector in zip(("", *results), compared.features.cpu().numpy(), strict=True):
                    self._features.setdefault((perception.frechet, case.cell, name), []).append(vector)
        for name in results:
            head = (case.name, case.photograph, case.kind, case.cell, case.share)
            self.scores.append(Score(*head, name, figures[name]))
        example = Example(case.cell, case.name, case.given, case.truth, results, figures)
        worst = self._worst.setdefault(case.cell, [])
        entry = (-figures[self.reference][_RANKED_BY], -len(self.scores), example)  # the count settles ties
        (heapq.heappush if len(worst) < _WORST else heapq.heappushpop)(worst, entry)

    def frechet(self) -> dict[tuple[str, str], dict[str, float]]:
        """By cell and filler: name and Frechet distance between all its results and their truths."""
        found: dict[tuple[str, str], dict[str, float]] = {}
        for (label, cell, filler), vectors in self._features.items():
            if filler:
                truths = self._features[label, cell, ""]
                distance = metrics.frechet_distance(np.stack(vectors), np.stack(truths))
                found.setdefault((cell, filler), {})[label] = distance
        return found

    def examples(self) -> list[Example]:
        """The cases of each cell that the reference did worst, the worst first."""
        return [
            entry[2] for worst in self._worst.values() for entry in sorted(worst, key=lambda e: e[:2], reverse=True)
        ]


def _figures(case: Case, result: np.ndarray) -> dict[str, float]:
    return {
        "mean L1": metrics.mean_l1(result, case.truth),
        "SSIM": metrics.ssim(result, case.truth),
        "PSNR": metrics.psnr(result, case.truth),
        _RANKED_BY: metrics.psnr(result, case.truth, case.hole),
        "seam": metrics.seam(result, case.hole),
    }


def _cases(arguments: argparse.Namespace) -> CaseSet:
    if (arguments.masks is None) != (arguments.holes_are is None):
        raise DataError("--masks and --holes-are go together: say which colour of the masks is the hole.")
    masks = MaskFiles(arguments.masks, arguments.holes_are) if arguments.masks else None
    kinds = tuple(arguments.kinds or (() if masks else _DEFAULT_KINDS))
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
    return [str(pathlib.Path(given[0]) / name / "weights.safetensors") for name in model.ABLATION]


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
        raise DataError(f"Two columns have the same name ({', '.join(name for name, _ in found)}); rename a folder.")
    return columns, reference


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"There is no device '{device}' here; leave --device out to use what there is.") from error


def _identity(weights: str | None) -> str:
    return f"{model.label(weights)} (sha256 {model.load_info(weights).sha256[:16]})"


def write(judgement: Judgement, settings: dict[str, str], out: pathlib.Path) -> str:
    """Write every output; returns the Markdown."""
    scores, reference = judgement.scores, judgement.reference
    rows = means(scores, judgement.frechet())
    found = differences(scores, reference)
    notes = _notes(judgement)
    figures = list(scores[0].figures)
    write_csv(
        out / "scores.csv",
        ["case", "hole", "filler", *figures, "hole share"],
        ([s.case, s.cell, s.filler, *s.figures.values(), s.share] for s in scores),
    )
    write_csv(
        out / "table.csv",
        ["hole", "filler", "cases", *rows[0].figures],
        ([r.cell, r.filler, r.cases, *r.figures.values()] for r in rows),
    )
    write_csv(
        out / "differences.csv",
        ["hole", "filler", "reference", "figure", "mean", "low", "high"],
        ([d.cell, d.filler, reference, d.figure, *d.interval] for d in found),
    )
    parts = [mean_table(rows), *notes]
    if found:
        parts.append(
            f"Over all holes, filler minus {reference} on the same photographs: mean and 95 % bootstrap interval over "
            f"photographs, bold where it does not hold zero.\n\n{difference_table(found, reference)}"
        )
    text = "\n\n".join(part.rstrip("\n") for part in parts) + "\n"
    (out / "table.md").write_text(text, encoding="utf-8")
    examples = judgement.examples()
    page = report(settings, rows, found, scores, examples, reference, notes)
    (out / "report.html").write_text(page, encoding="utf-8")
    _write_sheets(examples, reference, out)
    return text


def _notes(judgement: Judgement) -> list[str]:
    labels = [p.frechet for p in judgement.perceptions if p.frechet]
    if not labels:
        return []
    return [
        f"{' and '.join(labels)}: between all results of a row and their truths. It grows as cases become fewer: only "
        "rows with equal numbers of cases compare, and published figures, of other pictures, do not compare at all."
    ]


def _write_sheets(examples: Sequence[Example], reference: str, out: pathlib.Path) -> None:
    """Per cell, the worst cases, all fillers side by side."""
    for cell in dict.fromkeys(example.cell for example in examples):
        here = [example for example in examples if example.cell == cell]
        sheet = contact_sheet(
            [[e.given, *e.results.values(), e.truth] for e in here],
            ["given", *here[0].results, "truth"],
            [f"{e.case}: {e.figures[reference][_RANKED_BY]:.1f} dB" for e in here],
            256,
        )
        sheet.save(out / f"worst-{cell.replace(' ', '-').replace('%', '')}.png")
