"""A 24 megapixel photograph with three holes, filled: peak memory and seconds per stage.

    python benchmarks/large_picture.py [--out FOLDER] [--weights NAME_OR_PATH] [--device cpu] [--threads N]

Prints a Markdown table and writes a before / mask / after sheet. The photograph is made of scikit-image's bundled ones,
enlarged and set side by side; the holes are a small spot, a large disc, and a thin cable across the whole width.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time

import cv2
import numpy as np
import torch
from skimage import data

from dgfnet.inpainting import Fill, FillOptions, Inpainter
from dgfnet.model import load, load_info
from dgfnet.sheets import contact_sheet

WIDTH, HEIGHT = 6000, 4000


def photograph() -> np.ndarray:
    """uint8 [4000, 6000, 3]."""
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    sources = (data.astronaut(), data.coffee(), data.rocket(), data.chelsea(), data.astronaut()[:, ::-1], data.coffee())
    for index, source in enumerate(sources):
        row, column = divmod(index, 3)
        part = cv2.resize(source, (WIDTH // 3, HEIGHT // 2), interpolation=cv2.INTER_CUBIC)
        picture[row * HEIGHT // 2 : (row + 1) * HEIGHT // 2, column * WIDTH // 3 : (column + 1) * WIDTH // 3] = part
    return picture


def holes() -> np.ndarray:
    """uint8 [4000, 6000]: 255 in a spot, a large disc, and a cable."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (700, 900), 40, 255, -1)
    cv2.circle(mask, (3000, 1000), 420, 255, -1)
    cv2.line(mask, (0, 3000), (WIDTH, 3300), 255, 12)
    return mask


def peak_mebibytes() -> float:
    """Highest resident memory of this process so far."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main() -> None:
    """Run once and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/large_picture"))
    parser.add_argument("--weights")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    image, mask = photograph(), holes()
    inpainter = Inpainter(load(options.weights, options.device), options.device)
    before = peak_mebibytes()
    began = time.perf_counter()
    fill = inpainter.fill(image, mask, FillOptions())
    filled = time.perf_counter()
    result = fill.compose(image)
    composed = time.perf_counter()
    if not np.array_equal(result[mask == 0], image[mask == 0]):
        raise SystemExit("pixels outside the mask have changed")

    print(table(options, fill, filled - began, composed - filled, before))
    options.out.mkdir(parents=True, exist_ok=True)
    views = {"whole": np.s_[:, :], "spot": np.s_[750:1050, 550:850], "disc": np.s_[400:1600, 2400:3600]}
    views["cable"] = np.s_[3000:3300, 2500:2800]
    rows = [[picture[view] for picture in (image, mask, result)] for view in views.values()]
    contact_sheet(rows, labels=list(views), cell=480).save(options.out / "sheet.png")
    print(f"\n{options.out / 'sheet.png'}")


def table(options: argparse.Namespace, fill: Fill, seconds: float, compose_seconds: float, before: float) -> str:
    """What was measured, as Markdown."""
    info = load_info(options.weights)
    scales = sorted(set(fill.scales))
    lines = [
        f"| {WIDTH} x {HEIGHT} px, three holes | {info.name} ({info.sha256[:8]}), {options.device}, "
        f"{options.threads} threads |",
        "|---|---|",
        f"| runs of the network, at scales | {len(fill.scales)}, {', '.join(f'{scale:.2f}' for scale in scales)} |",
        *(f"| {stage} | {spent:.2f} s |" for stage, spent in fill.seconds.items()),
        f"| fill, all stages | {seconds:.2f} s |",
        f"| compose | {compose_seconds:.2f} s |",
        f"| peak memory before (picture, mask, network) | {before:.0f} MiB |",
        f"| peak memory after | {peak_mebibytes():.0f} MiB |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
