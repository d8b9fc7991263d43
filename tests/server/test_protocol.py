"""Frames, signatures, headers and arrays without a socket."""

from __future__ import annotations

import hashlib
import hmac

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server import messages as m
from server import protocol
from server.client import wire
from server.client.wire import TO_CLIENT, TO_SERVER, UnsignedError
from server.protocol import Dropped, Refusal, Session

KEY = bytes(range(32))
ID = "ab" * 16


def pair():
    return Session(KEY, ID, TO_SERVER), Session(KEY, ID, TO_CLIENT)


def decode(end, frames):
    """What an end of a session does with a received message: its header and its payloads."""
    wire.verify(end.key, TO_CLIENT if end.sends == TO_SERVER else TO_SERVER, frames)
    header = protocol.read_header(frames[1])
    end.accept(header)
    return header, frames[2:]


def outcome(function, *arguments):
    try:
        function(*arguments)
    except Refusal as refusal:
        return refusal.code
    return "fine"


def views(frames):
    return [memoryview(bytes(frame)) for frame in frames]


def test_the_signature_is_what_the_document_says():
    header, payload = b"head", b"body"
    text = b">" + hashlib.sha256(header).digest() + hashlib.sha256(payload).digest()
    expected = b"DGF1" + hmac.new(KEY, text, hashlib.sha256).digest()
    assert wire.signature(KEY, TO_SERVER, header, [payload]) == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_arrays_arrive_as_they_were_without_a_copy(dtype):
    client, server = pair()
    image = np.arange(24).reshape(2, 4, 3).astype(dtype)
    frames = views(client.encode("SUBMIT", {}, {"image": image}))
    header, payloads = decode(server, frames)
    array = protocol.read_arrays(header.arrays, payloads)["image"]
    np.testing.assert_array_equal(array, image)
    assert array.dtype == dtype
    assert np.shares_memory(array, np.frombuffer(frames[2], np.uint8))
    assert not array.flags.writeable


def test_big_endian_and_strided_arrays_are_sent_as_values():
    image = np.arange(12, dtype=">u2").reshape(3, 4)[:, ::2]
    descriptor, payload = protocol.write_array("image", image)
    assert descriptor == {"name": "image", "dtype": "u2", "shape": [3, 2]}
    np.testing.assert_array_equal(np.frombuffer(payload, "<u2").reshape(3, 2), image)


def test_contiguous_arrays_are_sent_without_a_copy():
    image = np.zeros((4, 5), np.float32)
    assert np.shares_memory(np.frombuffer(protocol.write_array("image", image)[1], np.uint8), image)


def test_the_editors_code_writes_the_same_bytes():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    ours = Session(KEY, ID, TO_SERVER).encode("SUBMIT", {"job": ID}, {"image": image})
    theirs = wire.encode(
        KEY, TO_SERVER, "SUBMIT", ID, 1, {"job": ID}, [wire.Array("image", "u1", (2, 3), image.tobytes())]
    )
    assert [bytes(frame) for frame in ours] == [bytes(frame) for frame in theirs]


def test_a_replay_is_dropped_and_a_gap_is_not():
    client, server = pair()
    first, _, third = (views(client.encode("PING", {}, {})) for _ in range(3))
    decode(server, third)
    for old in (third, first):
        with pytest.raises(Dropped):
            decode(server, old)


def test_a_reflected_message_is_dropped():
    client, _ = pair()
    with pytest.raises(UnsignedError, match="not signed"):
        decode(client, views(client.encode("PING", {}, {})))


def test_another_sessions_message_is_dropped():
    _, server = pair()
    other = Session(KEY, "cd" * 16, TO_SERVER)
    with pytest.raises(Dropped, match="another session"):
        decode(server, views(other.encode("PING", {}, {})))


@given(st.lists(st.binary(max_size=100), max_size=12))
@settings(max_examples=200, deadline=None)
def test_no_garbage_passes(frames):
    with pytest.raises(UnsignedError):
        wire.verify(KEY, TO_SERVER, views(frames))


@given(st.integers(0, 200), st.integers(1, 255))
@settings(deadline=None)
def test_one_changed_byte_anywhere_is_noticed(position, change):
    client, server = pair()
    frames = [bytearray(frame) for frame in client.encode("SUBMIT", {}, {"a": np.zeros((4, 4), np.uint8)})]
    flat = [(frame, index) for frame in frames for index in range(len(frame))]
    frame, index = flat[position % len(flat)]
    frame[index] ^= change
    with pytest.raises(UnsignedError):
        decode(server, views(frames))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_signed_header_is_a_header_or_a_refusal(data):
    assert outcome(protocol.read_header, data) in ("fine", "bad_message")


ODD = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1 << 63,
        0.5,
        float("nan"),
        "",
        "ab",
        ID,
        "x" * 5000,
        b"ab",
        [],
        [1],
        [2, 1],
        [1, 1],
        {},
        {"a": 1},
    ]
)


@given(
    st.sampled_from(sorted(m.REQUESTS)), st.dictionaries(st.sampled_from(["job", "task", "protocol", "options"]), ODD)
)
@settings(max_examples=200, deadline=None)
def test_any_field_is_checked(type_, fields):
    header = protocol.read_header(msgpack.packb({"type": type_, "session": ID, "seq": 1} | fields))
    assert outcome(m.read_message, header) in ("fine", "bad_message")


@given(st.lists(ODD, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_descriptor_is_checked(descriptors):
    with pytest.raises(Refusal):
        protocol.read_arrays([*descriptors, {}], [memoryview(b"")] * (len(descriptors) + 1))


@pytest.mark.parametrize(
    "message",
    [
        m.Hello([1, 1], "x"),
        m.Submit(ID, "inpaint", "linear", {"grow": 1}),
        m.Cancel(ID),
        m.Ping(),
        m.Status(),
        m.Shutdown(),
        m.Bye(),
    ],
)
def test_requests_survive_the_wire(message):
    client, server = pair()
    header, _ = decode(server, views(client.encode(message.TYPE, message.fields(), {})))
    assert m.read_message(header) == message


@pytest.mark.parametrize(
    "message",
    [
        m.Welcome(1, ID, "0.1", None, None, {"pixels": 1}),
        m.Error("internal", "It failed.", "Retry."),
        m.Error("internal", "It failed.", "Retry.", ID),
        m.Progress(ID, "Filling", 0.5),
    ],
)
def test_replies_survive_the_wire(message):
    client, server = pair()
    header, _ = decode(client, views(server.encode(message.TYPE, message.fields(), {})))
    assert type(message)(**header.fields) == message
