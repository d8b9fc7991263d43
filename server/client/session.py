"""One client session with the server as a state machine: bytes and the time go in, events and bytes come out.

A driver (`transport.Client` on a blocking socket, a plug-in on QTcpSocket) writes what `data_to_send` returns, passes
what it reads to `receive_data`, and calls `tick` a few times a second. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import secrets
from typing import Any, Mapping, Sequence, Union

from . import events as ev
from .errors import INSTALL, InpaintError
from .geometry import Bounds
from .requests import InpaintRequest, TextureRequest
from .silence import Silence
from .wire import PROTOCOL, TO_CLIENT, TO_SERVER, TRANSPORT_LIMITS, Array, UnsignedError, WireError, decode, encode
from .zmtp import Buffer, Connection, Message, ProtocolError, Ready

HANDSHAKE_SECONDS = 5.0
HEARTBEAT_SECONDS = 2.0
SILENCE_SECONDS = 10.0
CANCEL_SECONDS = 10.0  # after this the artist is set free even if the server has not confirmed
PONGS_WITHOUT_ANSWER = 5  # so many answered PINGs after a SUBMIT prove that it never arrived

Request = Union[InpaintRequest, TextureRequest]


class _Job:
    """What is known about a job that has been submitted and is not over."""

    def __init__(self, ping: int) -> None:
        self.ping = ping  # how many PINGs went before it
        self.accepted = False
        self.cancel_deadline: float | None = None


class ClientSession:
    """Our side of one session. It greets by itself; after the `Welcome` event jobs may be submitted.

    After a `Closed` event the session is over: bytes are ignored, `submit` and its likes raise its error.
    """

    def __init__(self, key: bytes, client: str, now: float) -> None:
        self.welcome: ev.Welcome | None = None
        self.failure: InpaintError | None = None
        self._key, self._client = key, client
        self._id = secrets.token_hex(16)
        self._zmtp = Connection(TRANSPORT_LIMITS)
        self._outbox: list[Buffer] = []
        self._jobs: dict[str, _Job] = {}
        self._sent_seq = self._received_seq = 0
        self._pings = self._pongs = 0
        self._handshake_deadline = now + HANDSHAKE_SECONDS
        self._last_send = now
        self._silence = Silence(SILENCE_SECONDS, now)
        self._strangers = 0  # messages dropped for their signature

    # What goes out

    def data_to_send(self) -> list[Buffer]:
        """Everything to write since the last call, in this order."""
        outbox, self._outbox = self._zmtp.data_to_send() + self._outbox, []
        return [] if self.failure else outbox

    def submit(self, request: Request, now: float) -> str:
        """Queue a job and return its id. Raises `InpaintError` where the request cannot be sent."""
        try:
            for array in request.arrays:
                array.check()
        except WireError as error:
            raise InpaintError("bad_array", str(error), "Please report this as a fault of the plug-in.") from None
        size = sum(memoryview(array.data).nbytes for array in request.arrays)
        limit = self.welcome.limits.get("message_bytes") if self.welcome else None
        if limit is not None and size > limit:
            raise InpaintError(
                "too_large",
                f"The picture to send has {size >> 20} MiB; the server takes {limit >> 20} MiB.",
                "Take a smaller selection, less context or a smaller picture.",
            )
        job = secrets.token_hex(16)
        self._send("SUBMIT", now, {"job": job, **request.fields()}, request.arrays)
        self._jobs[job] = _Job(self._pings)
        return job

    def cancel(self, job: str, now: float) -> None:
        """Ask for the end of a job; `JobCancelled` follows, or its result if that was on its way."""
        known = self._jobs.get(job)
        if known and known.cancel_deadline is None:
            known.cancel_deadline = now + CANCEL_SECONDS
            self._send("CANCEL", now, {"job": job})

    def ping(self, now: float) -> None:
        """Ask for a `Pong`; `tick` does so by itself often enough to keep the session alive."""
        self._pings += 1
        self._silence.asked(now)
        self._send("PING", now)

    def ask_state(self, now: float) -> None:
        """Ask for a `State`."""
        self._send("STATUS", now)

    def shutdown(self, now: float) -> None:
        """Ask the server to end; `Closed` follows."""
        self._send("SHUTDOWN", now)

    def say_goodbye(self, now: float) -> None:
        """Tell the server that this session and its jobs are over; nothing is awaited."""
        if self.welcome and not self.failure:
            self._send("BYE", now)

    def _send(self, type_: str, now: float, fields: Mapping[str, Any] = {}, arrays: Sequence[Array] = ()) -> None:
        if self.failure:
            raise self.failure
        if not self.welcome and type_ != "HELLO":
            raise ValueError(f"{type_} before the server's WELCOME")
        self._sent_seq += 1
        self._last_send = now
        frames = encode(self._key, TO_SERVER, type_, self._id, self._sent_seq, fields, arrays)
        self._outbox += self._zmtp.send(frames)

    # What comes in

    def receive_data(self, data: Buffer, now: float) -> list[ev.Event]:
        """Take bytes from the server; return what they mean."""
        if self.failure:
            return []
        self._silence.heard()
        try:
            received = self._zmtp.receive_data(data)
        except ProtocolError as error:
            return self._close(InpaintError("not_a_server", str(error), "Close that program, then try again."))
        events: list[ev.Event] = []
        for event in received:
            if isinstance(event, Ready):
                self._send("HELLO", now, {"protocol": list(PROTOCOL), "client": self._client})
            elif isinstance(event, Message) and not self.failure:
                events += self._on_message(event.frames)
        return events

    def data_moved(self, now: float) -> None:
        """The driver wrote a part of a long message, not its end: a server that still takes it in is not silent."""
        self._silence.excused(now)

    def connection_lost(self, reason: str) -> list[ev.Event]:
        """The connection was refused or broke off; `reason` completes "The connection to the server was lost: "."""
        return self._close(
            InpaintError("connection_lost", f"The connection to the server was lost: {reason}.", "Please try again.")
        )

    def tick(self, now: float) -> list[ev.Event]:
        """Keep the session alive and notice what is overdue. Call it a few times a second."""
        if self.failure:
            return []
        if not self.welcome:
            return self._close(self._no_welcome()) if now > self._handshake_deadline else []
        if self._silence.is_too_long(now):
            return self._close(
                InpaintError(
                    "server_silent",
                    f"The server has not answered for {SILENCE_SECONDS:.0f} seconds.",
                    "Stop it with `dgfnet stop`, then try again.",
                )
            )
        if now - self._last_send >= HEARTBEAT_SECONDS:
            self.ping(now)
        overdue = [job for job, known in self._jobs.items() if known.cancel_deadline and now > known.cancel_deadline]
        return [self._end(job, ev.JobCancelled(job)) for job in overdue]

    def _no_welcome(self) -> InpaintError:
        why = "its answers are signed with another key" if self._strangers else "it did not answer"
        return InpaintError(
            "no_answer",
            f"The server did not accept this client within {HANDSHAKE_SECONDS:.0f} seconds: {why}.",
            "Stop it with `dgfnet stop`, then try again.",
        )

    def _on_message(self, frames: Sequence[bytearray]) -> list[ev.Event]:
        try:
            header, arrays = decode(self._key, TO_CLIENT, frames)
        except UnsignedError:
            self._strangers += 1
            return []
        except WireError as error:
            return self._close(_misunderstood(str(error)))
        if header.get("session") != self._id or header["seq"] <= self._received_seq:
            return []
        self._received_seq = header["seq"]
        try:
            return self._on_header(header, arrays)
        except (KeyError, TypeError, ValueError) as error:
            return self._close(_misunderstood(f"{header['type']} lacks or mistakes a field: {error!r}"))

    def _on_header(self, header: dict[str, Any], arrays: list[Array]) -> list[ev.Event]:
        type_, job = header["type"], str(header.get("job", ""))
        if type_ == "WELCOME":
            self.welcome = ev.Welcome(
                str(header["instance"]),
                str(header["server"]),
                str(header.get("device") or ""),
                str(header.get("weights") or ""),
                {str(name): int(value) for name, value in header["limits"].items()},
            )
            return [self.welcome]
        if type_ == "ERROR":
            return self._on_error(job, InpaintError(*(str(header[name]) for name in ("code", "message", "action"))))
        if type_ == "PONG":
            return [ev.Pong(), *self._on_pong()]
        if type_ == "STATE":
            common = ("type", "session", "seq", "arrays")
            return [ev.State({name: value for name, value in header.items() if name not in common})]
        if type_ == "BYE":
            return self._close(InpaintError("shutting_down", "The server has shut down.", "Please try again."))
        known = self._jobs.get(job)
        if known is None:  # over already: an answer that crossed our CANCEL
            return []
        known.accepted = True
        if type_ == "ACCEPTED":
            return [ev.Accepted(job, int(header["ahead"]))]
        if type_ == "PROGRESS":
            fraction = min(max(float(header["fraction"]), 0.0), 1.0)
            return [ev.Progress(job, str(header["stage"]), fraction)]
        if type_ == "RESULT":
            return [self._end(job, ev.Result(job, _layers(header["layers"], arrays), dict(header["report"])))]
        if type_ == "CANCELLED":
            return [self._end(job, ev.JobCancelled(job))]
        return []  # a type of a later protocol

    def _on_error(self, job: str, error: InpaintError) -> list[ev.Event]:
        if not self.welcome:
            return self._close(error)
        if not job:
            return [ev.Failed("", error)]
        return [self._end(job, ev.Failed(job, error))] if job in self._jobs else []

    def _on_pong(self) -> list[ev.Event]:
        self._pongs += 1
        lost = InpaintError("no_answer", "The server did not take the job up.", "Please try again.")
        unheard = [
            job
            for job, known in self._jobs.items()
            if not known.accepted and self._pongs >= known.ping + PONGS_WITHOUT_ANSWER
        ]
        return [self._end(job, ev.Failed(job, lost)) for job in unheard]

    def _end(self, job: str, event: ev.Event) -> ev.Event:
        del self._jobs[job]
        return event

    def _close(self, error: InpaintError) -> list[ev.Event]:
        if self.failure:
            return []
        self.failure = error
        self._jobs.clear()
        return [ev.Closed(error)]


def _layers(described: list[dict[str, Any]], arrays: list[Array]) -> tuple[ev.Layer, ...]:
    if len(described) != len(arrays):
        raise ValueError(f"{len(described)} layers with {len(arrays)} arrays")
    layers = []
    for layer, array in zip(described, arrays):
        rows, columns, channels = array.shape
        bounds = Bounds(int(layer["x"]), int(layer["y"]), columns, rows)
        name, role, blend = (str(layer[key]) for key in ("name", "role", "blend"))
        opacity = min(max(float(layer["opacity"]), 0.0), 1.0)
        layers.append(ev.Layer(name, role, bounds, blend, opacity, array.dtype, channels, array.data))
    return tuple(layers)


def _misunderstood(what: str) -> InpaintError:
    return InpaintError(
        "bad_message",
        f"The server's answer was not understood: {what}",
        f"Run `{INSTALL}` again, so that plug-in and server come from the same version.",
    )
