"""A broker in a thread of the test's own process, with an engine that does what the test says."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from dgfnet.filling.fills import Fill, Patch
from dgfnet.filling.holes import around
from dgfnet.pictures import split_alpha
from server import protocol
from server.broker import Broker, Limits
from server.client.discovery import ServerAddress
from server.jobs import Engine, Outcome, Split
from server.remote import Client, Timing


def grey_fill(mask: np.ndarray) -> Fill:
    """A fill of half grey over the mask's bounds; its coarse part is a little darker."""
    box = around(mask > 0)
    fill = np.full((box.height, box.width, 3), 0.5, np.float32)
    patch = Patch(box, fill, fill - np.float32(0.1), mask[box.slices].astype(np.float32) / 255)
    return Fill((patch,), [1.0], {"network": 0.0})


class StandInEngine:
    """Steps until `go` is set, so that a test decides when a job ends; remembers what it was asked.

    A `stubborn` one does not ask meanwhile whether it is cancelled.
    """

    device, weights, weights_sha256 = "cpu", "stand-in", "0" * 64

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

    def client(self, **timing: float) -> Client:
        """A client that has said hello."""
        client = Client(self.address, Timing(**timing))
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
def client(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


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
