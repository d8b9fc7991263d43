"""A checkout of install.py's own, a `.venv` that looks finished, and a server's lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from server.client.discovery import CONNECTION_FILE
from server.installation import environment
from server.locking import LOCK_FILE, try_lock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of a checkout that install.py needs before its first pip command."""
    for name in ("install.py", "requirements.lock", "requirements-test.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    shutil.copytree(ROOT / "server", tmp_path / "server", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def run_install(checkout: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the checkout's install.py with the arguments and environment variables that are given."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(checkout / "install.py"), *arguments]
        env = {**os.environ, "DGFNET_HOME": str(checkout / "state"), "HOME": str(checkout / "home"), **environ}
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)

    return run


@pytest.fixture
def working(tmp_path, monkeypatch) -> Path:
    """A finished .venv of the build cu130 that starts, as far as anyone looks."""
    monkeypatch.setattr(environment, "runs", lambda _: True)
    venv = tmp_path / ".venv"
    (venv / "lib").mkdir(parents=True)
    environment.write_stamp(venv, environment.wanted_stamp("cu130", test=True))
    return venv


@pytest.fixture
def serve() -> Iterator[Callable[[Path], Callable[[], None]]]:
    """Holds the lock of a state folder as a server does that runs from some folder, until what it returns is called."""
    with ExitStack() as stack:

        def hold(state: Path) -> Callable[[], None]:
            state.mkdir(parents=True, exist_ok=True)
            (state / CONNECTION_FILE).touch()
            lock = stack.enter_context(open(state / LOCK_FILE, "a+b"))
            assert try_lock(lock)
            return lock.close

        yield hold
