"""Take the pictures of the docs in the real Krita: `python tests/editors/krita/krita_picture.py [--weights FILE]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE)]
PICTURES = HERE.parents[2] / "docs" / "pictures"
NAMES = {"after": "krita", "progress": "krita-progress", "error": "krita-error", "leave-out": "krita-leave-out"}


def main() -> None:
    """Run Krita and write the pictures."""
    import krita_harness as harness

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="a weights file, or the name of shipped weights (default: the shipped ones)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        photo = skimage.data.astronaut()
        opaque = np.full(photo.shape[:2], 255, np.uint8)
        (folder / "photo.large").write_bytes(np.dstack([photo[..., ::-1], opaque]).tobytes())
        harness.write_launch(folder / "state", options.weights)
        setup = harness.Setup(folder, folder / "photo", folder / "state", modules=("tour",))
        try:
            reports = harness.run(setup, 300)
        finally:
            harness.stop_server(folder / "state")
        problems = [report["error"] for report in reports.values() if report["error"]]
        if problems:
            sys.exit(problems[0])
        PICTURES.mkdir(parents=True, exist_ok=True)
        for taken, name in NAMES.items():
            target = PICTURES / f"{name}.png"
            Image.open(folder / "out" / f"{taken}.png").convert("RGB").save(target, optimize=True)
            print(target)


if __name__ == "__main__":
    main()
