"""`.venv`: what it holds, what is to be done about it, and its place while it is rebuilt."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOCK, TEST_LOCK = ROOT / "requirements.lock", ROOT / "requirements-test.lock"
STAMP = "dgfnet-install.json"  # in .venv: what a finished installation holds
BUILDING = "dgfnet-building"  # in .venv: present from the first change to the last


def python_of(venv: Path) -> Path:
    """The Python of a virtual environment."""
    return venv / "Scripts/python.exe" if os.name == "nt" else venv / "bin/python"


def runs(python: Path) -> bool:
    """Whether a Python starts at all (its base may have been removed or upgraded)."""
    try:
        return subprocess.run([str(python), "-c", ""], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def in_venv(module: str, *arguments: str) -> int:
    """Run a module with the environment's Python in the checkout; return its exit code. Its output goes to the user.

    The scripts beside that Python are of no use here: they hold the path of the folder that `.venv` was made in.
    """
    sys.stdout.flush()
    command = [str(python_of(VENV)), "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode


def digest(*files: Path) -> str:
    """One hash of the content of some files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def wanted_stamp(build: str, test: bool, cpu_only: bool = False) -> dict[str, object]:
    """What a finished installation with these choices holds."""
    return {
        "python": PYTHON,
        "root": str(ROOT),
        "build": build,
        "cpu_only": cpu_only,
        "lock": digest(LOCK, ROOT / "pyproject.toml"),
        "test": digest(TEST_LOCK) if test else "",
    }


def read_stamp(venv: Path) -> dict[str, object] | None:
    """The stamp of a finished installation; None where it is missing, unreadable or a change was left unfinished."""
    if (venv / BUILDING).exists():
        return None
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def write_stamp(venv: Path, stamp: dict[str, object]) -> None:
    """Say what a finished installation holds."""
    (venv / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def plan(stamp: dict[str, object] | None, wanted: dict[str, object]) -> str:
    """What to do about .venv: "keep", "update" or "rebuild"."""
    if stamp is None or any(stamp.get(key) != wanted[key] for key in ("python", "root", "build")):
        return "rebuild"
    test_missing = wanted["test"] and stamp.get("test") != wanted["test"]
    return "update" if test_missing or stamp.get("lock") != wanted["lock"] else "keep"


def is_ours(venv: Path) -> bool:
    """Whether a folder may be deleted: made by install.py, or empty, or not there."""
    return (venv / STAMP).exists() or (venv / BUILDING).exists() or not venv.exists() or not any(venv.iterdir())


def remove_venv(venv: Path) -> None:
    """Delete a .venv, its marker last, so that a deletion that is cut short is known for what it is."""
    if not venv.exists():
        return
    (venv / BUILDING).touch()
    for path in venv.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != BUILDING:
            path.unlink()
    shutil.rmtree(venv)


def set_aside(venv: Path) -> Path:
    """Where a finished .venv waits while another is built in its place."""
    return venv.with_name(venv.name + ".old")


def clear_place(venv: Path) -> None:
    """Make room for a new .venv: set a finished one aside, delete a half-made one."""
    if read_stamp(venv) is None:
        remove_venv(venv)
    else:
        remove_venv(set_aside(venv))
        venv.rename(set_aside(venv))


def settle(venv: Path) -> None:
    """End a rebuild, also one that was cut short: a finished .venv stays, else the one set aside comes back."""
    old = set_aside(venv)
    if (venv / BUILDING).exists():
        remove_venv(venv)
    if read_stamp(old) is not None and not (venv / STAMP).exists() and is_ours(venv):
        remove_venv(venv)
        old.rename(venv)
    elif is_ours(old):
        remove_venv(old)
