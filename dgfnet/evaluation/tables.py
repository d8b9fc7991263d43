"""From the scores of single cases to tables: means per cell, differences with their intervals, Markdown and CSV."""

from __future__ import annotations

import csv
import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dgfnet.evaluation.bootstrap import Interval, mean_intervals

ALL = "all holes"
HIGHER_IS_BETTER = frozenset({"PSNR", "SSIM", "hole PSNR"})
_SEAM = "seam"  # 1 is best


class Score(NamedTuple):
    """The figures of one filler on one case."""

    case: str
    photograph: str
    kind: str
    cell: str
    share: float
    filler: str
    figures: dict[str, float]


class Row(NamedTuple):
    """Means over the cases of a cell; Frechet distances, which belong to a cell as a whole, are among the figures."""

    cell: str
    filler: str
    cases: int
    figures: dict[str, float]


class Difference(NamedTuple):
    """How much one figure of a filler exceeds the reference's on the same photographs."""

    cell: str
    filler: str
    figure: str
    interval: Interval

    @property
    def better(self) -> bool | None:
        """Whether the filler is better than the reference; None where the sign is not certain or means neither."""
        if not self.interval.excludes_zero or self.figure == _SEAM:
            return None
        return (self.interval.mean > 0) == (self.figure in HIGHER_IS_BETTER)


def means(scores: Sequence[Score], frechet: dict[tuple[str, str], dict[str, float]]) -> list[Row]:
    """A row per cell and filler, in order of appearance.

    Args:
        scores: of all cases and fillers.
        frechet: by cell and filler: name and Frechet distance.
    """
    grouped: dict[tuple[str, str], list[dict[str, float]]] = {}
    for score in scores:
        grouped.setdefault((score.cell, score.filler), []).append(score.figures)
    rows = [
        Row(*key, len(all_), {n: float(np.mean([f[n] for f in all_])) for n in all_[0]} | frechet.get(key, {}))
        for key, all_ in grouped.items()
    ]
    cells = list(dict.fromkeys(row.cell for row in rows))
    return sorted(rows, key=lambda row: cells.index(row.cell))


def differences(scores: Sequence[Score], reference: str) -> list[Difference]:
    """Every other filler against `reference`, over all holes and per cell, all figures; photographs are the samples."""
    found: list[Difference] = []
    fillers = [name for name in dict.fromkeys(s.filler for s in scores) if name != reference]
    figures = list(scores[0].figures)
    for cell in (ALL, *dict.fromkeys(s.cell for s in scores)):
        grouped: dict[str, dict[str, list[list[float]]]] = {}
        for score in scores:
            if cell in (ALL, score.cell):
                of_filler = grouped.setdefault(score.filler, {})
                of_filler.setdefault(score.photograph, []).append([score.figures[name] for name in figures])
        by_photograph = {f: np.array([np.mean(v, axis=0) for v in p.values()]) for f, p in grouped.items()}
        with np.errstate(invalid="ignore"):
            paired = [by_photograph[name] - by_photograph[reference] for name in fillers]
        if paired:
            intervals = mean_intervals(np.concatenate(paired, axis=1))
            keys = [(cell, filler, figure) for filler in fillers for figure in figures]
            found += [Difference(*key, interval) for key, interval in zip(keys, intervals, strict=True)]
    return found


def best(rows: Iterable[Row], figure: str) -> float:
    """The best value of a figure: the highest, the lowest, or for the seam the one nearest to 1 as a ratio."""

    def merit(value: float) -> float:
        if figure == _SEAM:
            return -abs(math.log(max(value, 1e-9)))
        return value if figure in HIGHER_IS_BETTER else -value

    values = [row.figures[figure] for row in rows]
    return max((v for v in values if not math.isnan(v)), key=merit, default=float("nan"))


def mean_table(rows: Sequence[Row]) -> str:
    """Markdown: the best of each cell in bold."""
    names = list(rows[0].figures)
    lines = [f"| hole | cases | filler | {' | '.join(names)} |", "|---" * (len(names) + 3) + "|"]
    for cell in dict.fromkeys(row.cell for row in rows):
        here = [row for row in rows if row.cell == cell]
        top = {name: best(here, name) for name in names}
        for row in here:
            texts = {name: number_text(value) for name, value in row.figures.items()}
            shown = [f"**{t}**" if row.figures[name] == top[name] else t for name, t in texts.items()]
            lines.append(f"| {cell} | {row.cases} | {row.filler} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def difference_table(found: Sequence[Difference], reference: str) -> str:
    """Markdown, over all holes: filler minus reference with its interval; bold where the sign is certain."""
    over_all = [d for d in found if d.cell == ALL]
    names = list(dict.fromkeys(d.figure for d in over_all))
    lines = [f"| minus {reference} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for filler in dict.fromkeys(d.filler for d in over_all):
        shown = [interval_text(d.interval) for d in over_all if d.filler == filler]
        lines.append(f"| {filler} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def number_text(value: float) -> str:
    """Four digits, large numbers whole."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def interval_text(interval: Interval) -> str:
    """Like `**+0.31** (+0.12 to +0.5)`, or `no number`."""
    if math.isnan(interval.mean):
        return "no number"
    mean = f"{interval.mean:+.3g}"
    limits = "one photograph" if math.isnan(interval.low) else f"{interval.low:+.3g} to {interval.high:+.3g}"
    return f"{f'**{mean}**' if interval.excludes_zero else mean} ({limits})"


def write_csv(file: pathlib.Path, head: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> None:
    """Numbers with six digits."""
    with open(file, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(head)
        writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows)
