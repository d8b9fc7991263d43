"""A run's losses: a CSV file that survives resuming, and plots of it as one SVG file."""

from __future__ import annotations

import collections
import csv
import math
import pathlib
from collections.abc import Sequence

Series = dict[str, list[tuple[int, float]]]
"""Name -> (step, value) in the order of the steps."""

_POINTS = 400  # of a curve; more would only make the file large
_FEW = 30  # points that are drawn as they are
_PANEL = (360, 200)
_MARGIN = (56, 28, 12, 24)  # left, top, right, bottom of a panel
_COLUMNS = 3


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
        """Draw everything logged so far."""
        series: Series = collections.defaultdict(list)
        for step, _, name, value in _rows(self.file):
            series[name].append((int(step), float(value)))
        target.write_text(plots(series), encoding="utf-8")


def plots(series: Series) -> str:
    """SVG: a panel per name, steps from left to right, values on a logarithmic scale; thin raw, thick smoothed."""
    width, height = _PANEL
    rows = math.ceil(len(series) / _COLUMNS)
    panels = [
        f'<g transform="translate({i % _COLUMNS * width},{i // _COLUMNS * height})">{_panel(name, points)}</g>'
        for i, (name, points) in enumerate(series.items())
    ]
    style = "<style>text{font:11px sans-serif;fill:#333}polyline{fill:none;stroke:#27c}</style>"
    size = f'width="{_COLUMNS * width}" height="{rows * height}"'
    page = f'<rect {size} fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}{page}{"".join(panels)}</svg>\n'


def _panel(name: str, points: list[tuple[int, float]]) -> str:
    points = _thinned([(step, value) for step, value in points if math.isfinite(value)])
    left, top, right, bottom = _MARGIN
    title = f'<text x="{left}" y="{top - 10}" font-weight="bold">{name}</text>'
    if not points:
        return title
    floor = max(max(value for _, value in points) * 1e-6, 1e-12)  # zero has no logarithm
    levels = [math.log10(max(value, floor)) for _, value in points]
    low, high = min(levels), max(max(levels), min(levels) + 0.01)
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)
    inner = (_PANEL[0] - left - right, _PANEL[1] - top - bottom)

    def y(level: float) -> float:
        return top + (high - level) / (high - low) * inner[1]

    def line(values: Sequence[float], style: str) -> str:
        xs = (left + (step - first) / (last - first) * inner[0] for step, _ in points)
        dots = " ".join(f"{x:.1f},{y(value):.1f}" for x, value in zip(xs, values, strict=True))
        return f'<polyline points="{dots}" {style}/>'

    frame = f'<rect x="{left}" y="{top}" width="{inner[0]}" height="{inner[1]}" fill="none" stroke="#ccc"/>'
    labels = "".join(
        f'<text x="{left - 4}" y="{y(level) + 4:.1f}" text-anchor="end">{10**level:.3g}</text>' for level in (low, high)
    )
    baseline = _PANEL[1] - bottom + 14
    labels += f'<text x="{left}" y="{baseline}">{first}</text>'
    labels += f'<text x="{_PANEL[0] - right}" y="{baseline}" text-anchor="end">{last}</text>'
    if len(points) < _FEW:
        return title + frame + labels + line(levels, 'stroke-width="1.8"')
    raw, smooth = line(levels, 'stroke-opacity="0.3"'), line(_smoothed(levels), 'stroke-width="1.8"')
    return title + frame + labels + raw + smooth


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `_POINTS`, each the last step and the mean value of its block."""
    block = max(1, math.ceil(len(points) / _POINTS))
    blocks = (points[i : i + block] for i in range(0, len(points), block))
    return [(b[-1][0], sum(value for _, value in b) / len(b)) for b in blocks]


def _smoothed(values: Sequence[float], memory: float = 0.9) -> list[float]:
    """Exponential mean, without the start's bias."""
    total, weight, means = 0.0, 0.0, []
    for value in values:
        total, weight = memory * total + value, memory * weight + 1
        means.append(total / weight)
    return means


def _rows(file: pathlib.Path) -> list[list[str]]:
    """Whole rows only: the last one may have been cut off."""
    if not file.exists():
        return []
    with open(file, newline="", encoding="utf-8") as source:
        return [row for row in csv.reader(source) if len(row) == 4]
