"""What the server window says, and which of its buttons can be pressed. No GTK in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import service
from client.errors import Cancelled, InpaintError

LOG_BYTES, LOG_LINES = 16384, 100


class Panel:
    """How the server is, what came of the last action, and the end of the server's log.

    `show` is called after every change, and several times a second while the server is waited for; it returns whether
    to wait no longer.
    """

    def __init__(self, who: str, show: Callable[[], bool]) -> None:
        self._who, self._show = who, show
        self._watcher = service.Watcher(who, show)
        self._said, self._state, self.log = "", "Asking the server ...", ""
        self.can_start = self.can_stop = False
        self._is_running = self._is_busy = False

    @property
    def text(self) -> str:
        """What was said of the last action, if it still matters, above how the server is."""
        return "\n".join(dict.fromkeys(filter(None, (self._said, self._state))))

    def look(self) -> None:
        """Ask the server how it is; not while that, or an action, is under way."""
        if not self._is_busy:
            self._is_busy = True
            with suppress(Cancelled):
                self._take_up(*self._ask())
                self._show()
            self._is_busy = False

    def start(self) -> None:
        """Start the server."""
        self._act("Starting the server ...", lambda: service.connect(self._who, self._say).close())

    def stop(self) -> None:
        """End the server."""
        self._act("Stopping the server ...", lambda: service.stop(self._who, self._show))

    def close(self) -> None:
        """End the connection to the server."""
        self._watcher.close()

    def _ask(self) -> tuple[dict[str, Any] | None, str]:
        """The server's state, None where none answers, and its problem if that is not that none runs."""
        try:
            return self._watcher.state(), ""
        except Cancelled:
            raise
        except InpaintError as error:
            return None, str(error)

    def _take_up(self, state: dict[str, Any] | None, problem: str) -> None:
        if state and not self._is_running:
            self._said = ""
        self._is_running = state is not None
        self._state = problem or "\n".join(service.describe(state))
        self.can_start, self.can_stop = not self._is_running, self._is_running or bool(problem)
        self.log = service.end_of_log((state or {}).get("log"), LOG_BYTES, LOG_LINES)

    def _act(self, saying: str, work: Callable[[], object]) -> None:
        self._said, self.can_start, self.can_stop, self._is_busy = saying, False, False, True
        self._show()
        self._watcher.close()
        try:
            work()
            self._said = ""
        except InpaintError as error:
            self._said = "" if isinstance(error, Cancelled) else str(error)
        self._is_busy = False
        self.look()

    def _say(self, stage: str, fraction: float | None) -> None:
        if self._show():
            raise Cancelled
