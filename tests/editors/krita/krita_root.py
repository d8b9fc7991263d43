"""Another Debian's Krita in a folder of its own, made by mmdebstrap and kept: 5.2.9 in trixie, 5.3.4 in sid.

    python tests/editors/krita/krita_root.py trixie|sid

prints the folder. It takes about 2 minutes and 1.8 GB, from the mirror that this machine's own apt uses.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PACKAGES = ("krita", "python3-pyqt5", "xvfb", "libgl1-mesa-dri")


def krita_root(suite: str) -> Path:
    """The folder; made if it is not there."""
    roots = _editor_roots()
    return roots.editor_root("krita", suite, PACKAGES)


def _editor_roots() -> ModuleType:
    """What GIMP's tests use for the same."""
    spec = importlib.util.spec_from_file_location("gimp_root", Path(__file__).parents[1] / "gimp_root.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    print(krita_root(sys.argv[1]))
