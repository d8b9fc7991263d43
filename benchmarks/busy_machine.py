"""A fill on the CPU beside other busy programs: threads that spin briefly, as shipped, against OpenMP's default.

    python benchmarks/busy_machine.py [--rounds N] [--busy N]

Every round times one fill of a photograph that scikit-image ships in a process of each kind, in turn, with as many
threads as cores, beside `--busy` processes that do nothing but count. Prints medians and their ratio. Where OpenMP is
not GNU's (Windows, macOS) there is no difference to see.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys

FILL = """
import time
from skimage import data
import numpy as np
from dgfnet import model
from dgfnet.inpainting import Inpainter
picture = data.astronaut()
mask = np.zeros(picture.shape[:2], np.uint8)
mask[200:300, 200:330] = 255
inpainter = Inpainter(model.load())
inpainter.fill(picture, mask)
started = time.perf_counter()
inpainter.fill(picture, mask)
print(time.perf_counter() - started)
"""
SPINS = {"shipped": "", "default": "300000"}


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


def seconds(spins: str) -> float:
    """Of one fill, after one to warm up."""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if spins:
        environment["GOMP_SPINCOUNT"] = spins
    done = subprocess.run([sys.executable, "-c", FILL], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, default=1, help="busy processes beside the fill")
    given = parser.parse_args()
    others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(given.busy)]
    for other in others:
        other.start()
    times: dict[str, list[float]] = {name: [] for name in SPINS}
    for _ in range(given.rounds):
        for name, spins in SPINS.items():
            times[name].append(seconds(spins))
    for other in others:
        other.terminate()
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"| {os.cpu_count()} cores, {given.busy} busy | median | least | most |\n|---|---|---|---|")
    for name, found in times.items():
        print(f"| {name} | {medians[name]:.2f} s | {min(found):.2f} s | {max(found):.2f} s |")
    print(f"\ndefault / shipped: {medians['default'] / medians['shipped']:.1f}")


if __name__ == "__main__":
    main()
