"""Bringing `.venv` to what is wanted; whatever happens, a working one is left or none."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path

from server.client.errors import INSTALL
from server.installation import bootstrap, environment, machine, packages
from server.installation.environment import BUILDING, VENV
from server.installation.problems import RUN_AGAIN, Problem, last_line
from server.installation.progress import Progress

NEWEST = (3, 14)  # the newest Python that the pinned PyTorch is built for
NEEDED_GB = {"cpu": 2, "": 2}  # free disk space for a first installation; a CUDA build needs
CUDA_GB = 12


def prepare(cpu_only: bool | None, test: bool) -> None:
    """Check this Python, choose a PyTorch build and bring .venv up to date; `cpu_only` None: as the last time."""
    if sys.version_info[:2] > NEWEST:
        newest = f"{NEWEST[0]}.{NEWEST[1]}"
        raise Problem(
            f"The pinned PyTorch is not built for Python {sys.version.split()[0]}.", f"Use Python {newest} or older."
        )
    environment.settle(VENV)
    stamp = environment.read_stamp(VENV) or {}
    if cpu_only is None:
        cpu_only = bool(stamp.get("cpu_only"))
    platform, held = machine.this_host().platform, str(stamp.get("build", ""))
    build, reason = machine.choose_build(machine.find_gpus(), platform, cpu_only, held)
    print(f"PyTorch build: {build or 'standard'} ({reason})", flush=True)
    began = time.monotonic()
    with Progress() as progress:
        step = set_up(VENV, environment.wanted_stamp(build, test, cpu_only), progress)
    words = {"keep": "is up to date", "update": "updated", "rebuild": "made"}[step]
    print(f"{VENV} {words}, {time.monotonic() - began:.0f} s", flush=True)


def set_up(venv: Path, wanted: dict[str, object], progress: Progress) -> str:
    """Bring .venv to a wanted stamp; return "keep", "update" or "rebuild".

    A failed rebuild leaves the .venv of before, a failed first build leaves nothing.
    """
    build, test = str(wanted["build"]), bool(wanted["test"])
    stamp = environment.read_stamp(venv) if environment.runs(environment.python_of(venv)) else None
    step = environment.plan(stamp, wanted)
    if step == "keep":
        if stamp is not None and stamp.get("cpu_only") != wanted["cpu_only"]:
            environment.write_stamp(venv, {**stamp, "cpu_only": wanted["cpu_only"]})
        return step
    try:
        if step == "rebuild":
            require_space(venv.parent, build)
            make_venv(venv, progress)
        packages.install_packages(venv, build, test, progress)
        kept = (stamp or {}).get("test", "") if step == "update" else ""
        environment.write_stamp(venv, {**wanted, "test": wanted["test"] or kept})
        (venv / BUILDING).unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):  # what cannot be deleted keeps its marker; the next run goes on
            environment.settle(venv)
    return step


def require_space(folder: Path, build: str) -> None:
    """Refuse early where a first installation cannot fit."""
    needed = NEEDED_GB.get(build, CUDA_GB)
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed:
        sentence = f"{folder} has {free:.1f} GB free, and the installation needs about {needed} GB."
        action = f"Free some space or move the folder to another disk, and {RUN_AGAIN}"
        if build not in NEEDED_GB:
            action += f"; or run `{INSTALL} --cpu`, which needs {NEEDED_GB['cpu']} GB"
        raise Problem(sentence, f"{action}.")


def make_venv(venv: Path, progress: Progress) -> None:
    """A new virtual environment with pip, marked as unfinished."""
    if sys.prefix != sys.base_prefix and Path(sys.prefix).resolve() == venv.resolve():
        raise Problem("install.py runs in the .venv that it has to replace.", f"Type `deactivate` and {RUN_AGAIN}.")
    for folder in (venv, environment.set_aside(venv)):
        if not environment.is_ours(folder):
            raise Problem(f"{folder} was not made by install.py.", f"Move it away or delete it, and {RUN_AGAIN}.")
    environment.clear_place(venv)
    progress.start(f"virtual environment with Python {sys.version.split()[0]}")
    venv.mkdir()
    (venv / BUILDING).touch()
    if importlib.util.find_spec("venv") is None:
        raise bootstrap.no_venv_problem()
    bundled_pip = importlib.util.find_spec("ensurepip") is not None
    command = [sys.executable, "-m", "venv", *([] if bundled_pip else ["--without-pip"]), str(venv)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Problem(
            "Python could not make a virtual environment.", bootstrap.no_venv_problem().action + f" ({last_line(done)})"
        )
    if not bundled_pip:
        bootstrap.bring_pip(venv, progress)
