"""The line to the server: the client's session state machine on Qt's socket, in a thread of its own.

Nothing here knows Krita. Bytes are hashed, moved and parsed in the line's thread, so the window never waits for them.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any, Callable, NamedTuple

from .client import discovery, launch
from .client import events as ev
from .client.errors import Cancelled, InpaintError
from .client.session import ClientSession, Request
from .qt import QAbstractSocket, QNetworkProxy, QObject, QTcpSocket, QThread, QTimer, guarded, pyqtSignal
from .tasks import Promise

TICK_MS = 100
GOODBYE_MS = 200
IDLE_SECONDS = 20.0  # without work the session ends, so that the server may end too
WRITE_BYTES = 1 << 20
BUFFERED_BYTES = 4 << 20  # handed to the socket and not yet on their way


class ServerStatus(NamedTuple):
    """What the server's light shows. `light` is ``off``, ``busy``, ``ready`` or ``problem``; `log` a path or empty."""

    light: str
    text: str
    log: str = ""


OFF = ServerStatus("off", "Server not running; it starts at the first use.")


class _Order(NamedTuple):
    """A job on its way to the server."""

    ticket: int
    make: Callable[[], Request]
    read: Callable[[ev.Result], Any]


class Worker(QObject):
    """Lives in the line's thread. Finds or starts the server, keeps the session, does the jobs' work on bytes."""

    progressed = pyqtSignal(int, str, float)
    ended = pyqtSignal(int, object, object)  # ticket, value, error
    status = pyqtSignal(object)

    def __init__(self, client: str, folder: Path) -> None:
        super().__init__()
        self._client, self._folder = client, folder
        self._session: ClientSession | None = None
        self._socket: Any = None
        self._launch: launch.Launch | None = None
        self._address: discovery.ServerAddress | None = None
        self._seen = ("", "")  # instance and device of the server last talked to
        self._orders: deque[_Order] = deque()  # not yet submitted
        self._tickets: dict[str, _Order] = {}  # by the session's job id
        self._stopping = False
        self._last_work = 0.0
        self._shown: ServerStatus | None = None

    # Slots

    @guarded
    def begin(self) -> None:
        """Start the clock, in this thread."""
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tick)
        self._timer.start(TICK_MS)

    @guarded
    def submit(self, order: _Order) -> None:
        """Do a job as soon as the server can be talked to."""
        self._orders.append(order)
        self._last_work = time.monotonic()
        if self._session is None and self._launch is None:
            self._find()
        self._submit_all()

    @guarded
    def work(self, ticket: int, function: Callable[[], Any]) -> None:
        """Call a function on bytes here, off the window's thread."""
        try:
            self.ended.emit(ticket, function(), None)
        except Exception as error:
            self.ended.emit(ticket, None, error)

    @guarded
    def cancel(self, ticket: int) -> None:
        """End a job; its last word comes as for any other."""
        for order in [order for order in self._orders if order.ticket == ticket]:
            self._orders.remove(order)
            self.ended.emit(ticket, None, Cancelled())
        for job, order in self._tickets.items():
            if order.ticket == ticket and self._session:
                self._session.cancel(job, time.monotonic())
        self._flush()

    @guarded
    def look(self) -> None:
        """Show how the server is, without starting one."""
        if self._session or self._launch:
            return
        try:
            address = discovery.read_address(self._folder)
        except InpaintError as error:
            self._show(ServerStatus("problem", str(error)))
            return
        if address is None:
            self._show(OFF)
        elif address.instance == self._seen[0]:
            self._show(ServerStatus("ready", self._seen[1], address.log))
        else:
            self._connect(address)

    @guarded
    def stop_server(self) -> None:
        """Ask the running server to end."""
        if self._session and self._session.welcome:
            self._session.shutdown(time.monotonic())
            self._flush()
            return
        self._stopping = True
        self.look_again()
        if self._session is None:
            self._stopping = False

    @guarded
    def close(self) -> None:
        """Say goodbye; Krita ends."""
        self._timer.stop()
        if self._session and self._socket:
            self._session.say_goodbye(time.monotonic())
            self._flush()
            self._socket.waitForBytesWritten(GOODBYE_MS)
        self._drop()
        self.thread().quit()

    @guarded
    def tick(self) -> None:
        """A tenth of a second has passed."""
        now = time.monotonic()
        if self._launch:
            self._poll_launch(now)
        if self._session:
            self._handle(self._session.tick(now))
            self._flush()
        if self._orders or self._tickets:
            self._last_work = now
        elif self._session and self._session.welcome and now - self._last_work > IDLE_SECONDS:
            self._hang_up()

    def look_again(self) -> None:
        """Look, and ask the server itself even if it was seen before."""
        self._seen = ("", "")
        self.look()

    # Finding, starting, connecting

    def _find(self) -> None:
        try:
            address = discovery.read_address(self._folder)
        except InpaintError:  # a starting server replaces a damaged file
            address = None
        if address:
            self._connect(address)
        else:
            self._start(None)

    def _start(self, stale: discovery.ServerAddress | None) -> None:
        try:
            self._launch = launch.Launch(self._folder, time.monotonic(), stale)
        except InpaintError as error:
            self._fail_all(error)
            return
        self._show(ServerStatus("busy", "Starting the server…"))
        self._tell_all("Starting the server", 0.0)

    def _poll_launch(self, now: float) -> None:
        assert self._launch
        try:
            address = self._launch.poll(now)
        except InpaintError as error:
            self._launch = None
            self._fail_all(error)
            return
        if address:
            self._launch = None
            self._connect(address, fresh=True)

    def _connect(self, address: discovery.ServerAddress, fresh: bool = False) -> None:
        self._address, self._fresh = address, fresh
        self._session = ClientSession(address.key, self._client, time.monotonic())
        self._unsent: deque[memoryview] = deque()
        self._last_work = time.monotonic()
        socket = QTcpSocket(self)
        socket.setProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))  # never through a proxy set for the web
        socket.connected.connect(self._on_connected)
        socket.readyRead.connect(self._on_readable)
        socket.bytesWritten.connect(self._on_written)
        socket.disconnected.connect(self._on_lost)
        # Qt renamed the signal; before 5.15 `error` was the name of both a signal and a getter.
        (socket.errorOccurred if hasattr(socket, "errorOccurred") else socket.error).connect(self._on_lost)
        self._socket = socket
        socket.connectToHost(address.host, address.port)

    @guarded
    def _on_connected(self) -> None:
        self._socket.setSocketOption(QAbstractSocket.SocketOption.LowDelayOption, 1)
        self._flush()

    @guarded
    def _on_readable(self) -> None:
        while self._session and self._socket and self._socket.bytesAvailable():
            data = bytes(self._socket.read(WRITE_BYTES))
            self._handle(self._session.receive_data(data, time.monotonic()))
        self._flush()

    @guarded
    def _on_written(self, _count: int) -> None:
        if self._session:
            self._session.data_moved(time.monotonic())
            self._flush()

    @guarded
    def _on_lost(self, _error: object = None) -> None:
        if self._session:
            reason = self._socket.errorString() if _error is not None else "it ended or was ended"
            self._handle(self._session.connection_lost(reason))

    def _flush(self) -> None:
        """Give the socket as much as it can take without hoarding it."""
        if not self._session:
            return
        self._unsent.extend(memoryview(chunk).cast("B") for chunk in self._session.data_to_send())
        if self._socket.state() != QAbstractSocket.SocketState.ConnectedState:
            return
        while self._unsent and self._socket.bytesToWrite() < BUFFERED_BYTES:
            chunk = self._unsent.popleft()
            self._socket.write(bytes(chunk[:WRITE_BYTES]))
            if len(chunk) > WRITE_BYTES:
                self._unsent.appendleft(chunk[WRITE_BYTES:])

    def _hang_up(self) -> None:
        if self._session:
            self._session.say_goodbye(time.monotonic())
            self._flush()
        self._drop()

    def _drop(self) -> None:
        socket, self._socket, self._session = self._socket, None, None
        if socket:
            for signal in (socket.disconnected, socket.readyRead, socket.bytesWritten, socket.connected):
                signal.disconnect()
            socket.disconnectFromHost()  # what is unsent still goes out
            socket.deleteLater()

    # What the server says

    def _handle(self, events: list[ev.Event]) -> None:
        for event in events:
            if isinstance(event, ev.Welcome):
                self._on_welcome(event)
            elif isinstance(event, ev.Closed):
                self._on_closed(event.error)
            elif isinstance(event, ev.State):
                self._on_state(event)
            else:
                self._on_job(event)

    def _on_welcome(self, welcome: ev.Welcome) -> None:
        assert self._session
        if self._stopping:
            self._stopping = False
            self._session.shutdown(time.monotonic())
            return
        self._session.ask_state(time.monotonic())
        self._submit_all()

    def _on_state(self, state: ev.State) -> None:
        fields = state.fields
        log = str(fields.get("log") or "")
        model = fields.get("model")
        if model == "failed":
            self._show(ServerStatus("problem", str(fields.get("problem")), log))
        elif model == "ready":
            assert self._address
            text = f"{fields.get('device')}, weights {fields.get('weights')}"
            self._seen = (self._address.instance, text)
            self._show(ServerStatus("ready", text, log))
        else:
            self._show(ServerStatus("busy", "Loading the network…", log))
            QTimer.singleShot(500, self._ask_state)

    @guarded
    def _ask_state(self) -> None:
        if self._session and self._session.welcome:
            self._session.ask_state(time.monotonic())
            self._flush()

    def _submit_all(self) -> None:
        while self._orders and self._session and self._session.welcome:
            order = self._orders.popleft()
            try:
                job = self._session.submit(order.make(), time.monotonic())
            except Exception as error:
                self.ended.emit(order.ticket, None, error)
                continue
            self._tickets[job] = order
            self._flush()

    def _on_job(self, event: ev.Event) -> None:
        order = self._tickets.get(getattr(event, "job", ""))
        if order is None:
            return
        if isinstance(event, ev.Accepted):
            self.progressed.emit(order.ticket, "Waiting" if event.ahead else "Starting", 0.0)
        elif isinstance(event, ev.Progress):
            self.progressed.emit(order.ticket, event.stage, event.fraction)
        else:
            del self._tickets[event.job]  # type: ignore[union-attr]
            if isinstance(event, ev.Result):
                self.work(order.ticket, lambda: order.read(event))
            else:
                error = event.error if isinstance(event, ev.Failed) else Cancelled()
                self.ended.emit(order.ticket, None, error)

    def _on_closed(self, error: InpaintError) -> None:
        assert self._session
        was_welcome, address, fresh = self._session.welcome is not None, self._address, self._fresh
        lost, self._tickets = list(self._tickets.values()), {}
        self._drop()
        self._seen = ("", "")
        for order in lost:
            self.ended.emit(order.ticket, None, error)
        left_over = not was_welcome and not fresh and error.code in ("connection_lost", "no_answer", "not_a_server")
        if self._stopping or (left_over and not self._orders):
            self._stopping = False
            self._show(OFF)
        elif left_over:  # the file of a server that was killed
            self._start(address)
        elif error.code == "shutting_down":
            self._show(OFF)
            if self._orders:
                self._find()
        else:
            self._fail_all(error)

    # What is told

    def _show(self, status: ServerStatus) -> None:
        if status != self._shown:
            self._shown = status
            self.status.emit(status)

    def _tell_all(self, stage: str, fraction: float) -> None:
        for order in self._orders:
            self.progressed.emit(order.ticket, stage, fraction)

    def _fail_all(self, error: InpaintError) -> None:
        orders, self._orders = list(self._orders), deque()
        self._show(ServerStatus("problem", str(error)))
        for order in orders:
            self.ended.emit(order.ticket, None, error)

    def on_fault(self, error: Exception) -> None:
        """A fault of this file: every job ends with it, and the next one starts afresh."""
        fault = InpaintError("internal", f"The plug-in failed: {error!r}.", "Please report this.")
        lost, self._tickets = list(self._tickets.values()), {}
        self._launch = None
        self._drop()
        for order in lost:
            self.ended.emit(order.ticket, None, fault)
        self._fail_all(fault)


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
        self._submit.emit(_Order(ticket, make, read))
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
        self._thread.wait(5 * GOODBYE_MS)

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
