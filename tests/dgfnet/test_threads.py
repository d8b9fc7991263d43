"""Work in a thread of its own: to its caller as if it were done in place."""

import _thread
import signal
import threading
import time
import weakref

import numpy as np
import pytest
import torch

from dgfnet.errors import Cancelled
from dgfnet.threads import in_own_thread


def ignore(stage, fraction):
    pass


def test_each_work_has_a_thread_that_ends_with_it():
    threads = [in_own_thread(lambda progress: threading.current_thread(), ignore) for _ in range(2)]
    assert len({threading.current_thread(), *threads}) == 3
    assert not any(thread.is_alive() for thread in threads)


def test_progress_reaches_the_caller_and_what_it_raises_comes_back():
    heard = []

    def work(progress):
        for fraction in (0.1, 0.5, 0.9):
            progress("Working", fraction)

    def stop(stage, fraction):
        heard.append((stage, fraction))
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        in_own_thread(work, stop)
    assert heard == [("Working", 0.1), ("Working", 0.5)]


@pytest.fixture
def heeds_ctrl_c():
    """Processes in the background are started without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_the_work(heeds_ctrl_c):
    ended = threading.Event()

    def work(progress):
        _thread.interrupt_main()
        try:
            for _ in range(1000):
                progress("Working", 0.5)
                time.sleep(0.01)
        except Cancelled:
            ended.set()
            raise

    with pytest.raises(KeyboardInterrupt):
        in_own_thread(work, ignore)
    assert ended.wait(10)


def test_a_fault_does_not_keep_its_pictures():
    held = []

    def work(progress):
        picture = np.zeros(3)
        held.append(weakref.ref(picture))
        raise Cancelled

    with pytest.raises(Cancelled) as caught:
        in_own_thread(work, ignore)
    assert held[0]() is not None
    del caught
    assert held[0]() is None


def test_the_number_of_threads_that_pytorch_uses_holds():
    before = torch.get_num_threads()
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            assert in_own_thread(lambda progress: torch.get_num_threads(), ignore) == number
    finally:
        torch.set_num_threads(before)
