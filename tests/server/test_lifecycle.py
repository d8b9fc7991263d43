"""Connection file, lock, signals and start of real server processes."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import stat
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dgfnet.cli import _connect
from server import messages as m
from server.__main__ import main as server_main
from server.broker import Limits
from server.client.discovery import read_address
from server.client.errors import InpaintError
from server.client.requests import InpaintRequest
from server.client.transport import Client, connect
from server.client.wire import Array
from server.lifecycle import AlreadyRunning, published_address, serve
from server.locking import has_ended
from server.private import write_private
from server.stopping import stop

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def serving(tmp_path, engine, wait_until):
    """A server in a thread, as `serve` runs it; yields its folder."""
    ended = []
    thread = threading.Thread(target=lambda: ended.append(serve(lambda: engine, tmp_path, Limits(tick=0.02))))
    thread.start()
    wait_until((tmp_path / "connection.json").exists)
    yield tmp_path
    if (tmp_path / "connection.json").exists():
        connect("test", tmp_path, start=False).shutdown()
    thread.join(20)
    assert ended == [True]


@pytest.fixture
def processes():
    """Whatever process a test starts ends with it."""
    started = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(20)


def start_process(folder, *more):
    command = [
        sys.executable,
        "-m",
        "server",
        "--home",
        str(folder),
        "--device",
        "cpu",
        "--weights",
        "none-such",
        *more,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_the_connection_file_is_whole_and_private_and_goes(serving):
    path = serving / "connection.json"
    content = json.loads(path.read_text())
    assert set(content) == {"address", "key", "pid", "instance", "protocol", "version", "log", "machine"}
    assert content["pid"] == os.getpid()
    assert content["log"] == str(serving / "server.log")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with connect("test", serving, start=False) as client:
        assert client.welcome.instance == content["instance"]
        client.shutdown()
    deadline = time.monotonic() + 10
    while path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_server_in_the_same_folder_says_where_the_first_is(serving):
    with pytest.raises(AlreadyRunning, match=r"tcp://127\.0\.0\.1:\d+") as refused:
        serve(lambda: None, serving)
    assert refused.value.address == json.loads((serving / "connection.json").read_text())["address"]
    process = start_process(serving)
    assert process.communicate(timeout=30)[0] == f"{refused.value}\n"
    assert process.returncode == 0


def test_each_start_has_a_new_key(tmp_path, engine, wait_until):
    keys = set()
    for _ in range(2):
        thread = threading.Thread(target=serve, args=(lambda: engine, tmp_path, Limits(tick=0.02)))
        thread.start()
        wait_until((tmp_path / "connection.json").exists)
        keys.add(read_address(tmp_path).key)
        connect("test", tmp_path, start=False).shutdown()
        thread.join(20)
    assert len(keys) == 2


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM that a process can catch")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path, processes, wait_until, number):
    process = start_process(tmp_path)
    processes.append(process)
    wait_until((tmp_path / "connection.json").exists)
    process.send_signal(number)
    assert process.wait(20) == 0
    assert not (tmp_path / "connection.json").exists()
    assert "ended" in (tmp_path / "server.log").read_text()


def test_a_killed_server_is_replaced_on_demand(tmp_path, processes, wait_until, monkeypatch):
    monkeypatch.setenv("DGFNET_HOME", str(tmp_path))
    process = start_process(tmp_path)
    processes.append(process)
    wait_until((tmp_path / "connection.json").exists)
    dead = read_address(tmp_path)
    process.kill()
    process.wait(20)
    assert (tmp_path / "connection.json").exists()
    with _connect() as client:  # the command line's own, which needs no launch.json
        assert client.address.instance != dead.instance
        client.shutdown()


def test_a_killed_server_is_none(tmp_path, processes, wait_until, monkeypatch):
    monkeypatch.setenv("DGFNET_HOME", str(tmp_path))
    process = start_process(tmp_path)
    processes.append(process)
    wait_until((tmp_path / "connection.json").exists)
    process.kill()
    process.wait(20)
    with pytest.raises(InpaintError, match="No server is running") as gone:
        _connect(start=False)
    assert gone.value.code == "no_server"


def test_a_server_that_another_client_starts_meanwhile_is_not_taken_for_the_dead_one(
    request, tmp_path, monkeypatch, wait_until
):
    monkeypatch.setattr("server.client.launch.GRACE_SECONDS", 0.1)
    content = {"address": "tcp://127.0.0.1:1", "key": "00" * 32, "instance": "ab" * 16}  # a killed server's
    write_private(tmp_path / "connection.json", content)
    write_private(tmp_path / "launch.json", {"command": [sys.executable, "-c", "pass"], "cwd": str(ROOT)})

    def wait_in_vain(address, *_):
        monkeypatch.setattr("server.client.transport.Client", Client)
        request.getfixturevalue("serving")  # the other client's
        wait_until(lambda: published_address(tmp_path) not in (None, address))
        raise InpaintError("no_answer", "No answer.", "")

    monkeypatch.setattr("server.client.transport.Client", wait_in_vain)
    with connect("test", tmp_path) as client:
        assert client.status().fields["model"]


def test_start_on_demand_and_missing_weights_in_plain_words(tmp_path, wait_until):
    write_private(
        tmp_path / "launch.json",
        {
            "command": [sys.executable, "-m", "server", "--home", str(tmp_path), "--weights", "none-such"],
            "cwd": str(ROOT),
        },
    )
    with connect("test", tmp_path) as client:
        with pytest.raises(InpaintError) as refused:
            client.run(InpaintRequest(Array("", "u1", (8, 8), bytes(64)), Array("", "u1", (8, 8), bytes(range(64)))))
        assert refused.value.code == "no_weights"
        assert "none-such" in refused.value.message
        assert client.status().fields["log"] == str(tmp_path / "server.log")
        client.shutdown()
    wait_until(lambda: not (tmp_path / "connection.json").exists())


def test_idle_exit_of_a_real_process(tmp_path, processes, wait_until):
    process = start_process(tmp_path, "--idle-minutes", "0.005")
    processes.append(process)
    assert process.wait(30) == 0
    assert not (tmp_path / "connection.json").exists()


def test_stop_returns_when_the_process_has_ended_and_says_whether_there_was_one(tmp_path, processes, wait_until):
    assert not stop(tmp_path / "absent")
    assert not stop(tmp_path)
    assert not list(tmp_path.iterdir())
    process = start_process(tmp_path)
    processes.append(process)
    wait_until((tmp_path / "connection.json").exists)
    assert stop(tmp_path)
    assert has_ended(tmp_path)
    process.wait(20)
    assert not stop(tmp_path)


def test_the_file_is_gone_before_the_goodbye_and_the_server_before_shutdown_returns(
    tmp_path, engine, wait_until, zmq_client
):
    """So that the next client neither meets the dying server nor has to wait for its lock."""
    engine.go.clear()
    thread = threading.Thread(target=serve, args=(lambda: engine, tmp_path, Limits(tick=0.02)))
    thread.start()
    wait_until((tmp_path / "connection.json").exists)
    with zmq_client(read_address(tmp_path)) as busy:
        busy.hello()
        busy.send(m.Submit("ab" * 16, "inpaint"), {"image": np.zeros((8, 8), np.uint8), "mask": np.eye(8, dtype="u1")})
        assert engine.started.wait(10)
        engine.stubborn = True  # what a network does that is in the middle of a crop
        threading.Timer(0.5, engine.go.set).start()
        client = Client(read_address(tmp_path), "test")
        client.shutdown()
        assert engine.go.is_set()
        assert not (tmp_path / "connection.json").exists()
        heard = []
        while (received := busy.receive(1)) is not None:
            assert not (tmp_path / "connection.json").exists()
            heard.append(received[0].TYPE)
        assert heard[-2:] == ["ERROR", "BYE"]
    thread.join(20)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGSTOP")
def test_a_server_that_hangs_is_told_and_ended(tmp_path, processes, wait_until, monkeypatch):
    monkeypatch.setattr("server.stopping.FORCE_SECONDS", 0.3)
    monkeypatch.setattr("server.client.launch.GRACE_SECONDS", 0.1)
    monkeypatch.setattr("server.client.session.HANDSHAKE_SECONDS", 0.5)
    monkeypatch.setenv("DGFNET_HOME", str(tmp_path))
    process = start_process(tmp_path)
    processes.append(process)
    wait_until((tmp_path / "connection.json").exists)
    command = [sys.executable, "-m", "server", "--home", str(tmp_path)]
    write_private(tmp_path / "launch.json", {"command": command, "cwd": str(ROOT)})
    process.send_signal(signal.SIGSTOP)
    for start in (False, True):
        with pytest.raises(InpaintError, match="runs, but it does not answer") as silent:
            _connect(start)
        assert "dgfnet stop" in silent.value.action
    assert stop(tmp_path)
    assert process.wait(20) == -signal.SIGKILL
    assert not (tmp_path / "connection.json").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows locks in another way")
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"pid": 1, "machine": "elsewhere"}, "runs on another computer, elsewhere"),
        ({"machine": platform.node()}, "does not say which process it is"),
    ],
)
def test_a_process_that_is_not_known_for_sure_is_not_ended(tmp_path, monkeypatch, more, says):
    import fcntl

    monkeypatch.setattr("os.kill", lambda *_: pytest.fail("a signal was sent"))
    content = {"address": "tcp://127.0.0.1:1", "key": "00" * 32, "instance": "ab" * 16}
    write_private(tmp_path / "connection.json", content | more)
    with open(tmp_path / "server.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InpaintError, match=says):
            stop(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_connection_file_that_others_can_read_is_told_and_not_taken_for_a_server_that_hangs(
    serving, monkeypatch, wait_until
):
    monkeypatch.setattr("server.stopping.time", SimpleNamespace(monotonic=time.monotonic))  # it does not wait
    monkeypatch.setattr("server.client.launch.GRACE_SECONDS", 0.1)
    given_way = [sys.executable, "-c", "pass"]  # a second server
    write_private(serving / "launch.json", {"command": given_way, "cwd": str(ROOT)})
    path = serving / "connection.json"
    path.chmod(0o644)
    for ask in (stop, lambda folder: connect("test", folder)):
        with pytest.raises(InpaintError, match="touched by others") as told:
            ask(serving)
        assert f"chmod 600 {path}" in told.value.action
    monkeypatch.undo()
    path.chmod(0o600)
    assert stop(serving)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_second_server_gives_way_as_soon_to_one_whose_file_cannot_be_used(serving, monkeypatch):
    waits = iter(range(5))
    clock = SimpleNamespace(monotonic=count(0, 0.5).__next__, sleep=lambda _: next(waits))
    monkeypatch.setattr("server.lifecycle.time", clock)
    (serving / "connection.json").chmod(0o644)
    with pytest.raises(AlreadyRunning, match="dgfnet stop"):
        serve(lambda: None, serving)
    (serving / "connection.json").chmod(0o600)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_nobody_else_can_open_the_lock_file(serving):
    lock = serving / "server.lock"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    lock.chmod(0o644)  # as earlier versions made it
    assert not has_ended(serving)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="Windows locks in another way")
def test_a_disk_without_locks_is_not_taken_for_another_server(tmp_path, monkeypatch, capsys):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert server_main(["--home", str(tmp_path)]) == 1
    assert "No locks available. Set DGFNET_HOME to a folder on a local disk" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "{}"])
def test_a_damaged_connection_file_is_told_and_replaced(tmp_path, content):
    write_private(
        tmp_path / "launch.json",
        {"command": [sys.executable, "-m", "server", "--home", str(tmp_path)], "cwd": str(ROOT)},
    )
    path = tmp_path / "connection.json"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(InpaintError, match=r"connection\.json"):
        connect("test", tmp_path, start=False)
    connect("test", tmp_path).close()
    assert stop(tmp_path)
    path.touch(0o600)
    assert not stop(tmp_path)
    assert not path.exists()
