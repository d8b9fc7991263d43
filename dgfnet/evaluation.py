"""Table 1: fillers on the same pictures and holes, by kind of hole and share of the area."""

from __future__ import annotations

import argparse
import csv
import itertools
import pathlib
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from dgfnet import fillers, metrics, model
from dgfnet.data import DataError, read_pictures
from dgfnet.masks import KINDS, Kind, random_masks
from dgfnet.sheets import contact_sheet

SHARES = ((0.2, 0.3), (0.3, 0.4), (0.4, 0.5))
_HIGHER_IS_BETTER = {"PSNR", "SSIM", "hole PSNR"}
_SHEET_ROWS = 8
CLASSICAL: dict[str, fillers.Filler] = {
    "mean": fillers.mean_colour,
    "telea": fillers.telea,
    "ns": fillers.navier_stokes,
    "biharmonic": fillers.biharmonic,
}


class Case(NamedTuple):
    """One picture with one hole."""

    name: str
    cell: str
    truth: np.ndarray  # uint8 [size, size, 3]
    hole: np.ndarray  # bool [size, size]

    @property
    def picture(self) -> np.ndarray:
        """What a filler is given: nothing under the hole."""
        return np.where(self.hole[..., None], np.uint8(0), self.truth)


class Score(NamedTuple):
    """The figures of one filler on one case."""

    case: str
    cell: str
    filler: str
    figures: dict[str, float]


def cases(sources: list[str], kinds: tuple[Kind, ...], size: int, limit: int | None, seed: int) -> Iterator[Case]:
    """Every picture (its centre square at `size` px), spread evenly over the list if limited, once per cell.

    A hole depends on picture number, cell and seed alone, so that a shorter list keeps its cases.
    """
    pictures = list(read_pictures(sources))
    step = max(1, len(pictures) // limit) if limit else 1
    for number in range(0, len(pictures), step)[:limit]:
        name, picture = pictures[number]
        truth = _centre(picture, size)
        for cell, (kind, share) in enumerate(itertools.product(kinds, SHARES)):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + number * 101 + cell)
            hole = random_masks((kind,), share, 1, size, generator)[0, 0].numpy() == 0
            label = f"{kind} {share[0]:.0%} to {share[1]:.0%}"
            yield Case(f"{pathlib.Path(name).stem}-{cell}", label, truth, hole)


def score(case: Case, filled: np.ndarray) -> dict[str, float]:
    """All figures of a result, composed with the truth outside the hole first."""
    result = np.where(case.hole[..., None], filled, case.truth)
    return {
        "mean L1": metrics.mean_l1(result, case.truth),
        "SSIM": metrics.ssim(result, case.truth),
        "PSNR": metrics.psnr(result, case.truth),
        "hole PSNR": metrics.psnr(result, case.truth, case.hole),
        "seam": metrics.seam(result, case.hole),
    }


def table(scores: list[Score]) -> str:
    """Markdown: a row per cell and filler, the best of each cell in bold."""
    names = list(scores[0].figures)
    lines = [f"| hole | filler | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for cell in dict.fromkeys(s.cell for s in scores):
        rows: dict[str, list[float]] = {}
        for filler in dict.fromkeys(s.filler for s in scores):
            figures = [s.figures for s in scores if s.cell == cell and s.filler == filler]
            rows[filler] = [float(np.mean([f[name] for f in figures])) for name in names]
        best = [
            (max if name in _HIGHER_IS_BETTER else min)(row[i] for row in rows.values()) for i, name in enumerate(names)
        ]
        for filler, row in rows.items():
            shown = [f"**{v:.4g}**" if v == b else f"{v:.4g}" for v, b in zip(row, best, strict=True)]
            lines.append(f"| {cell} | {filler} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dgfnet evaluate`."""
    parser.add_argument("pictures", nargs="+", help="folders or tar files of photographs that were not trained on")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results"), help="folder of tables and sheets")
    parser.add_argument("--weights", help="weights to judge; the shipped ones unless given")
    parser.add_argument("--against", nargs="*", choices=sorted(CLASSICAL), default=["telea", "ns"])
    parser.add_argument("--results", nargs="*", type=pathlib.Path, default=[], help="folders made by other programs")
    parser.add_argument("--export", action="store_true", help="only write the cases, for other programs to fill")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["irregular", "square"])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--limit", type=int, help="at most this many pictures, spread evenly")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def run(arguments: argparse.Namespace) -> int:
    """`dgfnet evaluate`: scores.csv, table.md and a sheet of the worst cases per cell.

    Raises:
        DataError, WeightsError: each is one sentence for the user.
    """
    out: pathlib.Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    todo = list(cases(arguments.pictures, tuple(arguments.kinds), arguments.size, arguments.limit, arguments.seed))
    if arguments.export:
        return _export(todo, out)
    net = model.load(arguments.weights, arguments.device)
    columns: dict[str, fillers.Filler] = {name: CLASSICAL[name] for name in arguments.against}
    columns |= {folder.name: fillers.results(folder) for folder in arguments.results}
    columns |= {"coarse branch": fillers.network(net, "coarse"), "dgfnet": fillers.network(net)}
    scores = [
        Score(case.name, case.cell, name, score(case, filler(case.name, case.picture, case.hole)))
        for case in tqdm(todo, desc="evaluate", unit="case", disable=None)
        for name, filler in columns.items()
    ]
    _write_csv(scores, out / "scores.csv")
    _write_sheets(todo, scores, columns, out)
    (out / "table.md").write_text(table(scores))
    print(table(scores))
    print(f"{len(todo)} cases; tables and sheets in {out}", file=sys.stderr)
    return 0


def _centre(picture: Image.Image, size: int) -> np.ndarray:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.array(square.resize((size, size), Image.Resampling.LANCZOS))


def _export(todo: list[Case], out: pathlib.Path) -> int:
    for name in ("pictures", "masks"):
        (out / name).mkdir(exist_ok=True)
    for case in todo:
        Image.fromarray(case.picture).save(out / "pictures" / f"{case.name}.png")
        Image.fromarray(case.hole.astype(np.uint8) * 255).save(out / "masks" / f"{case.name}.png")
    print(f"{len(todo)} pictures and masks (white = hole) in {out}", file=sys.stderr)
    return 0


def _write_csv(scores: list[Score], file: pathlib.Path) -> None:
    if not scores:
        raise DataError("There are no cases to evaluate.")
    with open(file, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["case", "hole", "filler", *scores[0].figures])
        writer.writerows([s.case, s.cell, s.filler, *(f"{v:.6g}" for v in s.figures.values())] for s in scores)


def _write_sheets(todo: list[Case], scores: list[Score], columns: dict[str, fillers.Filler], out: pathlib.Path) -> None:
    """Per cell, the cases on which DGFNet did worst, all fillers side by side."""
    own = {s.case: s.figures["hole PSNR"] for s in scores if s.filler == "dgfnet"}
    for cell in dict.fromkeys(case.cell for case in todo):
        worst = sorted((case for case in todo if case.cell == cell), key=lambda case: own[case.name])[:_SHEET_ROWS]
        rows = [
            [case.picture, *(fill(case.name, case.picture, case.hole) for fill in columns.values()), case.truth]
            for case in worst
        ]
        sheet = contact_sheet(
            rows, ["given", *columns, "truth"], [f"{case.name}: {own[case.name]:.1f} dB" for case in worst], 256
        )
        sheet.save(out / f"worst-{cell.replace(' ', '-').replace('%', '')}.png")
