"""A client on a plain socket, for programs that may wait: GIMP's plug-in, the command line, tests.

Nothing here waits longer than POLL_SECONDS without calling `on_poll` back.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from pathlib import Path
from typing import Callable, Sequence, TypeVar

from . import events as ev
from .discovery import ServerAddress, read_address, state_folder
from .errors import UNANSWERED, Cancelled, InpaintError
from .launch import Launch
from .session import HANDSHAKE_SECONDS, ClientSession, Request
from .zmtp import Buffer

POLL_SECONDS = 0.1
GOODBYE_SECONDS = 0.5
ENDING_SECONDS = 5.0  # how long `shutdown` waits for the end after the server's goodbye
RECEIVE_BYTES = 1 << 20

OnProgress = Callable[[str, float], object]
OnPoll = Callable[[], bool]
"""Called at least every POLL_SECONDS; True asks to cancel."""

AnyEvent = TypeVar("AnyEvent", bound=ev.Event)


def keep_going() -> bool:
    """The `on_poll` of who has nothing to do meanwhile."""
    return False


def _ignore_progress(stage: str, fraction: float) -> None:
    return None


def connect(
    client: str,
    folder: Path | None = None,
    start: bool = True,
    on_poll: OnPoll = keep_going,
    arguments: Sequence[str] = (),
) -> Client:
    """A client that the server of this user has welcomed; the server is started if none runs (and `start`).

    `client` says who asks, such as ``gimp 3.0.4``; `arguments` go to a server that is started. Raises `InpaintError`.
    """
    folder = folder or state_folder()
    failure = InpaintError("no_server", "No server is running.", "Start one with `dgfnet serve`.")
    try:
        address = read_address(folder)
    except InpaintError as error:  # a starting server replaces a damaged file
        address, failure = None, error
    if address:
        try:
            return Client(address, client, on_poll)
        except InpaintError as error:
            # The file is left over from a server that was killed. One that answered with an error of its own is not
            # replaced.
            if error.code not in UNANSWERED:
                raise
            failure = error
    if not start:
        raise failure
    launch = Launch(folder, time.monotonic(), stale=address, arguments=arguments)
    while True:
        started = launch.poll(time.monotonic())
        if started:
            return Client(started, client, on_poll)
        if on_poll():
            raise Cancelled
        time.sleep(POLL_SECONDS)


class Client:
    """A welcomed session. Use it as a context manager, or `close` it. Every method raises `InpaintError`."""

    def __init__(self, address: ServerAddress, client: str, on_poll: OnPoll = keep_going) -> None:
        self.address = address
        self._session = ClientSession(address.key, client, time.monotonic())
        self._unsent: deque[memoryview] = deque()
        self._socket = _open(address.host, address.port, on_poll)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        try:
            self.welcome = self._wait_for(ev.Welcome, on_poll)
        except BaseException:
            self._drop()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def ping(self, on_poll: OnPoll = keep_going) -> float:
        """Seconds from a PING to its PONG."""
        start = time.monotonic()
        self._session.ping(start)
        self._wait_for(ev.Pong, on_poll)
        return time.monotonic() - start

    def status(self, on_poll: OnPoll = keep_going) -> ev.State:
        """How the server is: docs/protocol.md, STATE."""
        self._session.ask_state(time.monotonic())
        return self._wait_for(ev.State, on_poll)

    def run(
        self, request: Request, on_progress: OnProgress = _ignore_progress, on_poll: OnPoll = keep_going
    ) -> ev.Result:
        """Submit a job and wait for its result. `Cancelled` after `on_poll` returned True.

        Whatever a callback raises ends the session, and with it the job, and is passed on.
        """
        job = self._session.submit(request, time.monotonic())
        try:
            while True:
                for event in self._step():
                    if isinstance(event, ev.Progress) and event.job == job:
                        on_progress(event.stage, event.fraction)
                    elif isinstance(event, ev.Accepted) and event.job == job:
                        on_progress("Waiting for other jobs" if event.ahead else "Starting", 0.0)
                    elif isinstance(event, ev.Result) and event.job == job:
                        return event
                    elif isinstance(event, ev.JobCancelled) and event.job == job:
                        raise Cancelled
                    elif isinstance(event, ev.Closed) or (isinstance(event, ev.Failed) and event.job in ("", job)):
                        raise event.error
                if on_poll():
                    self._session.cancel(job, time.monotonic())
        except InpaintError:
            raise
        except BaseException:
            self.close()
            raise

    def shutdown(self, on_poll: OnPoll = keep_going) -> None:
        """End the server; returns when it has closed the connection, or ENDING_SECONDS after its goodbye."""
        self._session.shutdown(time.monotonic())
        try:
            error = self._wait_for(ev.Closed, on_poll).error
            if error.code == "shutting_down":
                self._read_to_the_end(on_poll)
            elif error.code != "connection_lost":
                raise error
        finally:
            self._drop()

    def close(self) -> None:
        """Say goodbye, which ends this session's jobs, and close the socket; waits at most GOODBYE_SECONDS."""
        if self._socket.fileno() < 0:
            return
        now = time.monotonic()
        deadline = now + GOODBYE_SECONDS
        self._session.say_goodbye(now)
        self._collect()
        while self._unsent and not self._session.failure and time.monotonic() < deadline:
            self._step()
        self._drop()

    def _wait_for(self, kind: type[AnyEvent], on_poll: OnPoll) -> AnyEvent:
        while True:
            for event in self._step():
                if isinstance(event, kind):
                    return event
                if isinstance(event, (ev.Closed, ev.Failed)):
                    raise event.error
            if on_poll():
                raise Cancelled

    def _step(self) -> list[ev.Event]:
        """Move bytes for at most POLL_SECONDS; what happened."""
        self._collect()
        interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._socket, interest)
        events: list[ev.Event] = []
        try:
            for _, ready in self._selector.select(POLL_SECONDS):
                if ready & selectors.EVENT_WRITE:
                    self._write()
                if ready & selectors.EVENT_READ:
                    events += self._read()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            events += self._session.connection_lost(error.strerror or str(error))
        return events + self._session.tick(time.monotonic())

    def _collect(self) -> None:
        self._unsent.extend(_bytes_view(chunk) for chunk in self._session.data_to_send())

    def _write(self) -> None:
        chunk = self._unsent[0]
        sent = self._socket.send(chunk[:RECEIVE_BYTES])
        if sent < len(chunk):  # of a long message; a PING proves nothing, the kernel takes it for a hung server too
            self._session.data_moved(time.monotonic())
            self._unsent[0] = chunk[sent:]
        else:
            self._unsent.popleft()

    def _read(self) -> list[ev.Event]:
        data = self._socket.recv(RECEIVE_BYTES)
        if not data:
            return self._session.connection_lost("it ended or was ended")
        return self._session.receive_data(data, time.monotonic())

    def _read_to_the_end(self, on_poll: OnPoll) -> None:
        deadline = time.monotonic() + ENDING_SECONDS
        self._selector.modify(self._socket, selectors.EVENT_READ)
        while time.monotonic() < deadline and not on_poll():
            try:
                if self._selector.select(POLL_SECONDS) and not self._socket.recv(RECEIVE_BYTES):
                    return
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                return

    def _drop(self) -> None:
        self._selector.close()
        self._socket.close()
        self._unsent.clear()


def _bytes_view(chunk: Buffer) -> memoryview:
    return memoryview(chunk).cast("B")


def _open(host: str, port: int, on_poll: OnPoll) -> socket.socket:
    """A connected, non-blocking socket. Raises `InpaintError` (connection_lost) where nobody listens."""
    deadline = time.monotonic() + HANDSHAKE_SECONDS
    reason = "the address is unknown"
    try:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        candidates = []
    for family, kind, protocol, _, target in candidates:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)
            with selectors.DefaultSelector() as selector:
                opened.connect_ex(target)
                selector.register(opened, selectors.EVENT_WRITE)
                while not selector.select(POLL_SECONDS) and time.monotonic() < deadline:
                    if on_poll():
                        raise Cancelled
            error = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            opened.getpeername()  # raises where the attempt is still under way
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return opened
        except OSError as error:
            opened.close()
            reason = error.strerror or str(error)
        except BaseException:
            opened.close()
            raise
    raise InpaintError(
        "connection_lost", f"No server answers at {host}, port {port}: {reason}.", "Start one with `dgfnet serve`."
    )
