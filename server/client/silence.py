"""When a server that does not answer is taken for dead."""

from __future__ import annotations


class Silence:
    """The time since the first PING that nothing has answered.

    Without a question there is no silence: a client that does something else for a while hears nothing either.
    ``limit`` is the longest silence of a living server. Times are seconds of one monotonic clock.
    """

    def __init__(self, limit: float, now: float) -> None:
        self._limit = limit
        self._since: float | None = None  # the PING that nothing has answered yet
        self._looked = now

    def asked(self, now: float) -> None:
        """A PING was sent."""
        if self._since is None:
            self._since = now

    def heard(self) -> None:
        """Something came, whatever it was."""
        self._since = None

    def excused(self, now: float) -> None:
        """The server could not answer until now: the wait begins anew."""
        if self._since is not None:
            self._since = now

    def is_too_long(self, now: float) -> bool:
        """Whether the server is to be taken for dead; to be asked a few times a second."""
        if now - self._looked > self._limit / 2:
            # We were away (a frozen editor, a computer asleep): the answer may lie unread in the socket.
            self.excused(now)
        self._looked = now
        return self._since is not None and now - self._since > self._limit
