"""Fillers that artists have in GIMP and Krita, on the cases that `dgfnet evaluate --export` wrote.

    dgfnet evaluate PICTURES --export --out CASES
    python benchmarks/other_fillers.py CASES OUT
    dgfnet evaluate PICTURES --results OUT/resynthesizer OUT/gmic-matchpatch OUT/gmic-pde

Resynthesizer, with the settings of GIMP's Heal Selection, copies from all of the picture (Heal Selection: from 50 px
around). It needs the package resynthesizer (.venv/bin/pip install --no-deps resynthesizer). G'MIC fills by patches
(inpaint_matchpatch) and by anisotropic diffusion (inpaint_pde), each with its defaults. It needs the program gmic
(Debian and Ubuntu: apt install gmic). Fillers that are not there are left out; results that are there already are kept.
"""

from __future__ import annotations

import argparse
import importlib.util
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial

from PIL import Image
from tqdm import tqdm

Fill = Callable[[pathlib.Path, pathlib.Path, pathlib.Path], None]  # of a picture, by a mask, into a file


def gmic(command: str, picture: pathlib.Path, mask: pathlib.Path, out: pathlib.Path) -> None:
    """Run G'MIC once; its values are cut and rounded, or it writes some results with 16 bits."""
    words = [str(picture), str(mask), f"{command}[0]", "[1]", "keep[0]", "round", "cut", "0,255"]
    subprocess.run(["gmic", "-v", "-1", *words, "output", str(out)], check=True, stdin=subprocess.DEVNULL)


def resynthesizer(picture: pathlib.Path, mask: pathlib.Path, out: pathlib.Path) -> None:
    """Run Resynthesizer's engine once, as Heal Selection does: 16 neighbours, 500 probes, in random order."""
    from resynthesizer import TImageSynthParameters, resynthesize

    settings = TImageSynthParameters(
        isMakeSeamlesslyTileableHorizontally=0,
        isMakeSeamlesslyTileableVertically=0,
        matchContextType=1,
        mapWeight=0.0,
        sensitivityToOutliers=0.117,
        patchSize=16,
        maxProbeCount=500,
    )
    resynthesize(Image.open(picture), Image.open(mask), settings).save(out)


def fillers() -> dict[str, Fill]:
    """Those that are there, by name."""
    found: dict[str, Fill] = {}
    if importlib.util.find_spec("resynthesizer"):
        found["resynthesizer"] = resynthesizer
    if shutil.which("gmic"):
        found |= {f"gmic-{way}": partial(gmic, f"inpaint_{way}") for way in ("matchpatch", "pde")}
    return found


def main() -> None:
    """Fill all cases by all fillers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    given = parser.parse_args()
    pictures = sorted((given.cases / "pictures").glob("*.png"))
    if not pictures:
        sys.exit(f"'{given.cases}' holds no cases; see --help.")
    found = fillers()
    if not found:
        sys.exit("Neither resynthesizer nor gmic is installed; see --help.")
    for name, fill in found.items():
        folder = given.out / name
        folder.mkdir(parents=True, exist_ok=True)
        for picture in tqdm(pictures, desc=name):
            if not (folder / picture.name).exists():
                partial_file = folder / "partial.png"
                fill(picture, given.cases / "masks" / picture.name, partial_file)
                partial_file.replace(folder / picture.name)


if __name__ == "__main__":
    main()
