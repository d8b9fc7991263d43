"""The plug-in on PyQt5 and PyQt6 from PyPI, with a stand-in for Krita; scripts in processes of their own."""

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


@pytest.fixture(params=["PyQt5", "PyQt6"])
def binding(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed (pip install {request.param})")
    return request.param


def run(script, binding, folder):
    """A script of this folder on the plug-in, installed below `folder`; its output."""
    from plugin_krita import installation

    installation.install(folder)
    variables = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "DGFNET_HOME": str(folder / "state")}
    command = [sys.executable, str(HERE / script), binding, str(folder / "pykrita")]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_whole_road(tmp_path, tiny_weights, binding):
    """From the click to the layer, with a real server."""
    state = tmp_path / "state"
    harness.write_launch(state, tiny_weights)
    try:
        assert run("bindings.py", binding, tmp_path).startswith(f"{binding} {binding}.QtCore fine")
    finally:
        harness.stop_server(state)


def test_servers_that_do_not_answer(tmp_path, binding):
    assert run("unreachable.py", binding, tmp_path) == f"{binding} fine\n"
