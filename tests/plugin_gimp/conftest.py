"""The plug-in's modules are imported as GIMP's Python does it: from the installed folder, the client beside them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from plugin_gimp import installation

OURS = {path.stem for path in installation.SOURCE.glob("*.py")} | {installation.CLIENT}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in's folder in an empty profile."""
    return installation.install(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def module(installed: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports one of the plug-in's modules by name."""
    sys.path.insert(0, str(installed))
    yield importlib.import_module
    sys.path.remove(str(installed))
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
