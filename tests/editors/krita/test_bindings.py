"""The plug-in on PyQt5 and PyQt6 from PyPI, with a stand-in for Krita and a real server."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder is no package
import krita_harness as harness

HERE = Path(__file__).parent


@pytest.mark.parametrize("binding", ["PyQt5", "PyQt6"])
def test_whole_road(tmp_path, tiny_weights, binding):
    if importlib.util.find_spec(binding) is None:
        pytest.skip(f"{binding} is not installed (pip install {binding})")
    from plugin_krita import installation

    installation.install(tmp_path)
    state = tmp_path / "state"
    harness.write_launch(state, tiny_weights)
    variables = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "DGFNET_HOME": str(state)}
    try:
        command = [sys.executable, str(HERE / "bindings.py"), binding, str(tmp_path / "pykrita")]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    finally:
        harness.stop_server(state)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{binding} {binding}.QtCore fine")
