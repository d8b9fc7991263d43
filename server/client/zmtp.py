"""ZMTP 3.0 as a state machine without input or output: a DEALER with the NULL mechanism (rfc.zeromq.org/spec/23).

Bytes from the peer go into `Connection.receive_data`, which returns what they meant; bytes for the peer come out of
`Connection.send` and `Connection.data_to_send`. Who moves them (a socket, QTcpSocket, a test) is not its business.
Commands of ZMTP 3.1 (PING) are answered; unknown commands are skipped.
"""

from __future__ import annotations

import struct
from typing import Callable, NamedTuple, Sequence, Union

Buffer = Union[bytes, bytearray, memoryview]

MORE, LONG, COMMAND = 1, 2, 4
SIGNATURE_SIZE, GREETING_SIZE = 10, 64
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
COMMAND_LIMIT = 64 * 1024  # a READY with generous metadata takes some hundred bytes
PING_CONTEXT_LIMIT = 16  # RFC 37
PEERS_OF_A_DEALER = (b"ROUTER", b"DEALER", b"REP")
JOIN_BELOW = 16 * 1024  # smaller bodies are joined to their frame header, larger ones are never copied


class ProtocolError(Exception):
    """The peer broke ZMTP, or a limit; one sentence. The connection cannot be used any more."""


class Limits(NamedTuple):
    """What a peer may make us buffer."""

    frame_bytes: int = 1 << 30
    message_bytes: int = (1 << 30) + (1 << 20)
    frames: int = 16


class Ready(NamedTuple):
    """The handshake is over: messages may be sent. Property names are in lower case."""

    properties: dict[str, bytes]


class Message(NamedTuple):
    """One whole multipart message; the frames belong to the receiver and are not used here again."""

    frames: list[bytearray]


Event = Union[Ready, Message]


def frame(body: Buffer, flags: int = 0) -> list[Buffer]:
    """One frame as a list of buffers to write one after the other; a large `body` is passed on uncopied."""
    view = memoryview(body).cast("B")
    size = view.nbytes
    header = struct.pack(">BB", flags, size) if size < 256 else struct.pack(">BQ", flags | LONG, size)
    return [header + bytes(view)] if size < JOIN_BELOW else [header, view]


def command(name: bytes, body: bytes = b"") -> bytes:
    """A command frame, ready to write."""
    return b"".join(frame(bytes([len(name)]) + name + body, COMMAND))


def metadata(properties: dict[bytes, bytes]) -> bytes:
    """The properties of READY, encoded."""
    return b"".join(bytes([len(k)]) + k + struct.pack(">I", len(v)) + v for k, v in properties.items())


def parse_metadata(body: Buffer) -> dict[str, bytes]:
    """The properties of READY; names are case-insensitive and returned in lower case."""
    body, position, properties = bytes(body), 0, {}
    while position < len(body):
        name_end = position + 1 + body[position]
        value_start = name_end + 4
        if value_start > len(body):
            raise ProtocolError("The peer's READY command ends inside a property.")
        value_end = value_start + struct.unpack_from(">I", body, name_end)[0]
        if value_end > len(body):
            raise ProtocolError("The peer's READY command ends inside a property.")
        properties[body[position + 1 : name_end].decode("ascii", "replace").lower()] = body[value_start:value_end]
        position = value_end
    return properties


class Connection:
    """Our end of one ZMTP connection.

    After a `ProtocolError` every further call raises it again.
    """

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 - an immutable tuple
        self.ready = False
        self._limits = limits
        self._outbox: list[Buffer] = [GREETING]
        self._failure = ""
        self._message: list[bytearray] = []
        self._message_bytes = 0
        self._flags = 0
        # The piece being collected, its full size, and who takes it then.
        self._piece = bytearray()
        self._expect(SIGNATURE_SIZE, self._on_signature)

    def data_to_send(self) -> list[Buffer]:
        """What the protocol itself has to say (greeting, READY, PONG) since the last call."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def send(self, frames: Sequence[Buffer]) -> list[Buffer]:
        """One multipart message as buffers to write in this order, nothing in between. Raises before `Ready`."""
        if self._failure:
            raise ProtocolError(self._failure)
        if not self.ready or not frames:
            raise ValueError("send needs at least one frame and a finished handshake")
        chunks: list[Buffer] = []
        for body in frames[:-1]:
            chunks += frame(body, MORE)
        return chunks + frame(frames[-1])

    def receive_data(self, data: Buffer) -> list[Event]:
        """Take bytes from the peer, cut at any place; return the events they complete. Raises `ProtocolError`."""
        if self._failure:
            raise ProtocolError(self._failure)
        view, events = memoryview(data).cast("B"), []  # type: ignore[var-annotated]
        position = 0
        try:
            while True:
                missing = self._size - len(self._piece)
                # The piece grows with what has really arrived, never with what the peer announced, and CPython's
                # bytearray grows in proportion, so that a large frame costs linear time.
                self._piece += view[position : position + missing]
                position += missing
                if len(self._piece) < self._size:
                    return events
                piece, self._piece = self._piece, bytearray()
                self._take(piece, events)
        except ProtocolError as error:
            self._failure = str(error)
            raise

    def _expect(self, size: int, take: Callable[[bytearray, list[Event]], None]) -> None:
        self._size, self._take = size, take

    def _on_signature(self, piece: bytearray, events: list[Event]) -> None:
        # Judged before the rest of the greeting is awaited: a stranger (an HTTP server, say) may never send it.
        if piece[0] != 0xFF or piece[9] != 0x7F:
            raise ProtocolError("The program at this address does not speak ZeroMQ.")
        self._expect(1, self._on_version)

    def _on_version(self, piece: bytearray, events: list[Event]) -> None:
        if piece[0] < 3:
            raise ProtocolError(f"The peer speaks ZMTP {piece[0]}, which is too old; version 3 is needed.")
        self._expect(GREETING_SIZE - SIGNATURE_SIZE - 1, self._on_greeting)

    def _on_greeting(self, piece: bytearray, events: list[Event]) -> None:
        mechanism = bytes(piece[1:21]).rstrip(b"\0")
        if mechanism != b"NULL":
            raise ProtocolError(f"The peer wants the security mechanism {mechanism!r}, which this client cannot speak.")
        self._outbox.append(command(b"READY", metadata({b"Socket-Type": b"DEALER", b"Identity": b""})))
        self._expect(1, self._on_flags)

    def _on_flags(self, piece: bytearray, events: list[Event]) -> None:
        flags = piece[0]
        if flags & ~(MORE | LONG | COMMAND) or (flags & COMMAND and flags & MORE):
            raise ProtocolError(f"The peer sent a frame with the impossible flags 0x{flags:02x}.")
        if not self.ready and not flags & COMMAND:
            raise ProtocolError("The peer sent a message before the handshake was over.")
        self._flags = flags
        self._expect(8 if flags & LONG else 1, self._on_size)

    def _on_size(self, piece: bytearray, events: list[Event]) -> None:
        size = int.from_bytes(piece, "big")
        if self._flags & COMMAND:
            if size > COMMAND_LIMIT:
                raise ProtocolError(f"The peer announced a command of {size} bytes; {COMMAND_LIMIT} are allowed.")
            self._expect(size, self._on_command)
            return
        if size > self._limits.frame_bytes:
            raise ProtocolError(f"The peer announced a frame of {size} bytes; {self._limits.frame_bytes} are allowed.")
        self._message_bytes += size
        most, frames = self._limits.message_bytes, self._limits.frames
        if self._message_bytes > most or len(self._message) >= frames:
            raise ProtocolError(f"The peer announced a message of more than {most} bytes or {frames} frames.")
        self._expect(size, self._on_body)

    def _on_body(self, piece: bytearray, events: list[Event]) -> None:
        self._message.append(piece)
        if not self._flags & MORE:
            events.append(Message(self._message))
            self._message, self._message_bytes = [], 0
        self._expect(1, self._on_flags)

    def _on_command(self, piece: bytearray, events: list[Event]) -> None:
        # Commands may stand between the frames of a message: libzmq sends its PING there.
        self._expect(1, self._on_flags)
        if not piece or 1 + piece[0] > len(piece):
            raise ProtocolError("The peer sent a command without a name.")
        name, body = bytes(piece[1 : 1 + piece[0]]), bytes(piece[1 + piece[0] :])
        if name == b"ERROR":
            reason = body[1 : 1 + body[0]].decode("utf-8", "replace") if body else ""
            raise ProtocolError(f"The peer refused the connection: {reason or 'no reason given'}.")
        if not self.ready:
            self._on_ready(name, body, events)
        elif name == b"PING":
            if not 2 <= len(body) <= 2 + PING_CONTEXT_LIMIT:
                raise ProtocolError("The peer sent a PING of a wrong size.")
            self._outbox.append(command(b"PONG", body[2:]))

    def _on_ready(self, name: bytes, body: bytes, events: list[Event]) -> None:
        if name != b"READY":
            raise ProtocolError(f"The peer sent {name!r} where READY was due.")
        properties = parse_metadata(body)
        peer = properties.get("socket-type", b"")
        if peer not in PEERS_OF_A_DEALER:
            raise ProtocolError(f"The peer's socket type is {peer!r}; a ROUTER is needed.")
        self.ready = True
        events.append(Ready(properties))
