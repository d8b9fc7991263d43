"""The way to the server, with the transport replaced: when it is started, restarted, left alone."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

SHIPPED = "/shipped/dgfnet-narrow.safetensors"
STATE = {
    "weights": "dgfnet-narrow",
    "weights_path": SHIPPED,
    "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
    "device": "cuda:0 (Some GPU)",
    "model": "ready",
    "jobs": 0,
}
LOADING = {**STATE, "weights": None, "weights_path": None, "weights_sha256": None, "device": None, "model": "loading"}
FAILED = {**LOADING, "model": "failed", "problem": "There are no weights called 'x'."}


class StandInClient:
    """A server's client: `states` are its answers, the last one again and again."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = list(states)
        self.welcome = SimpleNamespace(device=states[0]["device"])
        self.ended: list[str] = []

    def status(self, on_poll: object = None) -> SimpleNamespace:
        return SimpleNamespace(fields=self.states.pop(0) if len(self.states) > 1 else self.states[0])

    def shutdown(self, on_poll: object = None) -> None:
        self.ended.append("shutdown")

    def close(self) -> None:
        self.ended.append("close")

    def __enter__(self) -> StandInClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@pytest.fixture
def service(module):
    return module("service")


@pytest.fixture
def line(service, monkeypatch):
    """Replaces the transport; holds the running server's client, the errors to raise, and what was asked for."""
    line = SimpleNamespace(running=None, started=StandInClient(STATE), asked=[], told=[], error="no_server")

    def connect(
        client: str, folder: object = None, start: bool = True, on_poll: Any = None, arguments: Any = ()
    ) -> Any:
        if start:
            line.asked.append(list(arguments))
            return line.started
        if line.running is None:
            raise service.InpaintError(line.error, "No server.", "Start one.")
        return line.running

    monkeypatch.setattr(service.transport, "connect", connect)
    line.connect = lambda *wanted: service.connect("gimp 3", lambda stage, fraction: line.told.append(stage), *wanted)
    return line


def test_a_missing_server_is_started_and_that_is_said(line, service) -> None:
    assert line.connect() is line.started
    assert line.asked == [[]]
    assert line.told == [service.STARTING]


def test_an_error_of_a_running_server_is_passed_on(line, service) -> None:
    line.error = "protocol_version"
    with pytest.raises(service.InpaintError):
        line.connect()
    assert line.asked == []


@pytest.mark.parametrize(
    "wanted",
    [
        ("", ""),
        ("dgfnet-narrow", ""),
        (SHIPPED, ""),
        ("", "cuda"),
        ("", "auto"),
        ("", "cuda:0"),
    ],
)
def test_a_server_that_suits_is_used(line, wanted) -> None:
    line.running = StandInClient(LOADING, STATE)
    assert line.connect(*wanted) is line.running
    assert line.asked == line.running.ended == []


@pytest.mark.parametrize(
    ("wanted", "arguments"),
    [
        (("other", ""), ["--weights", "other", "--device", "cuda:0"]),
        (("", "cpu"), ["--weights", SHIPPED, "--device", "cpu"]),
        (("", "cuda:1"), ["--weights", SHIPPED, "--device", "cuda:1"]),
        (("other", "cpu"), ["--weights", "other", "--device", "cpu"]),
        (("/a/dgfnet-narrow.safetensors", ""), ["--weights", "/a/dgfnet-narrow.safetensors", "--device", "cuda:0"]),
    ],
)
def test_an_idle_server_with_something_else_is_restarted_and_keeps_the_rest(line, wanted, arguments) -> None:
    line.running = StandInClient(STATE)
    assert line.connect(*wanted) is line.started
    assert line.running.ended == ["shutdown"]
    assert line.asked == [arguments]


@pytest.mark.parametrize(("wanted", "arguments"), [((), []), (("", "cpu"), ["--device", "cpu"])])
def test_a_server_that_failed_to_load_is_restarted(line, wanted, arguments) -> None:
    line.running = StandInClient(FAILED)
    assert line.connect(*wanted) is line.started
    assert line.running.ended == ["shutdown"]
    assert line.asked == [arguments]


def test_a_server_that_is_loading_is_used_where_nothing_is_wanted(line) -> None:
    line.running = StandInClient(LOADING)
    assert line.connect() is line.running


@pytest.mark.parametrize("running", [None, StandInClient(STATE)])
def test_a_new_server_that_cannot_load_what_is_wanted_is_stopped(line, service, running) -> None:
    line.running, line.started = running, StandInClient(LOADING, FAILED)
    with pytest.raises(service.InpaintError, match=r"no weights called 'x'.*Correct Weights"):
        line.connect("x")
    assert set(line.started.ended) == {"shutdown"}


def test_weights_of_another_training_run_are_loaded(line, tmp_path) -> None:
    """Their file has the name of the running one: what is in it decides."""
    same, other = (tmp_path / run / "weights.safetensors" for run in ("same", "other"))
    for path in (same, other):
        path.parent.mkdir()
        path.write_bytes(b"weights" if path == same else b"others")
    running = StandInClient({**STATE, "weights_path": str(tmp_path / "moved" / "weights.safetensors")})
    line.running = running
    assert line.connect(str(same)) is running
    assert line.connect(str(other)) is line.started
    assert line.asked == [["--weights", str(other), "--device", "cuda:0"]]


def test_weights_in_the_home_folder_may_be_given_by_its_sign(line, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.safetensors").write_bytes(b"weights")
    line.running = StandInClient(STATE)
    assert line.connect("~/own.safetensors") is line.running
    (tmp_path / "own.safetensors").write_bytes(b"others")
    line.connect("~/own.safetensors")
    assert line.asked == [["--weights", str(tmp_path / "own.safetensors"), "--device", "cuda:0"]]


def test_an_older_server_which_does_not_tell_its_file_is_restarted(line) -> None:
    line.running = StandInClient({name: value for name, value in STATE.items() if not name.startswith("weights_")})
    assert line.connect(SHIPPED, "cpu") is line.started
    assert line.asked == [["--weights", SHIPPED, "--device", "cpu"]]


def test_a_damaged_connection_file_is_replaced_by_a_server_that_is_started(line) -> None:
    line.error = "bad_state"
    assert line.connect() is line.started


def test_a_damaged_launch_file_is_told(service, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DGFNET_HOME", str(tmp_path))
    (tmp_path / "connection.json").write_text("")
    (tmp_path / "launch.json").write_text("[]")
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    with pytest.raises(service.InpaintError, match=r"launch\.json"):
        service.connect("gimp 3", lambda stage, fraction: None)


def test_a_server_that_hangs_is_not_taken_for_none(line, service) -> None:
    line.error = "no_answer"
    for ask in (service.status, service.stop):
        with pytest.raises(service.InpaintError, match=r"does not answer.*`dgfnet stop`"):
            ask("gimp 3")


def test_a_server_at_work_is_not_restarted(line, service) -> None:
    line.running = StandInClient({**STATE, "jobs": 2})
    with pytest.raises(service.InpaintError, match="is working"):
        line.connect("other")
    assert line.running.ended == ["close"]


def test_stop_says_whether_there_was_one(line, service) -> None:
    assert service.stop("gimp 3") is False
    line.running = StandInClient(STATE)
    assert service.stop("gimp 3") is True
    assert line.running.ended == ["shutdown"]


def test_a_state_in_words(service) -> None:
    state = {**STATE, "version": "0.1.0", "uptime": 90.0, "log": "/log", "memory": {"process_peak": 3 << 20}}
    lines = service.describe(state)
    assert "Device: cuda:0 (Some GPU)" in lines
    assert "Memory, process peak: 3 MiB" in lines
    assert service.describe(None) == ["Server: not running"]
    assert "Network: broken" in service.describe({**state, "weights": None, "problem": "broken"})


def test_a_watcher_keeps_its_connection_and_looks_again_after_a_loss(service, line, monkeypatch) -> None:
    monkeypatch.setattr(service, "read_launch_command", lambda folder: None)
    watcher = service.Watcher("gimp 3")
    assert watcher.state() is None
    line.running = client = StandInClient(STATE)
    assert [watcher.state(), watcher.state()] == [STATE, STATE]
    assert client.ended == []

    def lose(on_poll: object = None) -> None:
        raise service.InpaintError("connection_lost", "It is gone.", "Start it.")

    client.status = lose
    assert watcher.state() is None
    assert client.ended == ["close"]
    line.running = StandInClient(STATE)
    assert watcher.state() == STATE
    watcher.close()
    assert line.running.ended == ["close"]


def test_whoever_watches_is_called_back_while_it_waits(service, monkeypatch) -> None:
    client, heard = StandInClient(STATE), []
    monkeypatch.setattr(client, "status", lambda on_poll: heard.append(on_poll) or SimpleNamespace(fields=STATE))
    monkeypatch.setattr(client, "shutdown", heard.append)
    monkeypatch.setattr(service.transport, "connect", lambda who, start, on_poll: heard.append(on_poll) or client)

    def on_poll() -> bool:
        return False

    assert service.Watcher("gimp 3", on_poll).state() == STATE
    assert service.stop("gimp 3", on_poll)
    assert heard == [on_poll] * 4


def test_the_end_of_a_log(module, tmp_path, monkeypatch) -> None:
    service = module("service")
    monkeypatch.setattr(service, "state_folder", lambda: tmp_path)
    assert service.end_of_log(None, 4096, 3) == ""
    log = tmp_path / "server.log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    for place in (str(log), None, str(tmp_path / "hidden by a sandbox")):
        assert service.end_of_log(place, 4096, 3) == "line 997\nline 998\nline 999"
