"""The socket's thread: authenticates, keeps sessions, queues jobs, answers. It never computes pixels."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import zmq

import dgfnet
from server import messages as m
from server import protocol
from server.client.wire import PAYLOAD_BYTES, PROTOCOL, TO_CLIENT, TO_SERVER, UnsignedError, verify
from server.fair_queue import FairQueue
from server.jobs import Engine, Job, read_job
from server.protocol import Dropped, ErrorCode, Refusal, Session
from server.worker import Event, Failed, Finished, Mailbox, ModelState, Progressed, Stopped, Worker

log = logging.getLogger("server")

MESSAGES_PER_TURN = 64
"""After so many received messages the worker's events get their turn."""


@dataclass(frozen=True)
class Limits:
    """Times in seconds; `jobs` and `bytes` of pixels may wait in the queue. `idle` None: never exit by itself.

    `silence` outlasts an editor that saves or scales a large picture, and lets its plug-in say nothing meanwhile. A
    plug-in that was killed is found sooner: its connection breaks, so the next message to it fails.
    """

    silence: float = 120.0
    idle: float | None = 1800.0
    tick: float = 0.5
    stop: float = 10.0
    jobs: int = 64
    bytes: int = 4 << 30


@dataclass(eq=False)
class Peer:
    """A client: its session, the address of its last message, and its jobs in queue and work."""

    session: Session
    address: bytes = b""
    heard: float = 0.0
    greeted: bool = False
    jobs: dict[str, Job] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


class Broker:
    """One server. `bind` publishes nothing, `run` serves until `stop`, SHUTDOWN or the idle time, `close` ends it.

    Args:
        load_engine: makes the engine, in the worker's thread; see `Worker`.
        key: 32 bytes that sign every message.
        instance: 32 hex digits that tell this process from any other.
        log_path: the log file that messages name.
    """

    def __init__(
        self,
        load_engine: Callable[[], Engine],
        key: bytes,
        instance: str,
        log_path: str,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._key = key
        self._instance = instance
        self._log_path = log_path
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.MAXMSGSIZE, PAYLOAD_BYTES)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.RCVHWM, 16)
        self._router.setsockopt(zmq.LINGER, 1000)
        self._mailbox = Mailbox(self._context)
        self._help = f"Look into the log file {log_path} and report the problem."
        self._worker = Worker(load_engine, self._mailbox, self._help)
        self._queue: FairQueue[str, Job] = FairQueue()
        self._running: Job | None = None
        self._known: dict[str, Peer] = {}  # every session ever: its numbers are what makes a replay visible
        self._live: dict[str, Peer] = {}
        self._model = ModelState("loading")
        self._stopping = threading.Event()
        self._started = self._busy = self._looked = time.monotonic()

    def bind(self, address: str = "tcp://127.0.0.1:*") -> str:
        """Bind to a free port; the address that clients connect to."""
        self._router.bind(address)
        return self._router.getsockopt_string(zmq.LAST_ENDPOINT)

    def stop(self) -> None:
        """End `run` soon; may be called from any thread or a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Serve until told to stop; `close` comes after."""
        self._worker.start()
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._mailbox.bell, zmq.POLLIN)
        while not self._stopping.is_set():
            ready = dict(poller.poll(round(self.limits.tick * 1000)))
            if self._mailbox.bell in ready:
                self._take_events()
            if self._receive():
                self._expire(time.monotonic())
            if not self._worker.is_alive():
                self._take_events()  # its last word among them
                log.error("the worker has ended, so the server ends; the next client starts another")
                self.stop()

    # --- receiving ------------------------------------------------------------------------------------------------

    def _receive(self) -> bool:
        """Handle what has come; False where there is more."""
        for _ in range(MESSAGES_PER_TURN):
            try:
                address, *frames = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return True
            self._on_frames(address.bytes, [frame.buffer for frame in frames])
        return False

    def _on_frames(self, address: bytes, frames: list[memoryview]) -> None:
        try:
            verify(self._key, TO_SERVER, frames)
        except UnsignedError as reason:
            log.warning("dropped a message: %s", reason)
            return
        try:
            header = protocol.read_header(frames[1])
        except protocol.BadHeader as refusal:
            # Not the session's own peer: without a number that is good, the message may be another's replay.
            self._refuse(Peer(self._peer(refusal.session).session, address), refusal)
            return
        peer = self._peer(header.session)
        try:
            peer.session.accept(header)
        except Dropped as reason:
            log.warning("dropped a message: %s", reason)
            return
        peer.address, peer.heard = address, time.monotonic()
        self._live[header.session] = peer
        try:
            message = m.read_message(header)
            arrays = protocol.read_arrays(header.arrays, frames[2:])
            self._on_message(peer, message, arrays)
        except Refusal as refusal:
            self._refuse(peer, refusal, _job_of(header))
        except Exception as error:  # a fault of ours in one request must not end the service for all
            log.exception("a %s message failed", header.type)
            self._refuse(peer, self._fault("request", error), _job_of(header))

    def _peer(self, session: str) -> Peer:
        if session not in self._known:
            self._known[session] = Peer(Session(self._key, session, TO_CLIENT))
        return self._known[session]

    def _on_message(self, peer: Peer, message: m.Message, arrays: dict[str, np.ndarray]) -> None:
        match message:
            case m.Hello():
                self._greet(peer, message)
            case m.Submit():
                self._submit(peer, message, arrays)
            case m.Cancel():
                self._cancel(peer, message.job)
            case m.Ping():
                self._send(peer, m.Pong())
            case m.Status():
                self._send(peer, self._state())
            case m.Shutdown():
                log.info("a client asked to shut down")
                self.stop()  # `close` says goodbye, when nobody can find this server any more
            case m.Bye():
                self._drop(peer)
                peer.greeted = False

    def _greet(self, peer: Peer, hello: m.Hello) -> None:
        lowest, highest = PROTOCOL
        version = min(highest, hello.protocol[1])
        if version < max(lowest, hello.protocol[0]):
            raise Refusal(
                ErrorCode.PROTOCOL_VERSION,
                f"The client speaks protocol {hello.protocol[0]} to {hello.protocol[1]}, "
                f"the server {lowest} to {highest}.",
                "Install the plug-in and the server from the same version of DGFNet Inpaint.",
            )
        peer.greeted = True
        log.info("session %s: %s", peer.session.id[:8], hello.client)
        limits = {"message_bytes": PAYLOAD_BYTES, "pixels": protocol.PIXELS}
        model = self._model
        self._send(peer, m.Welcome(version, self._instance, dgfnet.__version__, model.device, model.weights, limits))

    def _state(self) -> m.State:
        return m.State(
            device=self._model.device,
            weights=self._model.weights,
            weights_path=self._model.weights_path,
            weights_sha256=self._model.weights_sha256,
            model=self._model.state,
            uptime=round(time.monotonic() - self._started, 3),
            jobs=len(self._queue) + (self._running is not None),
            log=self._log_path,
            version=dgfnet.__version__,
            memory=self._model.memory,
            problem=self._model.problem,
        )

    # --- jobs -----------------------------------------------------------------------------------------------------

    def _submit(self, peer: Peer, submit: m.Submit, arrays: dict[str, np.ndarray]) -> None:
        if not peer.greeted:
            raise Refusal(ErrorCode.BAD_MESSAGE, "This session has not said HELLO.", "Send HELLO, then the job again.")
        if submit.job in peer.seen:
            raise Refusal(
                ErrorCode.DUPLICATE_JOB, "This session has sent a job of this id before.", "Send it with a new id."
            )
        job = read_job(peer.session.id, submit, arrays)
        waiting = sum(waiting.nbytes for other in self._live.values() for waiting in other.jobs.values())
        if len(self._queue) >= self.limits.jobs or waiting + job.nbytes > self.limits.bytes:
            raise Refusal(ErrorCode.QUEUE_FULL, "Too many jobs are waiting.", "Try again when some are done.")
        peer.seen.add(job.id)
        peer.jobs[job.id] = job
        ahead = self._queue.push(peer.session.id, job) + (self._running is not None)
        self._send(peer, m.Accepted(job.id, ahead))
        if self._model.state == "loading":
            self._send(peer, m.Progress(job.id, "Loading the network", 0.0))
        self._next()

    def _next(self) -> None:
        if self._running is None and (job := self._queue.pop()) is not None:
            self._running = job
            self._worker.submit(job)

    def _cancel(self, peer: Peer, job_id: str) -> None:
        job = peer.jobs.get(job_id)
        if job is None:
            raise Refusal(ErrorCode.UNKNOWN_JOB, "There is no such job, or it has ended.", "Nothing needs to be done.")
        job.cancelled.set()
        if self._queue.remove(peer.session.id, job):
            self._end(job, m.Cancelled(job.id))

    def _take_events(self) -> None:
        for event in self._mailbox.take():
            try:
                self._on_event(event)
            except Exception as error:  # a fault of ours in one job must not end the service for all
                log.exception("an event of the worker failed")
                if not isinstance(event, ModelState):
                    event.job.cancelled.set()
                    self._end(event.job, _error(self._fault("job", error), event.job.id))
        self._next()

    def _fault(self, what: str, error: Exception) -> Refusal:
        sentence = f"The {what} failed inside the server ({type(error).__name__})."
        return Refusal(ErrorCode.INTERNAL, sentence, self._help)

    def _on_event(self, event: Event) -> None:
        if not isinstance(event, (ModelState, Progressed)):
            self._running = None  # whatever comes of telling it
        match event:
            case ModelState():
                self._model = event
            case Progressed(job, stage, fraction):
                if not job.cancelled.is_set() and job.owner in self._live:
                    self._send(self._live[job.owner], m.Progress(job.id, stage, fraction))
            case Finished(job) if not job.cancelled.is_set():
                arrays = {str(index): layer.pixels for index, layer in enumerate(event.layers)}
                described = [layer.fields() for layer in event.layers]
                self._end(job, m.Result(job.id, described, event.report), arrays)
            case Failed(job, reason) if not job.cancelled.is_set():
                self._end(job, _error(reason, job.id))
            case Finished(job) | Failed(job) | Stopped(job):
                self._end(job, m.Cancelled(job.id))

    def _end(self, job: Job, message: m.Message, arrays: dict[str, np.ndarray] | None = None) -> None:
        """Say a job's last word, where its client is still there."""
        peer = self._live.get(job.owner)
        if peer is not None and peer.jobs.get(job.id) is job:
            self._send(peer, message, arrays)
            peer.jobs.pop(job.id, None)

    # --- sessions -------------------------------------------------------------------------------------------------

    def _expire(self, now: float) -> None:
        absence = now - self._looked - self.limits.tick
        if absence > 0:  # we were away (a computer asleep, or too busy): nobody could be heard meanwhile
            for peer in self._live.values():
                peer.heard = min(peer.heard + absence, now)
        self._looked = now
        for peer in [peer for peer in self._live.values() if now - peer.heard > self.limits.silence]:
            jobs = list(peer.jobs)
            if jobs:
                log.warning("session %s silent for %g s: jobs cancelled", peer.session.id[:8], self.limits.silence)
            self._drop(peer)
            for job in jobs:  # for a client that comes back, from a suspended laptop say
                reason = (
                    f"The job was cancelled because nothing was heard from its client for {self.limits.silence:g} s."
                )
                self._send(peer, m.Error(ErrorCode.CLIENT_SILENT.value, reason, "Start it again.", job))
        if self._live or self._running is not None:
            self._busy = now
        elif self.limits.idle is not None and now - self._busy > self.limits.idle:
            log.info("idle for %g s", self.limits.idle)
            self.stop()

    def _drop(self, peer: Peer) -> None:
        """Cancel a session's jobs and take it off the list."""
        if self._live.get(peer.session.id) is peer:
            del self._live[peer.session.id]
            self._queue.drop(peer.session.id)
        for job in peer.jobs.values():
            job.cancelled.set()
        peer.jobs.clear()
        peer.seen.clear()

    # --- sending --------------------------------------------------------------------------------------------------

    def _refuse(self, peer: Peer, refusal: Refusal, job: str | None = None) -> None:
        log.warning("refused: %s: %s", refusal.code.value, refusal.message)
        self._send(peer, _error(refusal, job))

    def _send(self, peer: Peer, message: m.Message, arrays: dict[str, np.ndarray] | None = None) -> None:
        frames = peer.session.encode(message.TYPE, message.fields(), arrays or {})
        try:
            self._router.send_multipart([peer.address, *frames], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:  # gone (EHOSTUNREACH), or so far behind that its pipe is full (EAGAIN)
            if not isinstance(message, m.Progress) or error.errno != zmq.EAGAIN:
                log.info("session %s is gone: %s", peer.session.id[:8], error)
                self._drop(peer)

    # --- the end --------------------------------------------------------------------------------------------------

    def close(self) -> bool:
        """Say goodbye, end the worker. False where it is stuck in a job and the process should be left hard."""
        for peer in list(self._live.values()):
            for job in list(peer.jobs.values()):
                job.cancelled.set()
                self._send(
                    peer,
                    m.Error(
                        ErrorCode.SHUTTING_DOWN.value, "The server is shutting down.", "Start the job again.", job.id
                    ),
                )
            self._send(peer, m.Bye())
        self._worker.stop()
        self._worker.join(self.limits.stop)
        self._router.close()
        self._mailbox.close_reader()
        if self._worker.is_alive():
            log.warning("the worker is still busy; leaving without it")
            return False
        self._context.term()
        return True


def _job_of(header: protocol.Header) -> str | None:
    job = header.fields.get("job")
    return job if protocol.is_id(job) else None


def _error(refusal: Refusal, job: str | None) -> m.Error:
    return m.Error(refusal.code.value, refusal.message, refusal.action, job)
