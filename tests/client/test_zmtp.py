"""ZMTP: what a good peer sends in any pieces, and what a bad one gets."""

from __future__ import annotations

import contextlib
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.client.zmtp import COMMAND, GREETING, Connection, Limits, Message, ProtocolError, Ready, command, metadata

READY = command(b"READY", metadata({b"Socket-Type": b"ROUTER", b"Identity": b"x"}))
GREETING_3_1 = GREETING[:11] + b"\x01" + GREETING[12:]


def connected(limits: Limits | None = None) -> Connection:
    connection = Connection(limits or Limits())
    assert connection.receive_data(GREETING + READY) == [Ready({"socket-type": b"ROUTER", "identity": b"x"})]
    connection.data_to_send()
    return connection


def stream(*messages: list[bytes]) -> bytes:
    sender = connected()
    return b"".join(bytes(chunk) for message in messages for chunk in sender.send(message))


def frames_of(events: list) -> list[list[bytes]]:
    return [[bytes(frame) for frame in event.frames] for event in events]


def test_the_greeting_goes_out_at_once_and_ready_after_the_peers() -> None:
    connection = Connection()
    assert connection.data_to_send() == [GREETING]
    assert len(GREETING) == 64
    assert connection.receive_data(GREETING_3_1) == []
    (ready,) = connection.data_to_send()
    assert ready == b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
    assert not connection.ready
    connection.receive_data(READY)
    assert connection.ready


def test_frames_have_the_bytes_of_the_specification() -> None:
    assert stream([b"a", b"", b"bc"]) == b"\x01\x01a\x01\x00\x00\x02bc"
    assert stream([b"x" * 255])[:2] == b"\x00\xff"
    assert stream([b"x" * 256])[:9] == b"\x02" + struct.pack(">Q", 256)


def test_a_large_payload_is_not_copied() -> None:
    payload = bytes(1 << 20)
    _, view = connected().send([payload])
    assert isinstance(view, memoryview)
    assert view.obj is payload


@given(
    st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=4),
    st.lists(st.integers(min_value=1, max_value=400)),
)
def test_any_split_gives_the_same_messages(messages: list[list[bytes]], cuts: list[int]) -> None:
    data = GREETING_3_1 + READY + stream(*messages)
    connection, events = Connection(), []
    for cut in [*cuts, len(data)]:
        events += connection.receive_data(data[:cut])
        data = data[cut:]
    assert isinstance(events[0], Ready)
    assert frames_of(events[1:]) == messages


def test_byte_by_byte() -> None:
    connection, events = Connection(), []
    for byte in GREETING + READY + stream([b"", b"y" * 256], [b"z"]):
        events += connection.receive_data(bytes([byte]))
    assert frames_of(events[1:]) == [[b"", b"y" * 256], [b"z"]]


def test_ping_is_answered_also_between_the_frames_of_a_message() -> None:
    connection = connected()
    data = stream([b"one", b"two"])
    ping = command(b"PING", b"\x00\x64context")
    events = connection.receive_data(data[:5] + ping + data[5:])
    assert frames_of(events) == [[b"one", b"two"]]
    assert connection.data_to_send() == [b"\x04\x0c\x04PONGcontext"]
    assert connection.receive_data(command(b"FUTURE", b"?") + command(b"PONG")) == []


def test_large_messages_arrive_in_linear_time_and_whole() -> None:
    payload = os.urandom(20_000_000)
    data = memoryview(stream([b"head", payload]))
    connection, events = connected(), []
    for start in range(0, len(data), 65536):
        events += connection.receive_data(data[start : start + 65536])
    (message,) = events
    assert isinstance(message, Message)
    assert message.frames == [b"head", payload]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request", "does not speak ZeroMQ"),
        (b"\xff" + bytes(8) + b"\x7f\x01", "too old"),
        (GREETING[:12] + b"CURVE".ljust(20, b"\0") + bytes(32), "security mechanism"),
        (GREETING + b"\x00\x01a", "before the handshake"),
        (GREETING + command(b"HELLO"), "where READY was due"),
        (GREETING + command(b"ERROR", b"\x02no"), "refused the connection: no"),
        (GREETING + command(b"ERROR"), "refused the connection"),
        (GREETING + command(b"READY"), "socket type"),
        (GREETING + command(b"READY", metadata({b"Socket-Type": b"PUB"})), "socket type"),
        (GREETING + command(b"READY", b"\x0bSocket-Type\x00\x00\x00\xff"), "ends inside a property"),
        (GREETING + command(b"READY", b"\xffS"), "ends inside a property"),
        (GREETING + bytes([COMMAND | 2]) + struct.pack(">Q", 1 << 62), "announced a command"),
        (GREETING + b"\x04\x00", "without a name"),
        (GREETING + b"\x04\x02\x09R", "without a name"),
        (GREETING + READY + b"\x08", "impossible flags"),
        (GREETING + READY + b"\x05", "impossible flags"),
        (GREETING + READY + b"\x02" + b"\xff" * 8, "announced a frame"),
        (GREETING + READY + command(b"PING", b"\x00"), "PING of a wrong size"),
        (GREETING + READY + command(b"PING", bytes(19)), "PING of a wrong size"),
    ],
)
def test_hostile_bytes_end_the_connection_with_a_sentence(data: bytes, reason: str) -> None:
    connection = Connection()
    with pytest.raises(ProtocolError, match=reason):
        connection.receive_data(data)
    with pytest.raises(ProtocolError, match=reason):
        connection.receive_data(b"")


def test_limits_hold_before_anything_is_buffered() -> None:
    limits = Limits(frame_bytes=1000, message_bytes=1500, frames=2)
    long = b"\x03" + struct.pack(">Q", 1000)
    with pytest.raises(ProtocolError, match="a frame of 1001 bytes"):
        connected(limits).receive_data(b"\x02" + struct.pack(">Q", 1001))
    with pytest.raises(ProtocolError, match="more than 1500 bytes"):
        connected(limits).receive_data(long + bytes(1000) + long)
    with pytest.raises(ProtocolError, match="or 2 frames"):
        connected(limits).receive_data(b"\x01\x00\x01\x00\x00\x00")


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_else(data: bytes) -> None:
    for start in (b"", GREETING, GREETING + READY):
        connection = Connection(Limits(frame_bytes=100, message_bytes=100))
        with contextlib.suppress(ProtocolError):
            connection.receive_data(start + data)


def test_send_needs_a_handshake() -> None:
    with pytest.raises(ValueError, match="handshake"):
        Connection().send([b"x"])
