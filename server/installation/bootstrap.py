"""pip for a Python without ensurepip (Debian's, without python3-venv)."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path

from server.installation import environment, packages
from server.installation.environment import PYTHON
from server.installation.problems import RUN_AGAIN, Problem, last_line
from server.installation.progress import Progress

# Only where that Python has no pip of its own either.
PIP_INDEX = "https://pypi.org/simple"
PIP_WHEEL, PIP_SHA256 = "pip-26.3-py3-none-any.whl", "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


def no_venv_problem() -> Problem:
    """For a Python that was taken apart by its distribution."""
    action = f"On Debian and Ubuntu, type `sudo apt install python{PYTHON}-venv`; then {RUN_AGAIN}."
    return Problem("This Python has no module to make virtual environments.", action)


def no_pip_problem(reason: str) -> Problem:
    """For a pip that could not be fetched."""
    return Problem(f"This Python has no pip, and fetching it failed ({reason}).", no_venv_problem().action)


def bring_pip(venv: Path, progress: Progress) -> None:
    """Install pip into a .venv without ensurepip: with this Python's own pip, else with a wheel from the index."""
    progress.start("pip, which this Python comes without")
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = [] if importlib.util.find_spec("pip") else [str(fetch_pip(Path(folder)))]
        except OSError as error:
            raise no_pip_problem(str(error)) from error
        except (ValueError, HTTPException) as error:  # whose text can hold a password of PIP_INDEX_URL
            raise no_pip_problem(type(error).__name__) from None
        # A wheel is a zip that Python can run from; with `--python`, pip works on another environment.
        tool = [str(environment.python_of(venv)), source[0] + "/pip"] if source else [sys.executable, "-m", "pip"]
        aim = [] if source else ["--python", str(environment.python_of(venv))]
        what = source or [PIP_WHEEL.split("-py3")[0].replace("-", "==", 1)]
        command = [*tool, *aim, "install", "--quiet", "--no-deps", *what]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=packages.pip_environment()
        )
    if done.returncode:
        raise Problem(f"pip could not be set up ({last_line(done)}).", no_venv_problem().action)


def fetch_pip(folder: Path) -> Path:
    """Download pip's wheel from the index (PIP_INDEX_URL names another) and check it against the hash pinned here.

    Raises `Problem`, OSError, or a ValueError or HTTPException.
    """
    page = os.environ.get("PIP_INDEX_URL", PIP_INDEX).rstrip("/") + "/pip/"
    with urllib.request.urlopen(page, timeout=30) as answer:
        links = re.findall(r'href="([^"]+)"', answer.read().decode())
    link = next((link for link in links if PIP_WHEEL in link), None)
    if link is None:
        raise no_pip_problem(f"the package index does not list {PIP_WHEEL}")
    with urllib.request.urlopen(urllib.parse.urljoin(page, link.split("#")[0]), timeout=30) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != PIP_SHA256:
        raise no_pip_problem(f"{PIP_WHEEL} is not the file that was pinned")
    wheel = folder / PIP_WHEEL
    wheel.write_bytes(content)
    return wheel
