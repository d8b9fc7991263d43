"""From the click to the layer: a 512 px hole in an 8K document, in the real Krita under Xvfb.

    python benchmarks/krita_click.py [--weights FILE] [--runs 3]

prints the stages' seconds, the largest gap on the window's thread between the click and the end, and the longest piece
of the plug-in's own work on that thread. Needs krita, python3-pyqt5 and Xvfb.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage.data

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "editors" / "krita"))
import krita_harness as harness

CASE = "hole_of_512_px_in_8k"
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
        setup = harness.Setup(folder, folder / "photo", state, only=CASE, repeat=options.runs)
        try:
            reports = harness.run(setup, SECONDS)
        finally:
            harness.stop_server(state)
    print(
        "| run | read | ask the server | of this the fill | make the layer | largest gap | the plug-in's longest turn |"
    )
    print("|---|---|---|---|---|---|---|")
    for index, report in enumerate(report for case, report in reports.items() if case.startswith(CASE)):
        if report["error"]:
            sys.exit(report["error"])
        facts = report["facts"]
        stages = " | ".join(f"{facts['stages'][stage]:.2f} s" for stage in ("read", "server"))
        network = sum(facts["server_seconds"].values())
        gaps = f"{facts['largest_gap_ms']} ms | {facts['own_turn_ms']} ms"
        print(f"| {index + 1} | {stages} | {network:.2f} s | {facts['stages']['layer']:.2f} s | {gaps} |")


if __name__ == "__main__":
    main()
