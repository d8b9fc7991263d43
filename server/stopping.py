"""Ending this user's server for certain: it is asked first, then made to."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import time
from collections.abc import Callable
from pathlib import Path

import dgfnet
from server.client.discovery import CONNECTION_FILE, read_address, state_folder
from server.client.errors import InpaintError
from server.client.transport import Client
from server.lifecycle import ENDING_SECONDS, published_address
from server.locking import has_ended

FORCE_SECONDS = 5.0
"""How long a signal may take."""


def stop(folder: Path | None = None) -> bool:
    """End the server and wait until it has ended; False where none ran.

    One that does not answer, or is not through in time, is ended by signals. Raises `InpaintError` where none helps,
    and where the connection file cannot be used.
    """
    folder = folder or state_folder()
    if has_ended(folder):
        return False
    # Without a file the server is about to start or to end; one that cannot be used stays so.
    _wait(lambda: has_ended(folder) or read_address(folder) is not None, ENDING_SECONDS)
    if has_ended(folder):
        return True
    address = read_address(folder)
    if address is None:
        raise _cannot_end(f"{folder / CONNECTION_FILE} is missing")

    def is_gone() -> bool:
        now = published_address(folder)
        return has_ended(folder) or (now is not None and now.instance != address.instance)

    with contextlib.suppress(InpaintError), Client(address, f"dgfnet {dgfnet.__version__}") as client:
        client.shutdown()
        if _wait(is_gone, ENDING_SECONDS):
            return True
    if address.machine not in ("", platform.node()):
        raise InpaintError(
            "server_silent",
            f"The server of {folder} runs on another computer, {address.machine}.",
            "Stop it there, and set DGFNET_HOME to another folder on each computer.",
        )
    if address.pid <= 0:
        raise _cannot_end(f"{folder / CONNECTION_FILE} does not say which process it is")
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            os.kill(address.pid, number)
        if _wait(is_gone, FORCE_SECONDS):
            return True
    raise _cannot_end(f"it is process {address.pid}")


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _cannot_end(detail: str) -> InpaintError:
    return InpaintError(
        "server_silent", f"The server does not answer and cannot be ended ({detail}).", "End its process by hand."
    )
