"""The line to the server as the window sees it: orders out, promises and signals in. Nothing here knows Krita."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from .client import discovery
from .client import events as ev
from .client.session import Request
from .qt import QObject, QThread, pyqtSignal
from .tasks import Promise
from .worker import Order, Worker

CLOSE_MS = 1000


class Line(QObject):
    """The window's end of the line. Promises are kept, and `status` is sent, in the window's thread."""

    status = pyqtSignal(object)
    _submit = pyqtSignal(object)
    _work = pyqtSignal(int, object)
    _cancel = pyqtSignal(int)
    _look = pyqtSignal()
    _stop = pyqtSignal()
    _close = pyqtSignal()

    def __init__(self, client: str, folder: Path | None = None) -> None:
        super().__init__()
        self._promises: dict[int, Promise] = {}
        self._on_progress: dict[int, Callable[[str, float], None]] = {}
        self._last_ticket = 0
        self._thread = QThread()
        self._worker = Worker(client, folder or discovery.state_folder())
        self._worker.moveToThread(self._thread)
        self._thread.started.connect(self._worker.begin)
        self._submit.connect(self._worker.submit)
        self._work.connect(self._worker.work)
        self._cancel.connect(self._worker.cancel)
        self._look.connect(self._worker.look)
        self._stop.connect(self._worker.stop_server)
        self._close.connect(self._worker.close)
        self._worker.progressed.connect(self._progressed)
        self._worker.ended.connect(self._ended)
        self._worker.status.connect(self.status)
        self._thread.start()

    def submit(
        self,
        make: Callable[[], Request],
        read: Callable[[ev.Result], Any],
        on_progress: Callable[[str, float], None],
    ) -> tuple[int, Promise]:
        """Have a job done. `make` and `read` turn bytes into the request and the result into what the promise holds.

        Both run in the line's thread: they must not touch Krita. The number is for `cancel`.
        """
        ticket, promise = self._promise()
        self._on_progress[ticket] = on_progress
        self._submit.emit(Order(ticket, make, read))
        return ticket, promise

    def call(self, function: Callable[[], Any]) -> Promise:
        """Work on bytes in the line's thread; `function` must not touch Krita."""
        ticket, promise = self._promise()
        self._work.emit(ticket, function)
        return promise

    def cancel(self, ticket: int) -> None:
        """Ask for the end of a job; its promise is kept with `Cancelled`, or with the result if that was on its way."""
        self._cancel.emit(ticket)

    def look(self) -> None:
        """Ask for a `status`, without starting a server."""
        self._look.emit()

    def stop_server(self) -> None:
        """End the server."""
        self._stop.emit()

    def close(self) -> None:
        """Say goodbye and end the thread; waits for at most a second."""
        self._close.emit()
        self._thread.wait(CLOSE_MS)

    def _promise(self) -> tuple[int, Promise]:
        self._last_ticket += 1
        promise = self._promises[self._last_ticket] = Promise()
        return self._last_ticket, promise

    def _progressed(self, ticket: int, stage: str, fraction: float) -> None:
        listener = self._on_progress.get(ticket)
        if listener:
            listener(stage, fraction)

    def _ended(self, ticket: int, value: Any, error: BaseException | None) -> None:
        self._on_progress.pop(ticket, None)
        promise = self._promises.pop(ticket, None)
        if promise:
            promise.keep(value, error)
