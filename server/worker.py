"""The one thread that owns the network. Jobs go in through `submit`, events come out through a `Mailbox`."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import zmq

from dgfnet.errors import Cancelled, PictureError, Progress
from server import jobs
from server.client.errors import INSTALL
from server.jobs import Engine, Job
from server.messages import Layer
from server.protocol import ErrorCode, Refusal, new_id

log = logging.getLogger("server")

PROGRESS_SECONDS = 0.1
"""A stage reports at most this often."""


@dataclass(frozen=True)
class Progressed:
    """A job got further."""

    job: Job
    stage: str
    fraction: float


@dataclass(frozen=True)
class Finished:
    """A job is done."""

    job: Job
    layers: list[Layer]
    report: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A job came to nothing, and why."""

    job: Job
    reason: Refusal


@dataclass(frozen=True)
class Stopped:
    """A cancelled job has stopped."""

    job: Job


@dataclass(frozen=True)
class ModelState:
    """The network as STATUS tells it: `state` is `loading`, `ready` or `failed`, `problem` why it failed."""

    state: str
    device: str | None = None
    weights: str | None = None
    weights_path: str | None = None
    weights_sha256: str | None = None
    problem: str | None = None
    memory: dict[str, int] = field(default_factory=dict)


Event = Progressed | Finished | Failed | Stopped | ModelState


class NoEngine(Exception):
    """The network cannot be loaded; the text is one sentence."""


class Mailbox:
    """Events from one thread to another, with a ZeroMQ socket as the doorbell so that the reader can poll it."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        address = f"inproc://{new_id()}"
        self.bell = context.socket(zmq.PAIR)
        self.bell.bind(address)
        self._button = context.socket(zmq.PAIR)
        self._button.set_hwm(0)
        self._button.connect(address)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def post(self, event: Event) -> None:
        """Put an event in (writer's thread)."""
        self._events.put(event)
        self._button.send(b"")

    def take(self) -> list[Event]:
        """Every event that has come (reader's thread)."""
        with contextlib.suppress(zmq.Again):
            while True:
                self.bell.recv(zmq.NOBLOCK)
        events = []
        with contextlib.suppress(queue.Empty):
            while True:
                events.append(self._events.get_nowait())
        return events

    def close_writer(self) -> None:
        """The writer is done."""
        self._button.close(linger=0)

    def close_reader(self) -> None:
        """The reader is done."""
        self.bell.close(linger=0)


class Worker(threading.Thread):
    """Loads the engine once, then does one job after the other, until `stop` or the loss of the device.

    Args:
        load_engine: makes the engine; raises `NoEngine` where it cannot. After a failure it is asked again
            for each job, so that a repaired installation works without a restart.
        mailbox: where events go.
        help_hint: the sentence that tells a user where to look after an internal error.
    """

    def __init__(self, load_engine: Callable[[], Engine], mailbox: Mailbox, help_hint: str) -> None:
        super().__init__(name="dgfnet-worker", daemon=True)
        self._load_engine = load_engine
        self._mailbox = mailbox
        self._help_hint = help_hint
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._engine: Engine | None = None

    def submit(self, job: Job) -> None:
        """Hand over a job; exactly one `Finished`, `Failed` or `Stopped` answers it."""
        self._jobs.put(job)

    def stop(self) -> None:
        """End after the job in hand."""
        self._jobs.put(None)

    def run(self) -> None:
        """The thread's work."""
        try:
            with contextlib.suppress(Refusal):
                self._load()
            while (job := self._jobs.get()) is not None:
                self._mailbox.post(self._outcome(job))
                del job  # with its picture, which would stay in memory until the next one comes
                self._post_state()
        except BaseException:  # nobody else would say what ended the thread; the broker sees that it has ended
            log.exception("the worker has died")
        finally:
            self._mailbox.close_writer()

    def _load(self) -> Engine:
        if self._engine is not None:
            return self._engine
        started = time.monotonic()
        try:
            self._engine = self._load_engine()
        except NoEngine as error:
            problem = str(error)
        except Exception as error:
            log.exception("the network cannot be loaded")
            problem = f"The network cannot be loaded ({type(error).__name__}: {str(error).partition(chr(10))[0]})."
        else:
            self._post_state()
            log.info(
                "network %s on %s, loaded in %.1f s",
                self._engine.weights,
                self._engine.device,
                time.monotonic() - started,
            )
            return self._engine
        log.error("%s", problem)
        self._mailbox.post(ModelState("failed", problem=problem))
        raise Refusal(ErrorCode.NO_WEIGHTS, problem, f"Run `dgfnet doctor`, or `{INSTALL}` again.")

    def _post_state(self) -> None:
        if self._engine is not None:
            engine = self._engine
            try:
                memory = engine.memory()
            except Exception:  # a broken driver must not end the thread: the next job will tell
                log.exception("the memory in use cannot be read")
                memory = {}
            known = engine.device, engine.weights, engine.weights_path, engine.weights_sha256
            self._mailbox.post(ModelState("ready", *known, memory=memory))

    def _outcome(self, job: Job) -> Event:
        progress = self._progress_of(job)
        started = time.monotonic()
        try:
            progress("Starting", 0.0)
            layers, report = jobs.run(job, self._load(), progress)
            if job.cancelled.is_set():
                return Stopped(job)
        except Cancelled:
            log.info("job %s cancelled after %.1f s", job.id[:8], time.monotonic() - started)
            return Stopped(job)
        except PictureError as error:
            known = error.code in set(ErrorCode)
            reason = Refusal(ErrorCode(error.code) if known else ErrorCode.INTERNAL, error.message, error.action)
        except Refusal as refusal:
            reason = refusal.with_traceback(None)  # which would keep this frame, and with it the job's picture
        except jobs.DeviceLost as error:
            log.exception("job %s has lost the device", job.id[:8])
            self.stop()  # the server ends with its worker
            reason = Refusal(ErrorCode.DEVICE_LOST, str(error), "Try again: the server starts anew.")
        except MemoryError:
            reason = Refusal(
                ErrorCode.OUT_OF_MEMORY,
                "There is not enough memory for this job, even in small steps on the CPU.",
                "Close other programs, or select a smaller region.",
            )
        except Exception as error:
            log.exception("job %s failed", job.id[:8])
            reason = Refusal(
                ErrorCode.INTERNAL, f"The job failed inside the server ({type(error).__name__}).", self._help_hint
            )
        else:
            log.info("job %s done in %.1f s", job.id[:8], time.monotonic() - started)
            return Finished(job, layers, report)
        log.warning("job %s refused: %s %s", job.id[:8], reason.code.value, reason.message)
        return Failed(job, reason)

    def _progress_of(self, job: Job) -> Progress:
        """The callback that stops a cancelled job and passes on what is worth showing."""
        last_stage, last_time = "", 0.0

        def progress(stage: str, fraction: float) -> None:
            nonlocal last_stage, last_time
            if job.cancelled.is_set():
                raise Cancelled
            now = time.monotonic()
            if stage != last_stage or now - last_time >= PROGRESS_SECONDS:
                last_stage, last_time = stage, now
                self._mailbox.post(Progressed(job, stage, min(max(float(fraction), 0.0), 1.0)))

        return progress
