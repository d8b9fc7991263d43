"""Files of the state folder that nobody else may read or write: the clients refuse any other (`client.discovery`)."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


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
    os.replace(temporary, path)
