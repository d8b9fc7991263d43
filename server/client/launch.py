"""Starting a server that outlives the editor, without ever waiting: `Launch.poll` is called until it knows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Mapping, Sequence

from .discovery import LAUNCH_LOG, ServerAddress, read_address, read_launch_command, state_folder
from .errors import INSTALL, InpaintError

START_SECONDS = 90.0  # importing torch from a cold disk takes long
GRACE_SECONDS = 5.0  # after our process ended: another client may have started the server at the same moment
LOG_LINES = 6
WINDOWS_FLAGS = 0x00000200 | 0x08000000  # CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW

# Variables by which an editor bends its own Python and libraries; they would break another Python.
EDITOR_VARIABLES = ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "__PYVENV_LAUNCHER__")
BUNDLE_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")
BUNDLES = ("APPDIR", "SNAP")


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The editor's environment without what is meant for the editor alone, for a process that works elsewhere."""
    dropped: tuple[str, ...] = EDITOR_VARIABLES
    if any(name in environment for name in BUNDLES):
        dropped += BUNDLE_VARIABLES
    kept = {name: value for name, value in environment.items() if name not in dropped}
    if kept.get("DGFNET_HOME"):
        kept["DGFNET_HOME"] = str(state_folder(kept).absolute())
    return kept


class Launch:
    """One attempt to start a server; `stale` is the address that has just been found dead, if any.

    `arguments` are given to the server besides those of launch.json, such as ``("--device", "cpu")``.
    """

    def __init__(
        self, folder: Path, now: float, stale: ServerAddress | None = None, arguments: Sequence[str] = ()
    ) -> None:
        if os.path.exists("/.flatpak-info"):
            raise InpaintError(
                "no_server",
                "No server is running, and an editor installed as a Flatpak cannot start one.",
                "Run `dgfnet serve` in a terminal, then try again.",
            )
        launch = read_launch_command(folder)
        self._folder, self._stale = folder, stale
        self._deadline = now + START_SECONDS
        self._exited_at: float | None = None
        self._log = folder / LAUNCH_LOG
        detached: dict[str, Any] = (
            {"creationflags": WINDOWS_FLAGS} if sys.platform == "win32" else {"start_new_session": True}
        )
        try:
            with open(self._log, "wb") as output:
                self._process = subprocess.Popen(
                    [*launch.command, *arguments],
                    cwd=launch.cwd or None,
                    env=server_environment(os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    close_fds=True,
                    **detached,
                )
        except OSError as error:
            raise InpaintError(
                "start_failed",
                f"The server could not be started: {error.filename or launch.command[0]}: {error.strerror or error}.",
                f"Run `{INSTALL}` again.",
            ) from None

    def poll(self, now: float) -> ServerAddress | None:
        """The address as soon as the server has published it, None before. Raises `InpaintError` when it failed."""
        # A file that is only half there, or not yet private, is read again at the next poll.
        unusable: InpaintError | None = None
        try:
            address = read_address(self._folder)
        except InpaintError as error:
            address, unusable = None, error
        if address and (self._stale is None or address.instance != self._stale.instance):
            return address
        status = self._process.poll()
        if status is not None and self._exited_at is None:
            self._exited_at = now
        if self._exited_at is not None and now - self._exited_at > GRACE_SECONDS:
            if status == 0 and (address or unusable):  # ours gave way to a server that hangs or cannot be reached
                raise unusable or does_not_answer()
            raise self._failure(f"The server ended with status {status} while it was starting.")
        if now > self._deadline:
            raise self._failure(f"The server did not become ready within {START_SECONDS:.0f} seconds.")
        return None

    def _failure(self, message: str) -> InpaintError:
        lines = last_lines(self._log)
        said = f" Its last words: {' / '.join(lines)}" if lines else ""
        return InpaintError("start_failed", message + said, f"Run `dgfnet doctor`; the whole output is in {self._log}.")


def does_not_answer() -> InpaintError:
    """For a server that is known to run."""
    return InpaintError(
        "server_silent", "A server runs, but it does not answer.", "Stop it with `dgfnet stop`, then try again."
    )


def last_lines(path: Path, count: int = LOG_LINES) -> list[str]:
    """The last lines of a text file that are not blank; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]
