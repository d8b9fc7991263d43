"""The lock that allows one server per user. Standard library only: install.py asks before there is a `.venv`."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from server.client.discovery import CONNECTION_FILE
from server.private import remove_private

LOCK_FILE = "server.lock"
_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, 0)  # Wine gives no reason


@contextlib.contextmanager
def open_lock(folder: Path) -> Iterator[IO[bytes]]:
    """The lock file, made where there is none; nobody else may open it, as who can read a file can lock it.

    Raises OSError where it is another user's.
    """
    path = folder / LOCK_FILE
    with open(path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        with contextlib.suppress(OSError):  # a disk without rights: `write_private` tells of it
            path.chmod(0o600)
        yield file


def has_ended(folder: Path) -> bool:
    """Whether no server runs; a connection file that a killed one left is deleted then.

    Raises OSError where the folder's disk has no locks or the lock file is another user's.
    """
    if not (folder / LOCK_FILE).exists():
        return True
    with open_lock(folder) as file:
        if not try_lock(file):
            return False
        remove_private(folder / CONNECTION_FILE)
        return True


def try_lock(file: IO[bytes]) -> bool:
    """Lock the file; False where another process has it. Raises OSError where its disk has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return False
    return True
