"""install.py itself: what it says to an old Python, and what it asks of a new one."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ROOT / "install.py"


def old_pythons() -> list[str]:
    """Pythons 3.6 to 3.9 of this machine that start, pyenv's included."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [f"python3.{minor}" for minor in range(6, 10)]
    candidates += [str(path) for path in sorted(pyenv.glob("3.[6-9].*/bin/python"))]
    found = []
    for python in candidates:
        try:
            done = subprocess.run([python, "--version"], capture_output=True, text=True, timeout=30)
        except OSError:
            continue
        found += [python] if done.returncode == 0 else []
    return found


def test_the_grammar_is_that_of_python_3_6() -> None:
    ast.parse(INSTALL.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_old_python_says_one_sentence_and_an_action() -> None:
    pythons = old_pythons()
    if not pythons:
        pytest.skip("no Python 3.6 to 3.9 on this machine")
    for python in pythons:
        done = subprocess.run([python, str(INSTALL)], capture_output=True, text=True, timeout=30)
        assert done.returncode == 1
        assert done.stdout == ""
        assert re.fullmatch(
            r"DGFNet Inpaint needs Python 3\.10 or newer, and this is Python 3\.\d\. Install .*\n", done.stderr
        )


def test_it_needs_nothing_but_the_standard_library() -> None:
    """It runs before there is a `.venv`; `dgfnet` needs one."""
    loaded = "import sys, server.installation.commands; sys.exit('dgfnet' in sys.modules)"
    assert subprocess.run([sys.executable, "-S", "-c", loaded], cwd=ROOT, timeout=30).returncode == 0
