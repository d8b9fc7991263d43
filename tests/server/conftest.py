"""A broker in a thread of the test's own process, with an engine that does what the test says."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import pytest
import zmq

from dgfnet.filling.fills import Fill, FillPart
from dgfnet.filling.holes import around
from dgfnet.pixels import split_alpha
from server import messages as m
from server import protocol
from server.broker import Broker, Limits
from server.client.discovery import ServerAddress
from server.client.errors import InpaintError
from server.client.wire import TO_CLIENT, TO_SERVER, verify
from server.jobs import Engine, Outcome, Split

REPLIES = (m.Welcome, m.Accepted, m.Progress, m.Result, m.Cancelled, m.Error, m.Pong, m.State, m.Bye)
SECONDS = 60.0
Reply = TypeVar("Reply", bound=m.Message)


def grey_fill(mask: np.ndarray) -> Fill:
    """A fill of half grey over the mask's bounds; its coarse part is a little darker."""
    box = around(mask > 0)
    fill = np.full((box.height, box.width, 3), 0.5, np.float32)
    part = FillPart(box, fill, fill - np.float32(0.1), mask[box.slices].astype(np.float32) / 255)
    return Fill((part,), [1.0], {"network": 0.0})


class StandInEngine:
    """Steps until `go` is set, so that a test decides when a job ends; remembers what it was asked.

    A `stubborn` one does not ask meanwhile whether it is cancelled.
    """

    device, weights, weights_path, weights_sha256 = "cpu", "stand-in", "/stand-in.safetensors", "0" * 64

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()
        self.order: list[int] = []
        self.failure: BaseException | None = None
        self.stubborn = False

    def inpaint(
        self, image: np.ndarray, mask: np.ndarray, options: Mapping[str, float], full_texture: bool, progress: Any
    ) -> Outcome:
        self.order.append(int(image.flat[0]))
        self._work(progress)
        return Outcome(grey_fill(mask), {"texture_strength": 1.0, **options})

    def structure(self, image: np.ndarray, options: Mapping[str, float], progress: Any) -> Split:
        self._work(progress)
        structure = np.full((*image.shape[:2], split_alpha(image)[0].shape[2]), 0.25, np.float32)
        return Split(structure, {"lam": 0.01, "sigma": 3.0, **options})

    def _work(self, progress: Any) -> None:
        if self.failure is not None:
            raise self.failure
        while True:
            if not self.stubborn:
                progress("Working", 0.5)
            self.started.set()
            if self.go.wait(0.02):
                return

    def memory(self) -> dict[str, int]:
        return {"process_peak": 1}


class ZmqClient:
    """A client on libzmq, from one thread: says whatever a test wants and hands on whatever comes.

    While it waits for an answer it sends a PING every `heartbeat` seconds.
    """

    def __init__(self, address: ServerAddress, heartbeat: float = 2.0) -> None:
        self.heartbeat = heartbeat
        self.session = protocol.Session(address.key, protocol.new_id(), TO_SERVER)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.connect(f"tcp://{address.host}:{address.port}")

    def __enter__(self) -> ZmqClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.send(m.Bye())
        self._socket.close()
        self._context.term()

    def send(self, message: m.Message, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        self._socket.send_multipart(self.session.encode(message.TYPE, message.fields(), arrays or {}), copy=False)

    def receive(self, seconds: float) -> tuple[m.Message, dict[str, np.ndarray]] | None:
        """The next message, verified, and its arrays, or None where none comes within `seconds`."""
        if not self._socket.poll(max(0, round(seconds * 1000))):
            return None
        frames = [frame.buffer for frame in self._socket.recv_multipart(copy=False)]
        verify(self.session.key, TO_CLIENT, frames)
        header = protocol.read_header(frames[1])
        self.session.accept(header)
        (kind,) = (kind for kind in REPLIES if header.type == kind.TYPE)
        return kind(**header.fields), protocol.read_arrays(header.arrays, frames[2:])

    def hello(self) -> m.Welcome:
        return self._ask(m.Hello([1, 1], "libzmq"), m.Welcome)[0]

    def status(self) -> m.State:
        return self._ask(m.Status(), m.State)[0]

    def shutdown(self) -> None:
        self._ask(m.Shutdown(), m.Bye)

    def submit(
        self,
        image: np.ndarray,
        mask: np.ndarray | None = None,
        task: str = "inpaint",
        options: Mapping[str, Any] | None = None,
        space: str = "srgb",
        progress: Callable[[str, float], object] = lambda stage, fraction: None,
    ) -> tuple[list[m.Layer], dict[str, Any]]:
        """Have a job done: its layers, bottom first, and the report."""
        arrays = {"image": image} | ({} if mask is None else {"mask": mask})
        job = m.Submit(protocol.new_id(), task, space, dict(options or {}))
        result, pixels = self._ask(job, m.Result, arrays, progress)
        layers = zip(result.layers, pixels.values(), strict=True)
        return [m.Layer(**fields, pixels=array) for fields, array in layers], result.report

    def _ask(
        self,
        question: m.Message,
        kind: type[Reply],
        arrays: Mapping[str, np.ndarray] | None = None,
        progress: Callable[[str, float], object] = lambda stage, fraction: None,
    ) -> tuple[Reply, dict[str, np.ndarray]]:
        """The answer of this kind, while PINGs go out. Raises `InpaintError` where it is an ERROR or a goodbye."""
        self.send(question, arrays)
        began = pinged = time.monotonic()
        while time.monotonic() - began < SECONDS:
            if time.monotonic() - pinged > self.heartbeat:
                self.send(m.Ping())
                pinged = time.monotonic()
            match self.receive(self.heartbeat):
                case (message, pixels) if isinstance(message, kind):
                    return message, pixels
                case (m.Progress(stage=stage, fraction=fraction), _):
                    progress(stage, fraction)
                case (m.Error() as error, _):
                    raise InpaintError(error.code, error.message, error.action)
                case (m.Bye(), _):
                    raise InpaintError("shutting_down", "The server has shut down.", "")
        raise TimeoutError(f"no {kind.TYPE} within {SECONDS:.0f} s")


class RunningServer:
    """A broker at work, and how to reach it."""

    def __init__(self, load_engine: Callable[[], Engine], limits: Limits) -> None:
        self.key, self.instance = secrets.token_bytes(32), protocol.new_id()
        self.broker = Broker(load_engine, self.key, self.instance, "/the/log", limits)
        endpoint = self.broker.bind()
        self.port = int(endpoint.rsplit(":", 1)[1])
        self.address = ServerAddress("127.0.0.1", self.port, self.key, self.instance, "/the/log")
        self.ended: bool | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.broker.run()
        self.ended = self.broker.close()

    def client(self, heartbeat: float = 2.0) -> ZmqClient:
        """A client that has said hello."""
        client = ZmqClient(self.address, heartbeat)
        client.hello()
        return client

    def stop(self) -> None:
        self.broker.stop()
        self.thread.join(20)
        assert self.ended is True


@pytest.fixture
def engine() -> StandInEngine:
    return StandInEngine()


@pytest.fixture
def run_server() -> Iterator[Callable[..., RunningServer]]:
    """Starts servers; each is stopped after the test, and must stop cleanly."""
    servers: list[RunningServer] = []

    def run(load_engine: Callable[[], Engine], **limits: Any) -> RunningServer:
        servers.append(RunningServer(load_engine, Limits(**{"tick": 0.02, **limits})))
        return servers[-1]

    yield run
    for server in servers:
        server.stop()


@pytest.fixture
def server(run_server: Callable[..., RunningServer], engine: StandInEngine) -> RunningServer:
    return run_server(lambda: engine)


@pytest.fixture
def client(server: RunningServer) -> Iterator[ZmqClient]:
    with server.client() as client:
        yield client


@pytest.fixture
def zmq_client() -> type[ZmqClient]:
    return ZmqClient


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((32, 48), np.uint8)
    mask[8:20, 10:30] = 255
    mask[8, 10:30] = 100
    return mask


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not happen within 10 s"
            time.sleep(0.01)

    return wait
