"""The one error an editor has to show."""

from __future__ import annotations

import sys

INSTALL = "py install.py" if sys.platform == "win32" else "python3 install.py"
"""What users type in the project's folder; on Windows `python3` opens a shop."""
UNANSWERED = ("connection_lost", "no_answer", "not_a_server")
"""Codes of a session that met nobody, or a stranger: the address is left over from a server that was killed."""


class InpaintError(Exception):
    """A failure the artist is told about.

    ``code`` is one of docs/protocol.md's error codes or one of the client's own (``no_server``, ``not_installed``,
    ``bad_state``, ``start_failed``, ``no_answer``, ``connection_lost``, ``server_silent``, ``not_a_server``,
    ``cancelled``);
    ``message`` is one sentence that says what happened, ``action`` one sentence that says what to do.
    """

    def __init__(self, code: str, message: str, action: str) -> None:
        super().__init__(code, message, action)
        self.code = code
        self.message = message
        self.action = action

    def __str__(self) -> str:
        return f"{self.message} {self.action}".strip()


class Cancelled(InpaintError):
    """The job stopped because the artist asked for it."""

    def __init__(self) -> None:
        super().__init__("cancelled", "The job was cancelled.", "")
