"""The README's picture: photographs that scikit-image ships, filled with the shipped weights.

python benchmarks/before_after.py [--out OUT.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

from dgfnet import model
from dgfnet.inpainting import Inpainter
from dgfnet.sheets import contact_sheet

PICTURE = Path(__file__).resolve().parent.parent / "docs/pictures/before-after.png"
SCRATCHES = (
    [(60, 30), (140, 90), (110, 180), (200, 260)],
    [(300, 20), (380, 120), (330, 230)],
    [(20, 250), (160, 140), (300, 200), (430, 150)],
)
ROCKET = [(300, 95), (345, 95), (352, 330), (370, 335), (375, 425), (275, 425), (280, 330), (296, 330)]
ROUND_BADGE = (118, 336, 216, 434)  # its stitched edge and shadow with it
NAME_BADGE = [(272, 330), (335, 338), (333, 380), (312, 384), (275, 382)]


def main() -> None:
    """Take a rocket, scratches and two badges out of three photographs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PICTURE, help="default: the README's")
    out = parser.parse_args().out
    inpainter = Inpainter(model.load())
    rows = []
    cases = (skimage.data.rocket(), _rocket), (skimage.data.chelsea(), _scratches), (skimage.data.astronaut(), _badges)
    for photograph, draw in cases:
        canvas = Image.new("L", (photograph.shape[1], photograph.shape[0]))
        draw(ImageDraw.Draw(canvas))
        mask = np.asarray(canvas)
        rows.append([photograph, mask, inpainter.fill(photograph, mask).compose(photograph)])
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(rows).save(out, optimize=True)
    print(out)


def _rocket(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(ROCKET, fill=255)


def _scratches(draw: ImageDraw.ImageDraw) -> None:
    for line in SCRATCHES:
        draw.line(line, fill=255, width=7, joint="curve")


def _badges(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse(ROUND_BADGE, fill=255)
    draw.polygon(NAME_BADGE, fill=255)


if __name__ == "__main__":
    main()
