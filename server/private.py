"""Files of the state folder that nobody else may read or write: the clients refuse any other (`client.discovery`)."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from server.client.discovery import CONNECTION_FILE, is_private

_ATTEMPTS = 100 if sys.platform == "win32" else 1  # Windows refuses as long as a client reads, which is a moment
_PAUSE = 0.01  # seconds
_PROBE_BYTES = 1 << 14  # so few that a full disk has no room for them either


def make_private_folder(path: Path) -> None:
    """Make a folder for this user alone, whatever the umask; one that is there stays as it is."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that only this user can read; the file appears complete or not at all.

    Raises OSError, with ENOTSUP on a disk that gives others rights to whatever lies there (exFAT, some network disks).
    """
    with _written_beside(path, content) as temporary:
        _patiently(lambda: os.replace(temporary, path))


def check_state_folder(folder: Path) -> None:
    """Write what a server would have to write, and remove it. Raises OSError as `write_private`."""
    with _written_beside(folder / CONNECTION_FILE, {"probe": " " * _PROBE_BYTES}):
        pass


@contextlib.contextmanager
def _written_beside(path: Path, content: dict[str, Any]) -> Iterator[Path]:
    """A file beside `path` with the content; it goes unless it is moved."""
    make_private_folder(path.parent)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            if not is_private(descriptor):
                raise OSError(errno.ENOTSUP, "the disk lets others touch it", str(path))
            json.dump(content, file, indent=1)
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def remove_private(path: Path) -> None:
    """Remove a file of the state folder, if it is there."""
    _patiently(lambda: path.unlink(missing_ok=True))


def _patiently(change: Callable[[], None]) -> None:
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(PermissionError):
            return change()
        time.sleep(_PAUSE)
    return change()
