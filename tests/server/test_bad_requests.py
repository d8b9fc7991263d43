"""What the server does with requests that are wrong, hostile or broken.

A real server process with a small network gets each request over a socket of its own, and after each a good one.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pytest
import zmq

from dgfnet import model
from server import protocol
from server.client import wire, zmtp
from server.client.discovery import ServerAddress, read_address
from server.client.requests import InpaintRequest
from server.client.transport import Client
from server.client.wire import Array
from server.protocol import ErrorCode

ROOT = Path(__file__).resolve().parents[2]
DROPPED, CLOSED = "dropped", "connection closed"
SECONDS = 30


class Answer(NamedTuple):
    """What came back: an error code, DROPPED, CLOSED, or another message's type; and the sentences of an ERROR."""

    code: str
    text: str = ""


class Visitor:
    """A session that can send anything."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.session, self.seq = protocol.new_id(), 0
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(f"tcp://{address.host}:{address.port}")

    def close(self) -> None:
        self.socket.close()
        self.context.term()

    def frames(
        self, type_: str, payloads: tuple[bytes, ...] = (), key: bytes | None = None, **fields: Any
    ) -> list[Any]:
        """A message, well signed unless `key` says otherwise."""
        self.seq += 1
        header = msgpack.packb({"type": type_, "session": self.session, "seq": self.seq, **fields})
        return self.signed(header, payloads, key)

    def signed(self, header: bytes, payloads: tuple[bytes, ...] = (), key: bytes | None = None) -> list[Any]:
        signature = wire.signature(key or self.address.key, wire.TO_SERVER, header, payloads)
        return [signature, header, *payloads]

    def hello(self) -> list[bytes]:
        """Say hello; the frames of the WELCOME."""
        self.socket.send_multipart(self.frames("HELLO", protocol=[1, 1], client="bad_requests"))
        return self._receive()

    def send(self, frames: list[Any]) -> Answer:
        """Send a message, then a PING: what comes before the PONG is the answer; an accepted job ends after it."""
        self.socket.send_multipart(frames)
        self.socket.send_multipart(self.frames("PING"))
        is_accepted = False
        while True:
            header = protocol.read_header(self._receive()[1])
            if header.type == "ERROR":
                return Answer(header.fields["code"], f"{header.fields['message']} {header.fields['action']}")
            if header.type in ("RESULT", "CANCELLED"):
                return Answer(header.type)
            if header.type == "PONG" and not is_accepted:
                return Answer(DROPPED)
            is_accepted = is_accepted or header.type == "ACCEPTED"

    def _receive(self) -> list[bytes]:
        if not self.socket.poll(SECONDS * 1000):
            raise TimeoutError(f"no answer within {SECONDS} s")
        return self.socket.recv_multipart()


ROWS, COLUMNS = 32, 48


def job(image: np.ndarray | None = None, mask: np.ndarray | None = None, **changes: Any) -> dict[str, Any]:
    """The arguments of `Visitor.frames` for a good job, with changes to the header."""
    if image is None:
        image = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)
    if mask is None:
        mask = np.zeros((ROWS, COLUMNS), np.uint8)
        mask[10:20, 10:20] = 255
    arrays = [protocol.write_array(name, array) for name, array in (("image", image), ("mask", mask))]
    return {
        "type_": "SUBMIT",
        "job": protocol.new_id(),
        "task": "inpaint",
        "space": "srgb",
        "options": {},
        "arrays": [descriptor for descriptor, _ in arrays],
        "payloads": tuple(bytes(payload) for _, payload in arrays),
        **changes,
    }


def described(
    name: str = "image", dtype: str = "u1", shape: tuple[int, ...] = (ROWS, COLUMNS, 3)
) -> list[dict[str, Any]]:
    """Descriptors of a good job with another image."""
    mask = {"name": "mask", "dtype": "u1", "shape": [ROWS, COLUMNS]}
    return [{"name": name, "dtype": dtype, "shape": list(shape)}, mask]


def changed(**changes: Any) -> Callable[[Visitor], Answer]:
    """A good job with changes."""
    return lambda visitor: visitor.send(visitor.frames(**job(**changes)))


def message(type_: str, **fields: Any) -> Callable[[Visitor], Answer]:
    """Another message."""
    return lambda visitor: visitor.send(visitor.frames(type_, **fields))


def header_bytes(header: bytes) -> Callable[[Visitor], Answer]:
    """A signed header that is whatever it is."""
    return lambda visitor: visitor.send(visitor.signed(header))


def unnumbered(visitor: Visitor) -> Answer:
    return visitor.send(visitor.signed(msgpack.packb({"type": "PING", "session": visitor.session, "seq": "one"})))


def broken_picture(value: float) -> Callable[[Visitor], Answer]:
    image = np.full((ROWS, COLUMNS, 3), 0.5, np.float32)
    image[0, 0, 0] = value
    return changed(image=image)


def replay(visitor: Visitor) -> Answer:
    frames = visitor.frames(**job())
    visitor.send(frames)
    return visitor.send(frames)


def replay_of_an_ended_session(visitor: Visitor) -> Answer:
    recorded = visitor.frames("SHUTDOWN")
    visitor.send(visitor.frames("BYE"))
    return visitor.send(recorded)


def reflected(visitor: Visitor) -> Answer:
    return visitor.send(visitor.hello())


def tampered(visitor: Visitor) -> Answer:
    frames = visitor.frames(**job())
    frames[2] = bytes(len(frames[2]))
    return visitor.send(frames)


def twice(visitor: Visitor) -> Answer:
    same = job()
    visitor.send(visitor.frames(**same))
    return visitor.send(visitor.frames(**same))


def without_hello(visitor: Visitor) -> Answer:
    visitor.session, visitor.seq = protocol.new_id(), 0
    return visitor.send(visitor.frames(**job()))


def raw(data: bytes) -> Callable[[Visitor], Answer]:
    """Bytes on a plain socket."""

    def send(visitor: Visitor) -> Answer:
        with socket.create_connection((visitor.address.host, visitor.address.port), timeout=2) as connection:
            connection.sendall(data)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionError:
                pass
            except TimeoutError:
                return Answer(DROPPED)  # neither answered nor closed yet
        return Answer(CLOSED)

    return send


READY = zmtp.command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER")
TWO_GIB_FRAME = struct.pack(">BQ", zmtp.LONG | zmtp.MORE, 2 << 30)

CASES: list[tuple[str, Callable[[Visitor], Answer], str]] = [
    ("unknown message type", message("PAINT"), "bad_type"),
    ("unknown task", changed(task="paint"), "bad_option"),
    ("unknown colour space", changed(space="adobe"), "bad_option"),
    ("unknown option", changed(options={"seed": 1}), "bad_option"),
    ("option of the wrong type", changed(options={"context": "wide"}), "bad_option"),
    ("option out of range", changed(options={"texture_strength": 3}), "bad_option"),
    ("option NaN", changed(options={"feather": float("nan")}), "bad_option"),
    ("options not a map", changed(options=[1]), "bad_message"),
    ("job id not 32 lower-case hex digits", changed(job="../../x"), "bad_message"),
    ("no job id", message("CANCEL"), "bad_message"),
    ("picture data too short for its shape", changed(arrays=described(shape=(ROWS + 1, COLUMNS, 3))), "bad_array"),
    ("shape with a negative size", changed(arrays=described(shape=(-ROWS, -COLUMNS, 3))), "bad_array"),
    ("five channels", changed(image=np.zeros((ROWS, COLUMNS, 5), np.uint8)), "bad_array"),
    ("unknown dtype", changed(arrays=described(dtype="f8")), "bad_array"),
    ("dtype that numpy would run (object)", changed(arrays=described(dtype="O")), "bad_array"),
    ("an array that nobody asked for", changed(arrays=described(name="picture")), "bad_array"),
    ("fewer frames than described", changed(payloads=(bytes(ROWS * COLUMNS * 3),)), "bad_array"),
    ("more frames than described", changed(payloads=(b"1", b"2", b"3")), "bad_array"),
    ("picture of 120 megapixels", changed(arrays=described(shape=(10_000, 12_000, 3))), "too_large"),
    ("mask smaller than the picture", changed(mask=np.full((ROWS, COLUMNS - 1), 255, np.uint8)), "bad_mask"),
    ("empty mask", changed(mask=np.zeros((ROWS, COLUMNS), np.uint8)), "empty_mask"),
    ("full mask", changed(mask=np.full((ROWS, COLUMNS), 255, np.uint8)), "full_mask"),
    ("NaN in the picture", broken_picture(float("nan")), "not_finite"),
    ("infinity in the picture", broken_picture(float("inf")), "not_finite"),
    ("NaN in the mask", changed(mask=np.full((ROWS, COLUMNS), np.nan, np.float32)), "not_finite"),
    ("the same job twice", twice, "duplicate_job"),
    ("cancel of an unknown job", message("CANCEL", job="0" * 32), "unknown_job"),
    ("job without HELLO", without_hello, "bad_message"),
    ("protocol version 9", message("HELLO", protocol=[9, 9], client="x"), "protocol_version"),
    ("signed header that is not msgpack", header_bytes(b"\xc1garbage"), "bad_message"),
    ("signed header cut short", header_bytes(msgpack.packb({"type": "PING"})[:-2]), "bad_message"),
    ("signed header nested 60 000 deep", header_bytes(b"\x91" * 60_000), "bad_message"),
    ("signed header that claims 4 GiB of text", header_bytes(b"\xdb\xff\xff\xff\xff"), "bad_message"),
    ("signed header that is a list", header_bytes(msgpack.packb([1, 2])), "bad_message"),
    ("seq not a number", unnumbered, "bad_message"),
    ("header over 64 KiB", header_bytes(bytes(70_000)), DROPPED),
    ("nine payload frames", lambda v: v.send(v.signed(b"\x80", (b"x",) * 9)), DROPPED),
    ("a single frame", lambda v: v.send([b"DGF1"]), DROPPED),
    ("empty frames", lambda v: v.send([b"", b"", b""]), DROPPED),
    ("garbage frames", lambda v: v.send([bytes(36), b"\xff" * 100, b"\x00" * 100]), DROPPED),
    ("wrong key", lambda v: v.send(v.frames(**job(key=bytes(32)))), DROPPED),
    ("payload changed after signing", tampered, DROPPED),
    ("replay", replay, DROPPED),
    ("replayed SHUTDOWN of an ended session", replay_of_an_ended_session, DROPPED),
    ("the server's own message sent back", reflected, DROPPED),
    ("frame that claims 2 GiB (raw socket)", raw(zmtp.GREETING + READY + TWO_GIB_FRAME), CLOSED),
    ("HTTP request (raw socket)", raw(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"), DROPPED),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """A server process with a small network of random weights; what it paints does not matter here."""
    folder = tmp_path_factory.mktemp("server")
    weights = folder / "small.safetensors"
    model.save(model.DGFNet(model.DGFNetConfig(width=0.125, detail_width=0.125, recurrences=1)), weights)
    command = [sys.executable, "-m", "server", "--home", str(folder), "--device", "cpu", "--weights", str(weights)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + SECONDS
        while (found := read_address(folder)) is None:
            assert process.poll() is None, f"the server did not start; see {folder / 'server.log'}"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield found
    finally:
        process.terminate()
        process.wait(SECONDS)


@pytest.mark.parametrize(("case", "expected"), [pytest.param(case, code, id=name) for name, case, code in CASES])
def test_answered_and_still_serving(address: ServerAddress, case: Callable[[Visitor], Answer], expected: str) -> None:
    with closing(Visitor(address)) as visitor:
        visitor.hello()
        answer = case(visitor)
    assert answer.code == expected
    if expected not in (DROPPED, CLOSED):
        assert answer.text.endswith(".")
        assert "Traceback" not in answer.text
    good = job()
    arrays = (Array(**entry, data=data) for entry, data in zip(good["arrays"], good["payloads"], strict=True))
    with Client(address, "test") as client:
        assert len(client.run(InpaintRequest(*arrays)).layers) == 1


def test_every_kind_that_a_request_alone_can_provoke_is_among_them() -> None:
    circumstances = {"queue_full", "client_silent", "no_weights", "out_of_memory", "device_lost", "shutting_down"}
    circumstances |= {"internal"}
    provoked = {code for _, _, code in CASES} - {DROPPED, CLOSED}
    assert provoked == {code.value for code in ErrorCode} - circumstances
