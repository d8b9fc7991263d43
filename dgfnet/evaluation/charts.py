"""Line charts as inline SVG. Colours come from the page that holds them, so that a chart is readable light and dark."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

Points = Sequence[tuple[float, float]]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")
"""Told apart by the colour-blind and visible on white and on black (Okabe and Ito, two added)."""

_WIDTH, _HEIGHT = 420, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 28, 42


def line_chart(title: str, series: Mapping[str, Points], x_label: str) -> str:
    """An `<svg>` element: one line per series with a dot per point; points that are not finite are left out.

    Args:
        title: above the chart.
        series: name to points, each sorted by x. A series' colour is that of its place in the mapping.
        x_label: below the axis.
    """
    drawn = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    every = [point for points in drawn.values() for point in points]
    x_ticks, y_ticks = (ticks([point[axis] for point in every]) for axis in (0, 1))
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">',
        f'<text x="{_LEFT}" y="16" class="title">{html.escape(title)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{html.escape(x_label)}</text>',
    ]

    def place(x: float, y: float) -> tuple[float, float]:
        along = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return _LEFT + along * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    for x in x_ticks:
        left, bottom = place(x, y_ticks[0])
        parts.append(f'<text x="{left:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{x:.4g}</text>')
    for y in y_ticks:
        left, level = place(x_ticks[0], y)
        parts.append(f'<path class="grid" d="M{left:.1f} {level:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{level + 4:.1f}" text-anchor="end">{y:.4g}</text>')
    for index, (name, points) in enumerate(drawn.items()):
        colour = COLOURS[index % len(COLOURS)]
        placed = [place(*point) for point in points]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        if line:
            dashes = ' stroke-dasharray="6 3"' if index >= len(COLOURS) else ""
            parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        for (x, y), (value_x, value_y) in zip(placed, points, strict=True):
            text = html.escape(f"{name}: {value_y:.4g} at {value_x:.3g}")
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{text}</title></circle>')
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
