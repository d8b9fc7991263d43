"""One HTML file that shows an evaluation: tables, charts, the worst cases side by side. It loads nothing."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from dgfnet.charts import COLOURS, line_chart
from dgfnet.evaluation.tables import ALL, Difference, Row, Score, best, interval_text, number_text

_BIN = 0.05  # of hole share, for the charts
_JPEG_QUALITY = 88
_VERDICT = {True: " class=better", False: " class=worse", None: ""}
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #ffffff; --soft: #6b6b6b; --rule: #d8d8d8; --good: #e3f1e6;
  --bad: #f9e3e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181b; --soft: #9a9a9a; --rule: #3a3d42;
  --good: #17361f; --bad: #43201c; } }
body { color: var(--ink); background: var(--paper); font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto;
  max-width: 110rem; padding: 0 1.5rem; }
h1, h2, h3 { line-height: 1.2; margin: 2rem 0 .6rem; }
p { max-width: 50rem; } .soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; }
tr.first td { border-top: 2px solid var(--soft); }
.better { background: var(--good); } .worse { background: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 11px; }
svg .title { fill: var(--ink); font-size: 13px; font-weight: 600; } svg .grid { stroke: var(--rule); fill: none; }
.legend span { margin-right: 1.2rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 50%; margin-right: .35rem; }
.case { display: flex; gap: .6rem; margin-bottom: 1rem; } figure { margin: 0; }
figcaption { font-size: 12px; color: var(--soft); } figcaption b { color: var(--ink); display: block; }
.case img { display: block; width: 256px; height: auto; }
"""


class Example(NamedTuple):
    """A case to look at."""

    cell: str
    case: str
    given: np.ndarray  # uint8 [H, W, 3]
    truth: np.ndarray
    results: dict[str, np.ndarray]
    figures: dict[str, dict[str, float]]  # by filler


def report(
    settings: dict[str, str],
    rows: Sequence[Row],
    found: Sequence[Difference],
    scores: Sequence[Score],
    examples: Sequence[Example],
    reference: str,
    notes: Sequence[str],
) -> str:
    """The whole page.

    Args:
        settings: what was judged and how, in words.
        rows: the table of means.
        found: differences to `reference`.
        scores: of single cases, for the charts.
        examples: in the order in which they are shown within their cells.
        reference: the filler that is judged.
        notes: sentences about the figures.
    """
    facts = "".join(f"<tr><td>{_text(k)}</td><td class=text>{_text(v)}</td></tr>" for k, v in settings.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{_text(reference)}: evaluation</title><style>{_STYLE}</style></head><body>
<h1>{_text(reference)}: evaluation</h1>
<table>{facts}</table>
<h2>Means</h2>
<div class=wide>{_mean_table(rows)}</div>
{"".join(f"<p class=soft>{_text(note)}</p>" for note in notes)}
{_difference_section(found, reference)}
<h2>By share of the hole</h2>
{_charts(scores)}
<h2>Worst cases</h2>
<p>Of each kind of hole those that {_text(reference)} did worst, by PSNR of the hole, the worst first.</p>
{_example_sections(examples)}
</body></html>
"""


def _mean_table(rows: Sequence[Row]) -> str:
    names = list(rows[0].figures)
    lines = [_head(["hole", "filler", "cases", *names])]
    for cell in dict.fromkeys(row.cell for row in rows):
        here = [row for row in rows if row.cell == cell]
        top = {name: best(here, name) for name in names}
        for row in here:
            values = "".join(f"<td>{_bold(number_text(v), v == top[n])}</td>" for n, v in row.figures.items())
            first = " class=first" if row is here[0] else ""
            label = f"<td>{_text(cell)}</td><td class=text>{_text(row.filler)}</td><td>{row.cases}</td>"
            lines.append(f"<tr{first}>{label}{values}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _difference_section(found: Sequence[Difference], reference: str) -> str:
    if not found:
        return ""
    names = list(dict.fromkeys(d.figure for d in found))
    lines = [_head(["hole", "filler", *names])]
    grouped: dict[tuple[str, str], list[Difference]] = {}
    for difference in found:
        grouped.setdefault((difference.cell, difference.filler), []).append(difference)
    for (cell, filler), row in grouped.items():
        shown = "".join(
            f"<td{_VERDICT[d.better]}>{_text(interval_text(d.interval).replace('*', ''))}</td>" for d in row
        )
        lines.append(f"<tr><td>{_text(cell)}</td><td class=text>{_text(filler)}</td>{shown}</tr>")
    return f"""<h2>Differences to {_text(reference)}</h2>
<p>Filler minus {_text(reference)} on the same photographs, mean and 95 % bootstrap interval over photographs.
Green: better than {_text(reference)}; red: worse; neither: the interval holds zero.
"{ALL}" averages each photograph's cases first.</p>
<div class=wide><table>{"".join(lines)}</table></div>"""


def _charts(scores: Sequence[Score]) -> str:
    """A chart per kind of hole and figure; each point is the mean of the cases in a span of hole share."""
    fillers = list(dict.fromkeys(s.filler for s in scores))
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(fillers))]
    dots = [f'<i style="background:{colour}"></i>' for colour in colours]
    legend = "".join(f"<span>{dot}{_text(name)}</span>" for dot, name in zip(dots, fillers, strict=True))
    drawn: list[str] = []
    for kind in dict.fromkeys(s.kind for s in scores):
        for figure in scores[0].figures:
            bins: dict[str, dict[int, list[tuple[float, float]]]] = {name: {} for name in fillers}
            for s in scores:
                if s.kind == kind:
                    bins[s.filler].setdefault(int(s.share / _BIN), []).append((s.share * 100, s.figures[figure]))
            series = {
                name: [(float(x), float(y)) for x, y in (np.mean(b, axis=0) for _, b in sorted(by_share.items()))]
                for name, by_share in bins.items()
            }
            drawn.append(line_chart(f"{figure}, {kind}", series, "hole, % of the area"))
    return f"<p class=legend>{legend}</p><div class=charts>{''.join(f'<div>{chart}</div>' for chart in drawn)}</div>"


def _example_sections(examples: Sequence[Example]) -> str:
    sections: list[str] = []
    for cell in dict.fromkeys(example.cell for example in examples):
        sections.append(f"<h3>{_text(cell)}</h3>")
        for example in (e for e in examples if e.cell == cell):
            pictures = {"given": example.given, **example.results, "truth": example.truth}
            figures = "".join(_figure(name, p, example.figures.get(name, {})) for name, p in pictures.items())
            sections.append(f"<div class=soft>{_text(example.case)}</div><div class='case wide'>{figures}</div>")
    return "\n".join(sections)


def _figure(name: str, pixels: np.ndarray, figures: dict[str, float]) -> str:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    source = base64.b64encode(data.getvalue()).decode("ascii")
    caption = "<br>".join(f"{_text(label)} {number_text(value)}" for label, value in figures.items())
    return (
        f'<figure><img alt="{_text(name)}" src="data:image/jpeg;base64,{source}">'
        f"<figcaption><b>{_text(name)}</b>{caption}</figcaption></figure>"
    )


def _head(names: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<th>{_text(name)}</th>" for name in names) + "</tr>"


def _bold(text: str, bold: bool) -> str:
    return f"<b>{text}</b>" if bold else text


def _text(value: str) -> str:
    return html.escape(value)
