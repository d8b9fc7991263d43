"""Holes too deep for the network: its fill enlarged, refined at the picture's own scale, and with copied patches.

    python benchmarks/refinement.py PHOTOGRAPHS... [--weights W] [--size 512] [--limit N]
        [--masks FOLDER --holes-are white] [--squeezenet FILE] [--out FOLDER]

The same weights and cases all three ways, in turn. Prints the table of `dgfnet evaluate`, and how much longer the
others take than enlarging (median of ratios); writes the report and sheets of the worst cases. Photographs smaller
than `--size` would have to be enlarged first: they are left out.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import time

import numpy as np

from dgfnet import model
from dgfnet.devices import default_device
from dgfnet.evaluation import fillers
from dgfnet.evaluation.cases import CaseSet, MaskFiles, spread
from dgfnet.evaluation.judgement import Judgement, write
from dgfnet.evaluation.perception import load_squeezenet
from dgfnet.photographs import read_pictures

STAGES: tuple[fillers.Stage, ...] = ("enlarged", "network", "final")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--weights")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--masks", type=pathlib.Path)
    parser.add_argument("--holes-are", choices=("white", "black"), default="white")
    parser.add_argument("--squeezenet", metavar="FILE")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results"))
    given = parser.parse_args()

    net = model.load(given.weights, given.device)
    columns = {stage: fillers.network(net, stage) for stage in STAGES}
    masks = MaskFiles(given.masks, given.holes_are) if given.masks else None
    cases = CaseSet(given.pictures, () if masks else ("square", "object"), given.size, None, masks=masks)
    large = [n for n, (_, picture) in enumerate(read_pictures(given.pictures)) if min(picture.size) >= given.size]
    chosen = {large[i] for i in spread(len(large), given.limit)}
    judgement = Judgement("final", [load_squeezenet(given.squeezenet)] if given.squeezenet else [])
    ratios = []
    for case in cases:
        if int(case.photograph.split("-")[0]) not in chosen:
            continue
        filled: dict[str, np.ndarray] = {}
        seconds: dict[str, float] = {}
        for name, fill in columns.items():
            start = time.perf_counter()
            filled[name] = fill(case.name, case.given, case.hole)
            seconds[name] = time.perf_counter() - start
        if (filled["network"] != filled["enlarged"]).any():
            judgement.add(case, filled)
            ratios.append([seconds[stage] / seconds["enlarged"] for stage in STAGES[1:]])
    given.out.mkdir(parents=True, exist_ok=True)
    print(write(judgement, {"size": f"{given.size} px"}, given.out))
    print(f"{len(chosen)} photographs, {len(ratios)} cases with holes out of the network's reach;")
    refined, final = (statistics.median(ratio) for ratio in zip(*ratios, strict=True))
    print(f"refining takes {refined:.2f} times as long as enlarging, with patches {final:.2f} times.")


if __name__ == "__main__":
    main()
