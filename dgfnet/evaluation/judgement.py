"""What is said about fillers, gathered case by case, and written down: tables, report, sheets."""

from __future__ import annotations

import heapq
import json
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from dgfnet.evaluation import metrics
from dgfnet.evaluation.cases import Case
from dgfnet.evaluation.perception import Perception
from dgfnet.evaluation.report import Example, report
from dgfnet.evaluation.tables import Score, difference_table, differences, mean_table, means, write_csv
from dgfnet.sheets import contact_sheet

TABLE, SETTINGS = "table.md", "settings.json"
"""Of an evaluation's files: the Markdown, and what was judged and how."""
_SHEET = "worst-{}.png"  # of a cell
_WORST = 6  # cases shown per cell
_RANKED_BY = "hole PSNR"


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
    (out / TABLE).write_text(text, encoding="utf-8")
    (out / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
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
    """Per cell, the worst cases, all fillers side by side; sheets of an evaluation before go."""
    for before in out.glob(_SHEET.format("*")):
        before.unlink()
    for cell in dict.fromkeys(example.cell for example in examples):
        here = [example for example in examples if example.cell == cell]
        sheet = contact_sheet(
            [[e.given, *e.results.values(), e.truth] for e in here],
            ["given", *here[0].results, "truth"],
            [f"{e.case}: {e.figures[reference][_RANKED_BY]:.1f} dB" for e in here],
            256,
        )
        sheet.save(out / _SHEET.format(cell.replace(" ", "-").replace("%", "")))
