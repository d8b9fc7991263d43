"""Files of the state folder that nobody else may read or write: the clients refuse any other (`client.discovery`)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ATTEMPTS = 100 if sys.platform == "win32" else 1  # Windows refuses as long as a client reads, which is a moment
_PAUSE = 0.01  # seconds


def make_private_folder(path: Path) -> None:
    """Make a folder for this user alone, whatever the umask; one that is there stays as it is."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that only this user can read; the file appears complete or not at all."""
    make_private_folder(path.parent)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    _patiently(lambda: os.replace(temporary, path))


def remove_private(path: Path) -> None:
    """Remove a file of the state folder, if it is there."""
    _patiently(lambda: path.unlink(missing_ok=True))


def _patiently(change: Callable[[], None]) -> None:
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(PermissionError):
            return change()
        time.sleep(_PAUSE)
    return change()
