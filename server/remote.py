"""The server as seen by Python programs with pyzmq: the command line, tests, tools. Editors use `server.client`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zmq

import dgfnet
from dgfnet.errors import Cancelled, Progress
from server import messages as m
from server import protocol
from server.client.discovery import ServerAddress, read_address, state_folder
from server.client.errors import InpaintError
from server.client.session import HANDSHAKE_SECONDS, HEARTBEAT_SECONDS, SILENCE_SECONDS
from server.client.silence import Silence
from server.client.wire import PAYLOAD_BYTES, PROTOCOL, TO_SERVER, UnsignedError
from server.lifecycle import start
from server.locking import has_ended
from server.protocol import Dropped, Refusal, Session

NEVER = 10**9
"""Milliseconds until ZeroMQ connects again by itself: to whoever has taken a dead server's port, with a picture that
waits to be sent. Its own value for never (-1) throws away what has come and was not read yet, such as a goodbye."""


@dataclass(frozen=True)
class Timing:
    """Seconds: for the first answer, between heartbeats, until a silent server is taken for dead, between looks."""

    hello: float = HANDSHAKE_SECONDS
    heartbeat: float = HEARTBEAT_SECONDS
    silence: float = SILENCE_SECONDS
    tick: float = 0.1


class JobResult(NamedTuple):
    """Layers, bottom first, and what a run needs to be repeated."""

    layers: list[m.Layer]
    report: dict[str, Any]


class Client:
    """A session with a running server; use it as a context manager, from one thread.

    Every method raises `InpaintError` with a code, a sentence and an action where the server refuses or is gone.
    """

    def __init__(self, address: ServerAddress, timing: Timing | None = None) -> None:
        self.address = address
        self.timing = timing or Timing()
        self.session = Session(address.key, protocol.new_id(), TO_SERVER)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.MAXMSGSIZE, PAYLOAD_BYTES)
        self._socket.setsockopt(zmq.RECONNECT_IVL, NEVER)
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._socket.connect(f"tcp://{host}:{address.port}")
        self._pinged = time.monotonic()
        self._silence = Silence(self.timing.silence, self._pinged)

    @classmethod
    def connect(cls, folder: Path | None = None, start_server: bool = True, timing: Timing | None = None) -> Client:
        """Say hello to this user's server; where none answers, start one (or raise `InpaintError` no_server)."""
        folder = folder or state_folder()
        failure = InpaintError("no_server", "No server is running.", "Start one with `dgfnet serve`.")
        try:
            address = read_address(folder)
        except InpaintError as error:  # a starting server replaces a damaged file
            address, failure = None, error
        if address is not None:
            client = cls(address, timing)
            try:
                client.hello()
            except InpaintError as error:
                client.close()
                if error.code != "server_silent":
                    raise
            else:
                return client
            if not start_server and not has_ended(folder):
                raise InpaintError(
                    "server_silent",
                    "A server runs, but it does not answer.",
                    "Stop it with `dgfnet stop`, then try again.",
                )
        if not start_server:
            raise failure
        client = cls(start(folder, address), timing)
        client.hello()
        return client

    def __enter__(self) -> Client:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye."""
        self.close()

    def close(self) -> None:
        """Say goodbye and free the socket."""
        with contextlib.suppress(zmq.ZMQError):
            self.send(m.Bye())
        self._socket.close()
        self._context.term()

    # --- requests -------------------------------------------------------------------------------------------------

    def hello(self) -> m.Welcome:
        """Open the session."""
        self.send(m.Hello(list(PROTOCOL), f"pyzmq, dgfnet {dgfnet.__version__}"))
        return self._expect(m.Welcome)

    def status(self) -> m.State:
        """What the server is doing."""
        self.send(m.Status())
        return self._expect(m.State)

    def shutdown(self) -> None:
        """End the server."""
        self.send(m.Shutdown())
        self._expect(m.Bye)

    def submit(
        self,
        image: np.ndarray,
        mask: np.ndarray | None = None,
        task: str = "inpaint",
        options: Mapping[str, Any] | None = None,
        space: str = "srgb",
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> JobResult:
        """Have a job done and wait for it.

        Args:
            image: [H, W] or [H, W, 1 to 4], uint8, uint16, float16 or float32 (docs/protocol.md, Header).
            mask: [H, W]; None for task `texture`.
            task: `inpaint` or `texture`.
            options: see docs/protocol.md, Client to server.
            space: `srgb` or `linear`.
            progress: called with stage and fraction; it may raise `Cancelled`.
            cancelled: set it, from any thread, to stop the job.

        Raises:
            Cancelled: the job has stopped because `progress` or `cancelled` asked for it.
        """
        job = protocol.new_id()
        arrays = {"image": image} | ({} if mask is None else {"mask": mask})
        self.send(m.Submit(job, task, space, dict(options or {})), arrays)
        asked_to_stop = False
        try:
            while True:
                message, payload = self._receive_alive()
                if cancelled is not None and cancelled.is_set() and not asked_to_stop:
                    asked_to_stop = True
                    self.send(m.Cancel(job))
                match message:
                    case m.Progress(job=id_, stage=stage, fraction=fraction) if id_ == job and progress:
                        try:
                            progress(stage, fraction)
                        except Cancelled:
                            asked_to_stop = True
                            self.send(m.Cancel(job))
                    case m.Result(job=id_, layers=described, report=report) if id_ == job:
                        pixels = list(payload.values())
                        layers = [_layer(fields, array) for fields, array in zip(described, pixels, strict=True)]
                        return JobResult(layers, report)
                    case m.Cancelled(job=id_) if id_ == job:
                        raise Cancelled
                    case m.Error(job=id_) if id_ in (job, None):
                        raise InpaintError(message.code, message.message, message.action)
                    case m.Bye():
                        raise _ended()
        except KeyboardInterrupt:
            self.send(m.Cancel(job))
            raise

    # --- messages -------------------------------------------------------------------------------------------------

    def send(self, message: m.Message, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Send one message, as it is."""
        self._socket.send_multipart(self.session.encode(message.TYPE, message.fields(), arrays or {}), copy=False)

    def receive(self, seconds: float) -> tuple[m.Message, dict[str, np.ndarray]] | None:
        """The next message and its arrays, or None where none comes within `seconds`."""
        deadline = time.monotonic() + seconds
        while self._socket.poll(max(0, round((deadline - time.monotonic()) * 1000))):
            frames = [frame.buffer for frame in self._socket.recv_multipart(copy=False)]
            try:
                header, payloads = self.session.decode(frames)
                message = m.read_message(header, m.REPLIES)
                arrays = protocol.read_arrays(header.arrays, payloads)
            except (UnsignedError, Dropped):
                continue
            except Refusal as refusal:
                raise InpaintError(
                    "not_a_server", f"The server's answer makes no sense: {refusal}", refusal.action
                ) from None
            self._silence.heard()
            return message, arrays
        return None

    def _receive_alive(self) -> tuple[m.Message | None, dict[str, np.ndarray]]:
        """What comes within a tick, while heartbeats go out and come back."""
        received = self.receive(self.timing.tick)
        now = time.monotonic()
        if now - self._pinged > self.timing.heartbeat:
            self.send(m.Ping())
            self._silence.asked(now)
            self._pinged = now
        if self._silence.is_too_long(now):
            raise self._silent()
        return received or (None, {})

    def _expect(self, kind: type[m.AnyMessage]) -> m.AnyMessage:
        deadline = time.monotonic() + self.timing.hello
        while (received := self.receive(max(0.0, deadline - time.monotonic()))) is not None:
            if isinstance(received[0], kind):
                return received[0]
            if isinstance(received[0], m.Error):
                raise InpaintError(received[0].code, received[0].message, received[0].action)
            if isinstance(received[0], m.Bye):
                raise _ended()
        raise self._silent()

    def _silent(self) -> InpaintError:
        place = f"{self.address.host}:{self.address.port}"
        look = f"Look into {self.address.log}." if self.address.log else "Run `dgfnet doctor`."
        return InpaintError("server_silent", f"The server at {place} does not answer.", look)


def _ended() -> InpaintError:
    return InpaintError(protocol.ErrorCode.SHUTTING_DOWN.value, "The server has shut down.", "Please try again.")


def _layer(fields: Mapping[str, Any], pixels: np.ndarray) -> m.Layer:
    names = ("name", "role", "x", "y", "blend", "opacity")
    return m.Layer(**{name: fields[name] for name in names}, pixels=pixels)
