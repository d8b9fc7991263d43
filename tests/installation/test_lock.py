"""The lock files hold every package that is declared or imported."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def pins(*names: str) -> dict[str, str]:
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines() if line and line[0] != "#"]
    assert all(re.match(r"[\w.-]+==[\w.]+( ; .+)?$", line) for line in lines), lines
    return {line.split("==")[0].lower().replace("_", "-"): line.split("==")[1] for line in lines}


def test_every_declared_dependency_is_pinned() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra]
    names = {re.split(r"[<>=\[ ;]", text)[0].lower() for text in declared} - {project["name"]}
    assert names <= set(pins("requirements.lock", "requirements-test.lock"))


def test_every_import_of_the_product_is_pinned() -> None:
    imported = set()
    for path in [*(ROOT / "dgfnet").rglob("*.py"), *(ROOT / "server").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                imported.add(node.module.split(".")[0])
    packages = {"cv2": "opencv-python-headless", "PIL": "pillow", "skimage": "scikit-image", "zmq": "pyzmq"}
    optional = {"h5py"}  # only `dgfnet evaluate --squeezenet`, which says so, needs it
    third_party = imported - set(sys.stdlib_module_names) - {"dgfnet", "server"} - optional
    assert {packages.get(name, name) for name in third_party} <= set(pins("requirements.lock"))
