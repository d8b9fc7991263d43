"""Line charts as SVG: elements of an HTML page, whose style gives them their colours, or a file of their own."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

Points = Sequence[tuple[float, float]]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")
"""Told apart by the colour-blind and visible on white and on black (Okabe and Ito, two added)."""

_WIDTH, _HEIGHT = 420, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 28, 42
_FEW = 30  # points of a series that are drawn one by one; more are smoothed
_MOST = 400  # points that are drawn of a series; more would only make the file large
_COLUMNS = 3  # of charts in a file
_STYLE = "text{font:11px sans-serif;fill:#555}.title{font-size:13px;font-weight:600;fill:#111}.grid{stroke:#ddd}"


def chart_file(charts: Sequence[str]) -> str:
    """A whole SVG file with charts in rows, on white."""
    places = [(i % _COLUMNS * _WIDTH, i // _COLUMNS * _HEIGHT) for i in range(len(charts))]
    placed = (
        f'<svg x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}">{chart}</svg>'
        for (x, y), chart in zip(places, charts, strict=True)
    )
    size = f'width="{_COLUMNS * _WIDTH}" height="{math.ceil(len(charts) / _COLUMNS) * _HEIGHT}"'
    page = f'<style>{_STYLE}</style><rect {size} fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{page}{"".join(placed)}</svg>\n'


def line_chart(title: str, series: Mapping[str, Points], x_label: str, log: bool = False) -> str:
    """An `<svg>` element: a line per series, with a dot per point where they are few; else faint, and smoothed on top.

    Args:
        title: above the chart.
        series: name to points, each sorted by x; points that are not finite are left out. A series' colour is that of
            its place in the mapping.
        x_label: below the axis.
        log: whether y is on a logarithmic scale, if any is above zero. Others are then at the chart's bottom.
    """
    drawn = {name: _thinned([p for p in points if all(map(math.isfinite, p))]) for name, points in series.items()}
    every = [point for points in drawn.values() for point in points]
    log = log and any(y > 0 for _, y in every)
    x_ticks, y_ticks = ticks([x for x, _ in every]), (log_ticks if log else ticks)([y for _, y in every])
    level = math.log10 if log else float
    lowest, highest = level(y_ticks[0]), level(y_ticks[-1])
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">',
        f'<text x="{_LEFT}" y="16" class="title">{html.escape(title)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{html.escape(x_label)}</text>',
    ]

    def place(x: float, y: float) -> tuple[float, float]:
        along = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (level(max(y, y_ticks[0])) - lowest) / (highest - lowest)
        return _LEFT + along * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    for x in x_ticks:
        left, bottom = place(x, y_ticks[0])
        parts.append(f'<text x="{left:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{_number(x)}</text>')
    for y in y_ticks:
        left, height = place(x_ticks[0], y)
        parts.append(f'<path class="grid" d="M{left:.1f} {height:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{height + 4:.1f}" text-anchor="end">{_number(y)}</text>')
    for index, (name, points) in enumerate(drawn.items()):
        colour = COLOURS[index % len(COLOURS)]
        dashes = ' stroke-dasharray="6 3"' if index >= len(COLOURS) else ""
        placed = [place(*point) for point in points]
        if len(points) > _FEW:
            parts.append(_line(placed, f'stroke="{colour}" stroke-opacity="0.3"'))
            placed = _smoothed(placed)
        if placed:
            parts.append(_line(placed, f'stroke="{colour}" stroke-width="2"{dashes}'))
        if len(points) <= _FEW:
            for (x, y), (value_x, value_y) in zip(placed, points, strict=True):
                text = html.escape(f"{name}: {_number(value_y)} at {_number(value_x)}")
                parts.append(
                    f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{text}</title></circle>'
                )
    return "\n".join([*parts, "</svg>"])


def ticks(values: Sequence[float]) -> list[float]:
    """About five round numbers, evenly spaced, from at or below the lowest value to at or above the highest."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        margin = max(abs(low) * 0.1, 1e-6)
        low, high = low - margin, high + margin
    rough = (high - low) / 4
    unit = 10 ** math.floor(math.log10(rough))
    step = unit * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(values: Sequence[float]) -> list[float]:
    """As `ticks`, for a logarithmic axis: all above zero, over at most six powers of ten below the highest value.

    One value at least must be above zero.
    """
    high = max(values)
    low = max(min(values), high * 1e-6)
    if high < 2.5 * low:  # even steps; none of the ticks is zero, since the steps are shorter than `low`
        margin = 0.01 * low if high < 1.001 * low else 0.0
        return ticks([low - margin, high + margin])
    digits = (1, 2, 5) if high < 100 * low else (1,)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    every = [digit * 10.0**power for power in powers for digit in digits]
    first = max(tick for tick in every if tick <= low * (1 + 1e-9))
    last = min(tick for tick in every if tick >= high * (1 - 1e-9))
    return [tick for tick in every if first <= tick <= last]


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _line(placed: Points, style: str) -> str:
    return f'<path d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in placed)}" fill="none" {style}/>'


def _thinned(points: Points) -> Points:
    """At most `_MOST`, each the last x and the mean y of its block."""
    block = max(1, math.ceil(len(points) / _MOST))
    blocks = (points[i : i + block] for i in range(0, len(points), block))
    return [(b[-1][0], sum(y for _, y in b) / len(b)) for b in blocks]


def _smoothed(points: Points, memory: float = 0.9) -> list[tuple[float, float]]:
    """Exponential mean of y, without the start's bias."""
    total, weight, means = 0.0, 0.0, []
    for x, y in points:
        total, weight = memory * total + y, memory * weight + 1
        means.append((x, total / weight))
    return means
