"""The blocking client against a real pyzmq ROUTER, against the real broker, and against what can go wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zmq

from server import protocol
from server.broker import Broker
from server.client import launch, wire
from server.client import session as client_session
from server.client.discovery import ServerAddress, read_address
from server.client.errors import Cancelled, InpaintError
from server.client.requests import InpaintRequest
from server.client.transport import Client, connect
from server.client.wire import Array
from server.jobs import Outcome, Split

KEY = bytes(range(32))
INSTANCE = "ab" * 16
WELCOME = {
    "protocol": 1,
    "instance": INSTANCE,
    "server": "0.1",
    "device": "cpu",
    "weights": "w",
    "limits": {"message_bytes": 1 << 30, "pixels": 10**8},
}


def address_of(endpoint: str, key: bytes = KEY) -> ServerAddress:
    return ServerAddress("127.0.0.1", int(endpoint.rpartition(":")[2]), key, INSTANCE, "")


def array(values: np.ndarray) -> Array:
    return Array("", values.dtype.str[1:], values.shape, values.tobytes())


def small_request() -> InpaintRequest:
    mask = np.zeros((32, 40), np.uint8)
    mask[10:20, 5:30] = 255
    return InpaintRequest(array(np.full((32, 40, 3), 90, np.uint8)), array(mask))


Answer = Callable[[protocol.Header, list[memoryview], Callable[..., None]], None]


@contextlib.contextmanager
def router(answer: Answer) -> Iterator[tuple[ServerAddress, list[list[bytes]]]]:
    """A pyzmq ROUTER with heartbeats that welcomes everybody and lets `answer` do the rest."""
    context = zmq.Context()
    sock = context.socket(zmq.ROUTER)
    sock.setsockopt(zmq.HEARTBEAT_IVL, 50)
    sock.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
    sock.setsockopt(zmq.LINGER, 0)
    port = sock.bind_to_random_port("tcp://127.0.0.1")
    stop, seen, sessions = threading.Event(), [], {}

    def serve() -> None:
        while not stop.is_set():
            if not sock.poll(20):
                continue
            peer, *frames = sock.recv_multipart()
            seen.append([hashlib.sha256(frame).digest() for frame in frames])
            header = protocol.read_header(frames[1])
            session = sessions.setdefault(header.session, protocol.Session(KEY, header.session, wire.TO_CLIENT))
            wire.verify(KEY, wire.TO_SERVER, [memoryview(frame) for frame in frames])

            def say(type_: str, arrays: Any = None, peer: bytes = peer, session: Any = session, **fields: Any) -> None:
                sock.send_multipart([peer, *session.encode(type_, fields, arrays or {})])

            if header.type == "HELLO":
                say("WELCOME", **WELCOME)
            else:
                answer(header, [memoryview(frame) for frame in frames[2:]], say)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield ServerAddress("127.0.0.1", port, KEY, INSTANCE, ""), seen
    finally:
        stop.set()
        thread.join()
        sock.close()
        context.term()


def test_a_hundred_megabytes_both_ways() -> None:
    rows, columns = 4096, 6400  # 105 MB of RGBA
    image = os.urandom(rows * columns * 4)

    def answer(header: protocol.Header, payloads: list[memoryview], say: Callable[..., None]) -> None:
        if header.type == "SUBMIT":
            job = header.fields["job"]
            say("ACCEPTED", job=job, ahead=0)
            arrays = protocol.read_arrays(header.arrays, payloads)
            layer = {"name": "n", "role": "fill", "x": 0, "y": 0, "blend": "normal", "opacity": 1.0}
            say("RESULT", {"0": arrays["image"]}, job=job, layers=[layer], report={})

    with router(answer) as (address, seen), Client(address, "test") as client:
        mask = Array("", "u1", (rows, columns), bytes(rows * columns))
        polls = []
        result = client.run(
            InpaintRequest(Array("", "u1", (rows, columns, 4), image), mask),
            on_poll=lambda: bool(polls.append(time.monotonic())),
        )
        assert result.layers[0].pixels == image
        assert any(hashlib.sha256(image).digest() in frames for frames in seen)


def test_a_slow_server_is_waited_for_and_the_editor_called_back() -> None:
    stages: list[tuple[str, float]] = []

    def answer(header: protocol.Header, payloads: list[memoryview], say: Callable[..., None]) -> None:
        if header.type == "SUBMIT":
            job = header.fields["job"]
            say("ACCEPTED", job=job, ahead=1)
            time.sleep(0.6)
            say("PROGRESS", job=job, stage="coarse", fraction=0.25)
            say("RESULT", {}, job=job, layers=[], report={"version": "x"})

    polls: list[int] = []
    with router(answer) as (address, _), Client(address, "test") as client:
        result = client.run(small_request(), lambda *at: stages.append(at), lambda: bool(polls.append(1)))
    assert result.report == {"version": "x"}
    assert stages == [("Waiting for other jobs", 0.0), ("coarse", 0.25)]
    assert len(polls) >= 4


@contextlib.contextmanager
def relay(target: ServerAddress, over: threading.Event, breaks_off: bool) -> Iterator[ServerAddress]:
    """Passes bytes between one client and a server until it is `over`, then breaks off or only stays connected."""
    left = threading.Event()

    def serve() -> None:
        near, _ = listener.accept()
        with near, socket.create_connection((target.host, target.port)) as far:
            for sock in (near, far):
                sock.settimeout(0.02)
            while not over.is_set():
                for source, sink in ((near, far), (far, near)):
                    with contextlib.suppress(TimeoutError):
                        sink.sendall(source.recv(65536))
            if not breaks_off:
                left.wait()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield target._replace(port=listener.getsockname()[1])
        finally:
            over.set()
            left.set()
            thread.join()


@pytest.mark.parametrize("use", [Client.status, Client.shutdown, lambda client: client.run(small_request())])
def test_a_server_that_hangs_after_its_greeting_is_noticed(
    monkeypatch: pytest.MonkeyPatch, use: Callable[[Client], object]
) -> None:
    monkeypatch.setattr(client_session, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(client_session, "HEARTBEAT_SECONDS", 0.1)
    hung = threading.Event()
    with router(lambda *_: None) as (address, _), relay(address, hung, breaks_off=False) as between:
        client = Client(between, "test")
        hung.set()
        with pytest.raises(InpaintError) as caught:
            use(client)
        client.close()
    assert caught.value.code == "server_silent"


def test_a_server_that_dies_in_the_middle_of_a_job() -> None:
    arrived = threading.Event()

    def answer(header: protocol.Header, payloads: list[memoryview], say: Callable[..., None]) -> None:
        if header.type == "SUBMIT":
            arrived.set()

    with router(answer) as (address, _), relay(address, arrived, breaks_off=True) as between:
        client = Client(between, "test")
        with pytest.raises(InpaintError) as caught:
            client.run(small_request())
        client.close()
        client.close()
    assert caught.value.code == "connection_lost"


def test_cancel_and_a_callback_that_raises() -> None:
    cancelled = threading.Event()
    goodbye = threading.Event()

    def answer(header: protocol.Header, payloads: list[memoryview], say: Callable[..., None]) -> None:
        if header.type == "SUBMIT":
            say("ACCEPTED", job=header.fields["job"], ahead=0)
        elif header.type == "CANCEL":
            cancelled.set()
            say("CANCELLED", job=header.fields["job"])
        elif header.type == "BYE":
            goodbye.set()

    with router(answer) as (address, _):
        with Client(address, "test") as client, pytest.raises(Cancelled):
            client.run(small_request(), on_poll=lambda: True)
        assert cancelled.is_set()
        assert goodbye.wait(5)
        goodbye.clear()
        with Client(address, "test") as client, pytest.raises(ZeroDivisionError):
            client.run(small_request(), on_progress=lambda stage, fraction: 1 / 0)
        assert goodbye.wait(5)


def test_the_same_request_through_pyzmq_has_identical_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients, made to draw the same random ids, put the same frames on the wire."""
    monkeypatch.setattr("secrets.token_hex", lambda size: "cd" * size)

    def answer(header: protocol.Header, payloads: list[memoryview], say: Callable[..., None]) -> None:
        if header.type == "SUBMIT":
            say("RESULT", {}, job=header.fields["job"], layers=[], report={})

    asked = small_request()
    with router(answer) as (address, seen):
        with Client(address, "test") as client:
            client.run(asked)
        pure = seen[:2]
    with router(answer) as (address, seen):
        session = protocol.Session(KEY, protocol.new_id(), wire.TO_SERVER)
        context = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        dealer.connect(f"tcp://127.0.0.1:{address.port}")
        dealer.send_multipart(session.encode("HELLO", {"protocol": [1, 1], "client": "test"}, {}))
        arrays = {a.name: np.frombuffer(a.data, a.dtype).reshape(a.shape) for a in asked.arrays}
        dealer.send_multipart(session.encode("SUBMIT", {"job": protocol.new_id(), **asked.fields()}, arrays))
        assert dealer.poll(5000)
        dealer.recv_multipart()
        assert dealer.poll(5000)
        dealer.close(0)
        context.term()
        assert seen == pure


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(InpaintError, match="No server answers") as caught:
        Client(ServerAddress("127.0.0.1", port, KEY, INSTANCE, ""), "test")
    assert caught.value.code == "connection_lost"


def test_a_stranger_at_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                while connection.recv(4096):
                    pass  # closing before all is read would reset the connection, and may take the answer back

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(InpaintError) as caught:
            Client(ServerAddress("127.0.0.1", port, KEY, INSTANCE, ""), "test")
        thread.join()
    assert caught.value.code == "not_a_server"


# The real broker


class Engine:
    """Fills with mid grey, in `steps` steps of 20 ms."""

    device, weights, weights_path, weights_sha256 = "cpu", "test", "/test.safetensors", "0" * 64

    def __init__(self, steps: int = 2) -> None:
        self.steps = steps

    def inpaint(self, image: np.ndarray, mask: np.ndarray, options: Any, full_texture: bool, progress: Any) -> Outcome:
        for step in range(self.steps):
            progress("coarse", step / self.steps)
            time.sleep(0.02)
        ys, xs = np.nonzero(mask)
        x, y, width, height = xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1
        grey = np.full((height, width, 3), 0.5, np.float32)
        fill = SimpleNamespace(
            bounds=(int(x), int(y), int(width), int(height)),
            fill=grey,
            coarse=grey,
            alpha=np.ones((height, width), np.float32),
            scales=[1.0],
            seconds={"coarse": 0.0},
        )
        return Outcome(fill, dict(options))

    def structure(self, image: np.ndarray, options: Any, progress: Any) -> Split:
        return Split(image, {})

    def memory(self) -> dict[str, int]:
        return {"rss": 1}


@contextlib.contextmanager
def broker(steps: int = 2) -> Iterator[ServerAddress]:
    running = Broker(lambda: Engine(steps), KEY, INSTANCE, "server.log")
    address = address_of(running.bind())
    ended = []
    thread = threading.Thread(target=lambda: (running.run(), ended.append(running.close())))
    thread.start()
    try:
        yield address
    finally:
        running.stop()
        thread.join()
        assert ended == [True]


def test_the_real_broker_fills() -> None:
    with broker() as address, Client(address, "test") as client:
        assert client.welcome.instance == INSTANCE
        assert client.ping() >= 0
        stages: list[str] = []
        result = client.run(small_request(), lambda stage, fraction: stages.append(stage))
        (layer,) = result.layers
        assert layer.bounds == (5, 10, 25, 10)
        assert (layer.dtype, layer.channels, layer.role) == ("u1", 4, "fill")
        assert set(np.frombuffer(layer.pixels, np.uint8).reshape(-1, 4)[:, :3].ravel()) <= {127, 128}
        assert "coarse" in stages
        state = client.status().fields
        assert (state["device"], state["model"], state["jobs"]) == ("cpu", "ready", 0)


def test_the_real_broker_refuses_and_serves_on() -> None:
    with broker() as address, Client(address, "test") as client:
        asked = small_request()
        with pytest.raises(InpaintError) as caught:
            client.run(InpaintRequest(asked.image, array(np.ones((3, 3), np.uint8))))
        assert caught.value.code == "bad_mask"
        assert caught.value.action.endswith(".")
        with pytest.raises(InpaintError) as caught:
            client.run(InpaintRequest(asked.image, asked.mask, output="poster"))
        assert caught.value.code == "bad_option"
        assert client.run(asked).layers


def test_the_real_broker_cancels() -> None:
    polls: list[int] = []

    def after_a_while() -> bool:
        polls.append(1)
        return len(polls) > 5

    with broker(steps=1000) as address, Client(address, "test") as client:
        with pytest.raises(Cancelled):
            client.run(small_request(), on_poll=after_a_while)
        deadline = time.monotonic() + 5
        while client.status().fields["jobs"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert client.status().fields["jobs"] == 0


def test_a_wrong_key_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.client.session.HANDSHAKE_SECONDS", 0.4)
    with broker() as address, pytest.raises(InpaintError) as caught:
        Client(address._replace(key=bytes(32)), "test")
    assert caught.value.code == "no_answer"


def test_shutdown_waits_for_the_goodbye() -> None:
    with broker() as address:
        client = Client(address, "test")
        client.shutdown()


# Finding and starting a server

STARTER = """
import json, os, sys, threading
from pathlib import Path
sys.path[:0] = {paths!r}
from server.broker import Broker, Limits
broker = Broker(lambda: 1 / 0, bytes(32), "cd" * 16, "", Limits(idle=20))
address = broker.bind()
path = Path({folder!r}) / "connection.json"
path.touch(mode=0o600)
path.write_text(json.dumps({{"address": address, "key": "00" * 32, "instance": "cd" * 16}}))
broker.run()
broker.close()
"""


def publish(folder: Path, address: str, instance: str = INSTANCE) -> None:
    path = folder / "connection.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"address": address, "key": KEY.hex(), "instance": instance}))


def say_how_to_start(folder: Path, code: str) -> None:
    path = folder / "launch.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"command": [sys.executable, "-c", code], "cwd": str(folder)}))


@pytest.mark.parametrize("stale", [False, True])
def test_a_server_is_started_also_past_a_stale_connection_file(tmp_path: Path, stale: bool) -> None:
    if stale:
        publish(tmp_path, "tcp://127.0.0.1:1")
    root = str(Path(protocol.__file__).parents[1])
    say_how_to_start(tmp_path, STARTER.format(paths=[root, *sys.path], folder=str(tmp_path)))
    with connect("test", tmp_path) as client:
        assert client.welcome.instance == "cd" * 16
    address = read_address(tmp_path)
    assert address is not None
    Client(address, "test").shutdown()


def test_a_server_that_cannot_start_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "GRACE_SECONDS", 0.2)
    say_how_to_start(tmp_path, "print('no such weights'); raise SystemExit(3)")
    with pytest.raises(InpaintError, match=r"ended with status 3 .* no such weights") as caught:
        connect("test", tmp_path)
    assert caught.value.code == "start_failed"
    assert "launch.log" in caught.value.action


def test_a_server_that_hangs_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "START_SECONDS", 0.3)
    say_how_to_start(tmp_path, "import time; time.sleep(3)")
    with pytest.raises(InpaintError, match="did not become ready"):
        connect("test", tmp_path)


def test_starting_can_be_cancelled_and_forbidden(tmp_path: Path) -> None:
    say_how_to_start(tmp_path, "import time; time.sleep(1)")
    with pytest.raises(Cancelled):
        connect("test", tmp_path, on_poll=lambda: True)
    with pytest.raises(InpaintError, match="No server is running"):
        connect("test", tmp_path, start=False)


def test_nothing_installed(tmp_path: Path) -> None:
    with pytest.raises(InpaintError, match=r"install\.py") as caught:
        connect("test", tmp_path)
    assert caught.value.code == "not_installed"
    say_how_to_start(tmp_path, "")
    (tmp_path / "launch.json").write_text('{"command": ["/nowhere/python"]}')
    with pytest.raises(InpaintError, match="could not be started"):
        connect("test", tmp_path)
