"""One server per user: state folder, lock, connection file, log, signals."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import platform
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dgfnet
from server.broker import Broker, Limits
from server.client.discovery import (
    CONNECTION_FILE,
    KEY_BYTES,
    LAUNCH_FILE,
    SERVER_LOG,
    ServerAddress,
    read_address,
    state_folder,
)
from server.client.errors import InpaintError
from server.client.wire import PROTOCOL
from server.jobs import Engine
from server.locking import open_lock, try_lock
from server.private import make_private_folder, remove_private, write_private
from server.protocol import new_id

log = logging.getLogger("server")

ENDING_SECONDS = 15.0
"""How long a starting server waits for one that holds the lock but has no connection file: it is about to end."""
STARTING_SECONDS = 1.0
"""How long it waits where there is a file, usable or not: a dead server's would be replaced in that time."""
LOG_BYTES, LOG_FILES = 1 << 20, 2
SOURCE_ROOT = Path(__file__).resolve().parent.parent


class AlreadyRunning(Exception):
    """Another server of this user runs; `address` is its socket's, None where no file that can be used tells it."""

    def __init__(self, address: str | None) -> None:
        where = f" at {address}" if address else ""
        super().__init__(f"A server already runs{where}; `dgfnet stop` ends it.")
        self.address = address


def serve(load_engine: Callable[[], Engine], folder: Path | None = None, limits: Limits | None = None) -> bool:
    """Run a server in this thread until it is told to end.

    Returns:
        True where everything has ended, False where the worker is stuck in a job and the process should be left hard.

    Raises:
        AlreadyRunning: this user has a server.
        OSError: the state folder or the log cannot be written, or the folder's disk has no locks.
    """
    folder = folder or state_folder()
    make_private_folder(folder)
    with _only_one(folder), _logging_to(folder / SERVER_LOG) as log_path:
        key, instance = secrets.token_bytes(KEY_BYTES), new_id()
        broker = Broker(load_engine, key, instance, str(log_path), limits)
        address = broker.bind()
        with _stop_on_signals(broker), _published(folder, address, key, instance, log_path):
            log.info("DGFNet Inpaint %s serves at %s, pid %d", dgfnet.__version__, address, os.getpid())
            try:
                broker.run()
            except Exception:
                log.exception("the server ends because of a fault of its own")
        ended = broker.close()
        log.info("ended")
        return ended


def say_how_to_start(folder: Path) -> None:
    """Write `launch.json` where `install.py` has not: this Python and these sources start the server."""
    if not (folder / LAUNCH_FILE).exists():
        command = [sys.executable, "-m", "server", "--home", str(folder.resolve())]
        write_private(folder / LAUNCH_FILE, {"command": command, "cwd": str(SOURCE_ROOT)})


def published_address(folder: Path) -> ServerAddress | None:
    """What the connection file says; None where there is none that can be used."""
    with contextlib.suppress(InpaintError):
        return read_address(folder)
    return None


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the lock file. The system gives it back however the process ends, so a dead server leaves nothing held."""
    with open_lock(folder) as file:
        began = time.monotonic()
        while not try_lock(file):
            patience = STARTING_SECONDS if (folder / CONNECTION_FILE).exists() else ENDING_SECONDS
            if time.monotonic() - began > patience:
                published = published_address(folder)
                raise AlreadyRunning(f"tcp://{published.host}:{published.port}" if published else None)
            time.sleep(0.05)
        # A dead server's file goes: while the lock is held, the file is the holder's.
        remove_private(folder / CONNECTION_FILE)
        yield


@contextlib.contextmanager
def _published(folder: Path, address: str, key: bytes, instance: str, log_path: Path) -> Iterator[None]:
    """The connection file, there exactly while the server takes jobs."""
    path = folder / CONNECTION_FILE
    content = {
        "address": address,
        "key": key.hex(),
        "pid": os.getpid(),
        "machine": platform.node(),
        "instance": instance,
        "protocol": list(PROTOCOL),
        "version": dgfnet.__version__,
        "log": str(log_path),
    }
    write_private(path, content)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            remove_private(path)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[Path]:
    """Log to a file that rotates, and to a terminal where there is one."""
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    ]
    if sys.stderr is not None and sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield path
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


@contextlib.contextmanager
def _stop_on_signals(broker: Broker) -> Iterator[None]:
    """End cleanly on Ctrl-C, SIGTERM and (Windows) Ctrl-Break; only the main thread may set handlers."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    previous: dict[int, Any] = {}
    with contextlib.suppress(ValueError):
        for name in names:
            number = getattr(signal, name)
            previous[number] = signal.signal(number, lambda *_: broker.stop())
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
