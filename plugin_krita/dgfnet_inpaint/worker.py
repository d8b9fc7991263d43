"""The line's other end: finds or starts the server, keeps the session, does the jobs' work on bytes.

Lives in a thread of its own (`transport.Line`), so that the window never waits for hashing, moving or parsing pixels.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any, Callable, NamedTuple

from .channel import Channel, answers
from .client import discovery, launch
from .client import events as ev
from .client.errors import UNANSWERED, Cancelled, InpaintError
from .client.session import Request
from .qt import QObject, QTimer, guarded, pyqtSignal

STARTING = "Starting the server"  # a stage that may take a while
TICK_MS = 100
STATE_MS = 500  # between questions while the network is loaded
IDLE_SECONDS = 20.0  # without work the session ends, so that the server may end too
ENDED = ("connection_lost", "not_a_server", "shutting_down")  # errors of a server that runs no more


class ServerStatus(NamedTuple):
    """What the server's light shows. `light` is ``off``, ``busy``, ``ready`` or ``problem``; `log` a path or empty."""

    light: str
    text: str
    log: str = ""


OFF = ServerStatus("off", "Server not running; it starts at the first use.")


class Order(NamedTuple):
    """A job on its way to the server: `make` gives the request, `read` turns the result into what is wanted of it."""

    ticket: int
    make: Callable[[], Request]
    read: Callable[[ev.Result], Any]


class Worker(QObject):
    """Every order gets exactly one `ended`."""

    progressed = pyqtSignal(int, str, float)  # ticket, stage, fraction
    ended = pyqtSignal(int, object, object)  # ticket, value, error
    status = pyqtSignal(object)

    def __init__(self, client: str, folder: Path) -> None:
        super().__init__()
        self._client, self._folder = client, folder
        self._channel: Channel | None = None
        self._is_fresh = False  # the channel leads to a server that we have just started
        self._launch: launch.Launch | None = None
        self._seen = ("", OFF)  # instance of the server last talked to, and how it was once its network was settled
        self._orders: deque[Order] = deque()  # not yet submitted
        self._submitted: dict[str, Order] = {}  # by the session's job id
        self._is_stopping = False
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
    def submit(self, order: Order) -> None:
        """Do a job as soon as the server can be talked to."""
        self._orders.append(order)
        if self._channel is None and self._launch is None:
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
        if self._channel:
            for job in [job for job, order in self._submitted.items() if order.ticket == ticket]:
                self._channel.session.cancel(job, time.monotonic())
            self._channel.flush()

    @guarded
    def look(self) -> None:
        """Show how the server is, without starting one."""
        if self._channel or self._launch:
            return
        try:
            address = discovery.read_address(self._folder)
        except InpaintError as error:
            self._show(ServerStatus("problem", str(error)))
            return
        if address is None:
            self._show(OFF)
        elif address.instance == self._seen[0] and answers(address):  # a session would keep it from ending
            self._show(self._seen[1])
        else:
            self._connect(address)

    @guarded
    def stop_server(self) -> None:
        """Ask the running server to end."""
        self._is_stopping = True
        if self._channel and self._channel.is_welcome:
            self._shut_down(self._channel)
        elif not self._channel:
            self._seen = ("", OFF)
            self.look()
            self._is_stopping = self._channel is not None

    @guarded
    def close(self) -> None:
        """Krita ends: say goodbye and end the thread."""
        self._timer.stop()
        if self._channel:
            self._channel.close(wait=True)
        self.thread().quit()

    @guarded
    def tick(self) -> None:
        """A tenth of a second has passed."""
        now = time.monotonic()
        if self._launch:
            self._poll_launch(now)
        if self._channel:
            self._channel.tick()
        if self._orders or self._submitted:
            self._last_work = now
        elif self._channel and self._channel.is_welcome and now - self._last_work > IDLE_SECONDS:
            self._drop()

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
        for order in self._orders:
            self.progressed.emit(order.ticket, STARTING, 0.0)

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
            self._connect(address, is_fresh=True)

    def _connect(self, address: discovery.ServerAddress, is_fresh: bool = False) -> None:
        self._is_fresh = is_fresh
        self._last_work = time.monotonic()
        self._channel = Channel(address, self._client, self)
        self._channel.happened.connect(self._on_events)
        self._channel.failed.connect(self.on_fault)

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        if channel:
            channel.close()

    # What the server says

    @guarded
    def _on_events(self, events: list[ev.Event]) -> None:
        for event in events:
            if isinstance(event, ev.Welcome):
                self._on_welcome()
            elif isinstance(event, ev.Closed):
                self._on_closed(event.error)
            elif isinstance(event, ev.State):
                self._on_state(event)
            else:
                self._on_job(event)

    def _on_welcome(self) -> None:
        assert self._channel
        if self._is_stopping:
            self._shut_down(self._channel)
            return
        self._ask_state()
        self._submit_all()

    def _shut_down(self, channel: Channel) -> None:
        channel.session.shutdown(time.monotonic())
        channel.flush()

    @guarded
    def _ask_state(self) -> None:
        if self._channel and self._channel.is_welcome:
            self._channel.session.ask_state(time.monotonic())
            self._channel.flush()

    def _on_state(self, state: ev.State) -> None:
        assert self._channel
        fields = state.fields
        log, model = str(fields.get("log") or ""), fields.get("model")
        if model == "failed":
            status = ServerStatus("problem", str(fields.get("problem")), log)
        elif model == "ready":
            status = ServerStatus("ready", f"{fields.get('device')}, weights {fields.get('weights')}", log)
        else:
            self._show(ServerStatus("busy", "Loading the network…", log))
            QTimer.singleShot(STATE_MS, self._ask_state)
            return
        self._seen = (self._channel.address.instance, status)
        self._show(status)

    def _submit_all(self) -> None:
        while self._orders and self._channel and self._channel.is_welcome:
            order = self._orders.popleft()
            try:
                job = self._channel.session.submit(order.make(), time.monotonic())
            except Exception as error:
                self.ended.emit(order.ticket, None, error)
                continue
            self._submitted[job] = order
            self._channel.flush()

    def _on_job(self, event: ev.Event) -> None:
        job = getattr(event, "job", "")
        order = self._submitted.get(job)
        if order is None:
            return
        if isinstance(event, ev.Accepted):
            self.progressed.emit(order.ticket, "Waiting" if event.ahead else "Starting", 0.0)
        elif isinstance(event, ev.Progress):
            self.progressed.emit(order.ticket, event.stage, event.fraction)
        else:
            del self._submitted[job]
            if isinstance(event, ev.Result):
                result, read = event, order.read
                self.work(order.ticket, lambda: read(result))
            else:
                self.ended.emit(order.ticket, None, event.error if isinstance(event, ev.Failed) else Cancelled())

    def _on_closed(self, error: InpaintError) -> None:
        assert self._channel
        address, was_welcome = self._channel.address, self._channel.session.welcome is not None
        lost, self._submitted = list(self._submitted.values()), {}
        self._drop()
        self._seen = ("", OFF)
        for order in lost:
            self.ended.emit(order.ticket, None, error)
        was_stopping, self._is_stopping = self._is_stopping, False
        is_left_over = not was_welcome and not self._is_fresh and error.code in UNANSWERED
        if is_left_over and self._orders:
            self._start(address)
        elif error.code in ENDED and (was_stopping or is_left_over or error.code == "shutting_down"):
            self._show(OFF)
            if self._orders:
                self._find()
        else:
            self._fail_all(error, address.log)

    # What is told

    def _show(self, status: ServerStatus) -> None:
        if status != self._shown:
            self._shown = status
            self.status.emit(status)

    def _fail_all(self, error: InpaintError, log: str = "") -> None:
        orders, self._orders = list(self._orders), deque()
        self._show(ServerStatus("problem", str(error), log))
        for order in orders:
            self.ended.emit(order.ticket, None, error)

    def on_fault(self, error: Exception) -> None:
        """A fault of the plug-in: every job ends with it, and the next one starts afresh."""
        fault = InpaintError("internal", f"The plug-in failed: {error!r}.", "Please report this.")
        lost, self._submitted = list(self._submitted.values()), {}
        self._launch = None
        self._drop()
        for order in lost:
            self.ended.emit(order.ticket, None, fault)
        self._fail_all(fault)
