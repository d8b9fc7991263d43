"""How weights of one training get better on photographs that they were not trained on.

    python benchmarks/learning_curve.py PHOTOGRAPHS WEIGHTS... [--limit N] [--squeezenet FILE] [--out FILE.svg]

WEIGHTS are those that `dgfnet train --keep-every` left, of one run or of several that went on from each other. Each is
scored on the cases of `dgfnet evaluate`. Prints a table, and draws it over the steps of the whole chain of runs.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import re

from dgfnet import model
from dgfnet.charts import chart_file, line_chart
from dgfnet.evaluation import fillers
from dgfnet.evaluation.cases import CaseSet
from dgfnet.evaluation.judgement import Judgement
from dgfnet.evaluation.perception import load_squeezenet
from dgfnet.evaluation.tables import number_text


def steps(notes: dict[str, str]) -> int:
    """Of a run and of all runs that it went on from."""
    return int(notes["step"]) + sum(int(count) for count in re.findall(r", (\d+) steps", notes.get("origin", "")))


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs")
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--squeezenet", metavar="FILE")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("learning-curve.svg"))
    given = parser.parse_args()
    perceptions = [load_squeezenet(given.squeezenet)] if given.squeezenet else []
    series: dict[str, list[tuple[float, float]]] = collections.defaultdict(list)
    for done, weights in sorted((steps(model.load_info(file).notes), file) for file in given.weights):
        fill = fillers.network(model.load(weights), "network")
        judgement = Judgement("dgfnet", perceptions)
        for case in CaseSet([given.photographs], ("irregular", "square"), limit=given.limit):
            judgement.add(case, {"dgfnet": fill(case.name, case.given, case.hole)})
        means: dict[str, float] = {}
        for kind in ("irregular", "square"):
            scores = [score.figures for score in judgement.scores if score.kind == kind]
            for figure in ("hole PSNR", "SSIM", *(perception.distance for perception in perceptions)):
                means[f"{kind}: {figure}"] = sum(score[figure] for score in scores) / len(scores)
        for name, value in means.items():
            series[name].append((done, value))
        if len(series[next(iter(means))]) == 1:
            print(f"| steps | {' | '.join(means)} |\n|{'---|' * (1 + len(means))}")
        print(f"| {done} | {' | '.join(map(number_text, means.values()))} |", flush=True)
    charts = [line_chart(name, {name: points}, "steps") for name, points in series.items()]
    given.out.write_text(chart_file(charts), encoding="utf-8")


if __name__ == "__main__":
    main()
