"""The full GIMP on a virtual screen: menu, dialog, progress, result, undo, as an artist sees them.

    python tests/editors/gimp_ui.py --shots FOLDER [--suite sid] [--weights FILE]

writes screenshots and prints what was found.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]
from gimp_root import NoRoot, gimp_root  # noqa: E402
from gimp_session import Session, finish, running  # noqa: E402
from PIL import Image  # noqa: E402

HOLE = (114, 332, 106, 106)  # a badge on the suit


def drive(session: Session) -> dict[str, object]:
    """Go the artist's way; what was found."""
    from skimage import data

    (session.work / "shots").mkdir(exist_ok=True)
    Image.fromarray(data.astronaut()).save(session.work / "picture.png")
    process = session.begin("gimp_ui_driver.py", "profile", screen=True, HOLE=json.dumps(HOLE))
    finish(process)
    return json.loads((session.work / "results" / "ui.json").read_text())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shots", type=Path, required=True)
    parser.add_argument("--suite", default="trixie")
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    try:
        root = gimp_root(options.suite)
    except NoRoot as why:
        sys.exit(str(why))
    with tempfile.TemporaryDirectory() as scratch, running(root, Path(scratch), options.weights) as session:
        try:
            print(json.dumps(drive(session), indent=1))
        finally:
            shutil.copytree(session.work / "shots", options.shots, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
