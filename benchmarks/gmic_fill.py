"""Fillers of G'MIC, as artists have them in GIMP and Krita, on the cases that `dgfnet evaluate --export` wrote.

    dgfnet evaluate PICTURES --export --out CASES
    python benchmarks/gmic_fill.py CASES OUT
    dgfnet evaluate PICTURES --results OUT/gmic-matchpatch OUT/gmic-pde

Fills every case by patches (`inpaint_matchpatch`) and by anisotropic diffusion (`inpaint_pde`), each with its defaults.
Needs the program gmic (Debian and Ubuntu: apt install gmic). Results that are there already are kept.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
import sys

from tqdm import tqdm

FILLERS = {"gmic-matchpatch": "inpaint_matchpatch", "gmic-pde": "inpaint_pde"}


def fill(command: str, picture: pathlib.Path, mask: pathlib.Path, out: pathlib.Path) -> None:
    """Run G'MIC once; its values are cut and rounded, or it writes some results with 16 bits."""
    partial = out.with_name("partial.png")
    words = [str(picture), str(mask), f"{command}[0]", "[1]", "keep[0]", "round", "cut", "0,255"]
    subprocess.run(["gmic", "-v", "-1", *words, "output", str(partial)], check=True, stdin=subprocess.DEVNULL)
    partial.replace(out)


def main() -> None:
    """Fill all cases by all fillers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    given = parser.parse_args()
    pictures = sorted((given.cases / "pictures").glob("*.png"))
    if shutil.which("gmic") is None or not pictures:
        sys.exit("gmic is not installed." if pictures else f"'{given.cases}' holds no cases; see --help.")
    for name, command in FILLERS.items():
        (given.out / name).mkdir(parents=True, exist_ok=True)
        for picture in tqdm(pictures, desc=name):
            target = given.out / name / picture.name
            if not target.exists():
                fill(command, picture, given.cases / "masks" / picture.name, target)


if __name__ == "__main__":
    main()
