"""Fills with bfloat16 convolutions, as shipped where the device has them, against float32.

    python benchmarks/bfloat16.py [--rounds N] [--device cpu]

Fills a photograph that scikit-image ships, with three sizes of holes, in both ways in turn. Prints medians of the
network's seconds, their ratio, and how far the fills lie apart (of 255).
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
import torch
from skimage import data

from dgfnet import model
from dgfnet.devices import default_device
from dgfnet.filling.predictor import has_bfloat16
from dgfnet.inpainting import Inpainter


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default=default_device())
    given = parser.parse_args()
    if not has_bfloat16(torch.device(given.device)):
        print("This device has no fast bfloat16: fills are computed in float32.")
        return
    networks = [model.load() for _ in range(2)]
    inpainters = [Inpainter(network, given.device) for network in networks]
    inpainters[1].bfloat16 = False
    networks[1].to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    picture = data.astronaut()
    print("| hole | bfloat16 | float32 | float32 / bfloat16 | mean difference | largest |\n|---|---|---|---|---|---|")
    for side in (40, 100, 200):
        mask = np.zeros(picture.shape[:2], np.uint8)
        mask[180 : 180 + side, 200 : 200 + side] = 255
        seconds: list[list[float]] = [[], []]
        for _ in range(given.rounds + 1):
            fills = [inpainter.fill(picture, mask) for inpainter in inpainters]
            for times, fill in zip(seconds, fills, strict=True):
                times.append(fill.seconds["network"])
        medians = [statistics.median(times[1:]) for times in seconds]  # the first round warms up
        results = [fill.compose(picture).astype(int) for fill in fills]
        apart = np.abs(results[0] - results[1])[mask > 0]
        print(
            f"| {side} px | {medians[0]:.3f} s | {medians[1]:.3f} s | {medians[1] / medians[0]:.2f} "
            f"| {apart.mean():.2f} | {apart.max()} |"
        )


if __name__ == "__main__":
    main()
