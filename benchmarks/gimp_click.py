"""From click to layer: a hole of 512 px in a 24 megapixel picture, in the real GIMP, split into stages.

    python benchmarks/gimp_click.py [--runs 3] [--weights FILE] [--device cpu] [--threads N]

Prints a Markdown table; the median of the runs after a first one that nobody counts. GIMP is the one that the tests use
(tests/editors/gimp_root.py); a script calls the plug-in by name, which starts its process as a click does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "editors")]
import gimp_session  # noqa: E402
from gimp_root import NoRoot, gimp_root  # noqa: E402

from dgfnet import model  # noqa: E402

WIDTH, HEIGHT, HOLE = 6000, 4000, 512
STAGES = {
    "start": "GIMP starts Python, which imports the plug-in",
    "read": "pixels and mask out of GIMP",
    "server": "from the greeting to the last byte of the answer",
    "network": "of that, the network, as the server reports it",
    "refine": "of that, refinement up to the picture's own scale",
    "patches": "of that, detail copied from the picture",
    "seam": "of that, the colour at the seam",
    "layers": "the new layer and its pixels",
    "end": "the plug-in ends, GIMP has the layer",
    "all": "from click to layer",
    "another": "from click to layer, for another fill of the same hole",
}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", default=str(os.cpu_count()))
    options = parser.parse_args()
    try:
        root = gimp_root("trixie")
    except NoRoot as why:
        sys.exit(str(why))
    gimp_session.THREADS = options.threads
    weights = options.weights or model.find()
    with tempfile.TemporaryDirectory() as scratch, gimp_session.running(root, Path(scratch), weights) as session:
        task = {"click": {"size": [WIDTH, HEIGHT], "hole": HOLE, "runs": options.runs + 1}}
        gimp_session.finish(session.drive(task))
        runs = json.loads((session.work / "results" / "click.json").read_text())[1:]
        version = session.version()
    info = model.load_info(weights)
    print(
        f"| {HOLE} px hole in {WIDTH} x {HEIGHT} px, GIMP {version} | {options.device}, {options.threads} threads, "
        f"{info.name} ({info.sha256[:8]}), median of {options.runs} | |\n|---|---|---|"
    )
    for stage, meaning in STAGES.items():
        print(f"| {stage} | {statistics.median(run[stage] for run in runs):.2f} s | {meaning} |")


if __name__ == "__main__":
    main()
