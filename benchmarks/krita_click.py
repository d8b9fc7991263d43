"""From the click to the layer: a 512 px hole in an 8K document, in the real Krita under Xvfb.

    python benchmarks/krita_click.py [--weights FILE] [--runs 3]

prints, for a new layer and for an editable group: the stages' seconds; the largest gap on the window's thread between
the click and the end; the plug-in's longest turn on that thread without the two calls in which Krita draws the canvas
anew; and those two calls. Needs krita, python3-pyqt5 and Xvfb.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "editors" / "krita"))
import krita_harness as harness

CASES = {"hole_of_512_px_in_8k": "new layer", "hole_of_512_px_in_8k_as_a_group": "editable group"}
HEADINGS = (
    "output",
    "read",
    "ask the server",
    "of this the fill",
    "make the layer",
    "click to layer",
    "largest gap",
    "the plug-in's longest turn",
    "`addChildNode`",
    "`refreshProjection`",
)
SECONDS = 900


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a weights file, or the name of shipped weights (default: the shipped ones)")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    reason = harness.missing()
    if reason:
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = np.ascontiguousarray(skimage.data.astronaut()[:240, 100:420, ::-1])
        (folder / "photo").write_bytes(np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]).tobytes())
        state = folder / "state"
        harness.write_launch(state, options.weights)
        setup = harness.Setup(folder, folder / "photo", state, only=min(CASES), repeat=options.runs)
        try:
            reports = harness.run(setup, SECONDS)
        finally:
            harness.stop_server(state)
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for name, report in reports.items():
        output = CASES.get(name.split(" ")[0])
        if report["error"]:
            sys.exit(report["error"])
        if output:
            print(f"| {output} | {' | '.join(row(report['facts']))} |")


def row(facts: dict[str, Any]) -> list[str]:
    """One run's cells after the first."""
    stages = facts["stages"]
    network = sum(facts["server_seconds"].values())
    seconds = (stages["read"], stages["server"], network, stages["layer"], sum(stages.values()))
    times = (facts.get(name) for name in ("largest_gap_ms", "turn_ms", "addChildNode_ms", "refreshProjection_ms"))
    return [f"{value:.2f} s" for value in seconds] + ["" if value is None else f"{value} ms" for value in times]


if __name__ == "__main__":
    main()
