"""Work in a thread that ends with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from dgfnet.errors import Cancelled, Progress

Result = TypeVar("Result")
POLL_SECONDS = 0.1
"""Windows hands Ctrl-C to a waiting main thread only between two waits."""


def in_own_thread(work: Callable[[Progress], Result], progress: Progress) -> Result:
    """What `work(progress)` returns or raises, in a new thread.

    The caller waits, so what the two share needs no locks. Ctrl-C, which reaches the caller alone, ends the work where
    it calls `progress` next. Raises RuntimeError where the system has no memory for a thread.
    """
    abandoned = threading.Event()

    def report(stage: str, fraction: float) -> None:
        if abandoned.is_set():
            raise Cancelled
        progress(stage, fraction)

    outcome: Future[Result] | None = None
    with ThreadPoolExecutor(1) as thread:
        try:
            outcome = thread.submit(work, report)
            while not wait([outcome], POLL_SECONDS).done:
                pass
            return outcome.result()
        finally:
            abandoned.set()
            outcome = None  # a fault holds this frame, which must not hold the fault: its pictures would stay in memory
