"""Work on the window's thread in small pieces: generators that give the event loop its turn.

A generator yields None (go on as soon as the window has had its turn), a number (seconds to wait) or a `Promise`
(wait until it is kept; its value is what `yield` returns, its error is raised there).
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Callable, Generator, Union

from .qt import QObject, QTimer

BUDGET_SECONDS = 0.012  # of work in one turn; a frame of the screen is 0.016

Steps = Generator[Union[float, "Promise", None], Any, Any]


class Promise:
    """A value that will come, or an error; kept once, later calls count for nothing."""

    def __init__(self) -> None:
        self.kept = False
        self.value: Any = None
        self.error: BaseException | None = None
        self._listeners: list[Callable[[], None]] = []

    def keep(self, value: Any = None, error: BaseException | None = None) -> None:
        """Set the value, or the error."""
        if self.kept:
            return
        self.kept, self.value, self.error = True, value, error
        for listener in self._listeners:
            listener()
        self._listeners.clear()

    def when_kept(self, listener: Callable[[], None]) -> None:
        """Call `listener` once it is kept; at once if it is."""
        if self.kept:
            listener()
        else:
            self._listeners.append(listener)


class Task(QObject):
    """Runs one generator; `ended` gets its return value and None, or None and what it raised."""

    def __init__(self, steps: Steps, ended: Callable[[Any, BaseException | None], None]) -> None:
        super().__init__()
        self._steps = steps
        self._ended = ended
        self._over = self._is_running = False
        self._awaited: Promise | None = None
        self._value: Any = None  # what the generator's `yield` returns next
        self._error: BaseException | None = None  # or raises
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._turn)
        self._timer.start(0)

    def stop(self, error: BaseException) -> None:
        """Raise `error` where the generator stands, in the next turn."""
        self._awaited = None
        self._value, self._error = None, error
        if not self._over:
            self._timer.start(0)

    def abandon(self) -> None:
        """Let go of the generator and all that it holds; `ended` is not called."""
        self._over = True
        self._awaited = None
        self._timer.stop()
        if not self._is_running:
            self._steps.close()

    def _turn(self) -> None:
        """Run the generator until it waits or the budget is spent. Never raises."""
        if self._is_running:  # Krita ran the event loop inside a call of the generator's
            return
        self._is_running = True
        try:
            self._run()
        finally:
            self._is_running = False

    def _run(self) -> None:
        deadline = time.perf_counter() + BUDGET_SECONDS
        while time.perf_counter() < deadline:
            value, error = self._value, self._error
            self._value = self._error = None
            try:
                wanted = self._steps.throw(error) if error else self._steps.send(value)
            except StopIteration as stop:
                return self._end(stop.value, None)
            except Exception as failure:
                return self._end(None, failure)
            if self._error is not None:  # stopped meanwhile
                continue
            if isinstance(wanted, Promise):
                self._awaited = wanted
                return wanted.when_kept(partial(self._go_on, wanted))
            if wanted is not None:
                return self._timer.start(round(wanted * 1000))
        return self._timer.start(0)

    def _go_on(self, promise: Promise) -> None:
        if self._awaited is promise:
            self._awaited = None
            self._value, self._error = promise.value, promise.error
            self._timer.start(0)

    def _end(self, value: Any, error: BaseException | None) -> None:
        self._over = True
        self._ended(value, error)
