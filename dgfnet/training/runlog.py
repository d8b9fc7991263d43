"""A run's losses: a CSV file that survives resuming, and plots of it as one SVG file."""

from __future__ import annotations

import collections
import csv
import pathlib

from dgfnet.charts import chart_file, line_chart


class RunLog:
    """Means of the losses over a few steps each, appended to `log.csv`: step, seconds, name, value."""

    def __init__(self, file: pathlib.Path, step: int, every: int = 10) -> None:
        """Go on at `step`; what an interrupted run logged after it is dropped, for it will come again."""
        self.file, self.every = file, every
        self._sums: dict[str, list[float]] = collections.defaultdict(list)
        kept = [row for row in _rows(file) if int(row[0]) <= step]
        with open(file, "w", newline="", encoding="utf-8") as target:
            csv.writer(target).writerows(kept)

    def add(self, step: int, seconds: float, values: dict[str, float]) -> dict[str, float]:
        """Take in one step's losses; returns the means where a line was due, else nothing."""
        for name, value in values.items():
            self._sums[name].append(value)
        if step % self.every:
            return {}
        means = {name: sum(values) / len(values) for name, values in self._sums.items()}
        self._sums.clear()
        self.write(step, seconds, means)
        return means

    def write(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Append values as they are."""
        with open(self.file, "a", newline="", encoding="utf-8") as target:
            csv.writer(target).writerows((step, f"{seconds:.1f}", k, f"{v:.6g}") for k, v in values.items())

    def plot(self, target: pathlib.Path) -> None:
        """Draw everything logged so far, a chart per name."""
        series: dict[str, list[tuple[float, float]]] = collections.defaultdict(list)
        for step, _, name, value in _rows(self.file):
            series[name].append((float(step), float(value)))
        charts = [line_chart(name, {name: points}, "step", log=True) for name, points in series.items()]
        target.write_text(chart_file(charts), encoding="utf-8")


def _rows(file: pathlib.Path) -> list[list[str]]:
    """Whole rows only: the last one may have been cut off."""
    if not file.exists():
        return []
    with open(file, newline="", encoding="utf-8") as source:
        return [row for row in csv.reader(source) if len(row) == 4]
