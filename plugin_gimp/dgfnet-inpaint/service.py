"""The way to the server: connect, start it where it is missing, run a job, say what happens."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from client import events, transport
from client.discovery import SERVER_LOG, read_launch_command, state_folder
from client.errors import UNANSWERED, InpaintError
from client.launch import does_not_answer
from client.session import Request

Say = Callable[[str, "float | None"], object]
"""Shows a stage and its fraction, 0 to 1; None: nobody knows how far it is."""

NOBODY = ("no_server", "connection_lost", "not_a_server")
"""Codes by which no server of this user runs, whatever the connection file says."""
REPLACED = ("no_server", "bad_state", *UNANSWERED)
"""Codes of what a new server replaces, a damaged connection file too; where one runs and hangs, the new one says so."""
STARTING = "Starting the DGFNet server (it stays ready for the next fills)"
RESTARTING = "Restarting the DGFNet server"
LOADING = "The server loads the network"
PULSE_SECONDS = 0.5


def run(request: Request, who: str, say: Say, weights: str = "", device: str = "") -> events.Result:
    """Have the server do a job; it is started where none runs.

    `weights` and `device` are the artist's wish, empty for whatever the server runs with. Raises `InpaintError`.
    """
    pulse = _Pulse(say)
    with connect(who, say, weights, device) as session:
        if not session.welcome.device:
            pulse.tell(LOADING, None)
        return session.run(request, pulse.tell, pulse.beat)


def connect(who: str, say: Say, weights: str = "", device: str = "") -> transport.Client:
    """A welcomed client of a server with the wanted weights on the wanted device. Raises `InpaintError`.

    A server with others is restarted, and keeps what is not wanted otherwise; so is one whose network failed to load.
    A leading `~` is this user's home.
    """
    weights = os.path.expanduser(weights)
    pulse, wish = _Pulse(say), (weights, device)
    try:
        session = transport.connect(who, start=False, on_poll=pulse.beat)
    except InpaintError as error:
        if error.code not in REPLACED:
            raise
        pulse.tell(STARTING, None)
    else:
        if session.welcome.device and not any(wish):
            return session
        state = _settled(session, pulse) if any(wish) else _state(session, pulse)
        if state.get("model") != "failed":
            if _suits(state, *wish):
                return session
            wish = weights or str(state.get("weights_path") or ""), device or _device_of(state)
        _stop_idle(session, state)
        pulse.tell(RESTARTING, None)
    return _started(who, pulse, *wish)


class Watcher:
    """Asks the server how it is, over one connection: every new one would be a line in its log.

    `on_poll` is called several times a second while it waits; True ends that by `Cancelled`.
    """

    def __init__(self, who: str, on_poll: transport.OnPoll = transport.keep_going) -> None:
        self._who, self._on_poll = who, on_poll
        self._session: transport.Client | None = None

    def state(self) -> dict[str, Any] | None:
        """What the server says of itself (docs/protocol.md, STATE); None where none runs. Raises `InpaintError`."""
        try:
            self._session = self._session or _running(self._who, self._on_poll)
            if self._session:
                return dict(self._session.status(self._on_poll).fields)
        except InpaintError as error:
            self.close()
            if error.code not in NOBODY:
                raise
        read_launch_command(state_folder())  # says so where nothing is installed
        return None

    def close(self) -> None:
        """End the connection; the next question makes a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None


def status(who: str) -> dict[str, Any] | None:
    """The server's state, asked once; see `Watcher.state`."""
    watcher = Watcher(who)
    try:
        return watcher.state()
    finally:
        watcher.close()


def end_of_log(path: str | None, size: int, lines: int) -> str:
    """The last `lines` of what the last `size` bytes of the server's log hold; empty where none can be read.

    `path` is where the server says that it is; without one, or where a sandbox hides it, the usual place is tried.
    """
    for place in (path, state_folder() / SERVER_LOG):
        try:
            with open(place or "", "rb") as file:
                file.seek(max(0, file.seek(0, 2) - size))
                return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            continue
    return ""


def stop(who: str, on_poll: transport.OnPoll = transport.keep_going) -> bool:
    """End the server; whether there was one. Raises `InpaintError`, for one that hangs with how to end that."""
    session = _running(who, on_poll)
    if session:
        session.shutdown(on_poll)
    return session is not None


def _running(who: str, on_poll: transport.OnPoll) -> transport.Client | None:
    """A client of the server that runs, None where none does. Raises `InpaintError`."""
    try:
        return transport.connect(who, start=False, on_poll=on_poll)
    except InpaintError as error:
        if error.code in NOBODY:
            return None
        if error.code == "no_answer":
            raise does_not_answer() from None
        raise


def _state(session: transport.Client, pulse: _Pulse) -> dict[str, Any]:
    return dict(session.status(pulse.beat).fields)


def _settled(session: transport.Client, pulse: _Pulse) -> dict[str, Any]:
    """The server's state once its network is loaded, or could not be."""
    while (state := _state(session, pulse)).get("model") == "loading":
        pulse.tell(LOADING, None)
        time.sleep(PULSE_SECONDS)
    return state


def _suits(state: dict[str, Any], weights: str, device: str) -> bool:
    """Whether a server runs what is wanted; `cuda` is any GPU, `cuda:1` that one."""
    runs_on = _device_of(state)
    return device in ("", "auto", runs_on, runs_on.split(":")[0]) and _has_weights(state, weights)


def _has_weights(state: dict[str, Any], weights: str) -> bool:
    """Whether a server has the wanted weights: a name is that of a file, but every training run's has the same one.

    So a path is compared by what is in the file, if that can be read here. Older servers tell neither.
    """
    loaded, wanted = PurePath(state.get("weights_path") or ""), Path(weights)
    if len(wanted.parts) < 2:
        return weights in ("", loaded.stem, loaded.name)
    try:
        return hashlib.sha256(wanted.read_bytes()).hexdigest() == state.get("weights_sha256")
    except OSError:
        return loaded == wanted


def _device_of(state: dict[str, Any]) -> str:
    """A server's device as it is asked for: without the card's name."""
    return str(state.get("device") or "").split(" ")[0]


def _started(who: str, pulse: _Pulse, weights: str, device: str) -> transport.Client:
    """A new server with the weights on the device. One that cannot load them is stopped: others would meet it.

    Raises `InpaintError`.
    """
    wanted = (("--weights", weights), ("--device", device))
    arguments = [word for name, value in wanted if value for word in (name, value)]
    session = transport.connect(who, on_poll=pulse.beat, arguments=arguments)
    state = _settled(session, pulse) if arguments else {}
    if state.get("model") != "failed":
        return session
    session.shutdown()
    raise InpaintError("no_weights", str(state.get("problem")), "Correct Weights or Device under Advanced.")


def _stop_idle(session: transport.Client, state: dict[str, Any]) -> None:
    if state.get("jobs"):
        session.close()
        raise InpaintError(
            "busy",
            f"The server is working with {state.get('weights')} on {state.get('device')}.",
            "Wait until it is idle, or leave weights and device empty to use those.",
        )
    session.shutdown()


class _Pulse:
    """Shows what the server says, and that time passes while it says nothing."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._stage = "Waiting"
        self._unknown = True
        self._told = 0.0

    def tell(self, stage: str, fraction: float | None) -> None:
        """A stage has begun or got further."""
        self._stage, self._unknown, self._told = stage, fraction is None, time.monotonic()
        self._say(stage, fraction)

    def beat(self) -> bool:
        """Called several times a second; GIMP ends this process on Cancel, so the answer is never "stop"."""
        if self._unknown and time.monotonic() - self._told >= PULSE_SECONDS:
            self.tell(self._stage, None)
        return False


def describe(state: dict[str, Any] | None) -> list[str]:
    """A server's state as lines for people, "name: value"."""
    if state is None:
        return ["Server: not running"]
    model = str(state.get("model", ""))
    lines = [f"Server: running, version {state.get('version')}, for {_duration(float(state.get('uptime') or 0))}"]
    lines.append(f"Network: {state.get('problem') or state.get('weights') or model}")
    lines.append(f"Device: {state.get('device') or 'not known yet'}")
    lines.append(f"Jobs: {state.get('jobs', 0)}")
    for name, value in dict(state.get("memory") or {}).items():
        lines.append(f"Memory, {name.replace('_', ' ')}: {int(value) / 2**20:.0f} MiB")
    lines.append(f"Log: {state.get('log')}")
    return lines


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
