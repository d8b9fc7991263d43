"""install.py's commands without their long steps."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.client.discovery import read_launch_command
from server.client.errors import INSTALL
from server.installation import building, commands, environment, machine
from server.installation.machine import Host
from server.installation.problems import Problem

ROOT = Path(__file__).resolve().parents[2]
DEAD_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "0",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


def test_no_network_leaves_no_venv_and_exits_1(checkout, run_install) -> None:
    done = run_install("--cpu", **DEAD_INDEX)
    assert done.returncode == 1
    assert "could not be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGTERM")
def test_an_interrupted_build_leaves_no_venv(checkout) -> None:
    # A pip that never ends: install.py is interrupted while it waits for it.
    slow = "import pathlib, time; pathlib.Path('waiting').touch(); time.sleep(60)"
    starter = checkout / "starter.py"
    starter.write_text(
        "import sys\nfrom server.installation import commands, packages\n"
        f"packages.pip_install = lambda *_: exec({slow!r})\nsys.exit(commands.main(['--cpu']))\n"
    )
    child = subprocess.Popen(
        [sys.executable, str(starter)], cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        for _ in range(600):
            if (checkout / "waiting").exists() or child.poll() is not None:
                break
            time.sleep(0.05)
        assert (checkout / ".venv/dgfnet-building").exists()
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 130
    assert errors.strip() == "Interrupted. To go on, run install.py again."
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("install", "run install.py again"),
        *((name, f"run `{INSTALL} {name}` again") for name in ("doctor", "uninstall")),
    ],
)
@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError(errno.EROFS, "Read-only file system")])
def test_who_is_stopped_is_told_to_repeat_that_command(monkeypatch, capsys, command, again, end) -> None:
    def stop(*_: object, **__: object) -> None:
        raise end

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(commands, command, stop)
    assert commands.main([command]) == (130 if end is KeyboardInterrupt else 1)
    assert capsys.readouterr().err.endswith(f"{again}.\n")


@pytest.mark.parametrize("arguments", [["uninstall", "--no-editors"], ["doctor", "--cpu"], ["doctor", "--test"]])
def test_an_option_of_another_command_is_refused_before_anything_is_done(monkeypatch, capsys, arguments) -> None:
    monkeypatch.setattr(commands, arguments[0], lambda: pytest.fail("it was done"))
    monkeypatch.setattr(commands, "run_tests", lambda _: pytest.fail("it was done"))
    with pytest.raises(SystemExit) as ended:
        commands.main(arguments)
    assert ended.value.code == 2
    assert f"{arguments[0]} takes no options" in capsys.readouterr().err


def test_launch_json_starts_this_checkout(tmp_path) -> None:
    path = commands.write_launch(Host("linux", tmp_path, {}))
    launch = json.loads(path.read_text())
    assert launch == {"command": [str(environment.python_of(ROOT / ".venv")), "-m", "server"], "cwd": str(ROOT)}
    assert sorted(p.name for p in path.parent.iterdir()) == ["launch.json"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_clients_take_launch_json_whatever_the_umask(tmp_path) -> None:
    before = os.umask(0o002)
    try:
        path = commands.write_launch(Host("linux", tmp_path, {}))
    finally:
        os.umask(before)
    assert read_launch_command(path.parent).cwd == str(ROOT)
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def steps(tmp_path, monkeypatch) -> list[str]:
    """The steps of `commands.install` in their order, without their work, on a machine that has no `.venv` yet."""
    host, done = Host("linux", tmp_path, {}), []

    def prepare(*_: object, **__: object) -> None:
        done.append("prepare")
        monkeypatch.setattr(environment, "read_stamp", lambda _: {"build": "cpu"})

    monkeypatch.setattr(machine, "this_host", lambda: host)
    monkeypatch.setattr(environment, "runs", lambda _: True)
    monkeypatch.setattr(environment, "read_stamp", lambda _: None)
    monkeypatch.setattr(building, "prepare", prepare)
    monkeypatch.setattr(environment, "in_venv", lambda *words: done.append(" ".join(words)))
    return done


def test_nothing_is_ended_where_no_server_runs(steps) -> None:
    commands.install(cpu_only=True, editors=False)
    assert steps == ["prepare", "dgfnet.demo"]


@pytest.mark.parametrize("is_update", [True, False])
def test_a_server_of_any_folder_is_ended_as_soon_as_it_can_be(steps, serve, monkeypatch, is_update) -> None:
    end = serve(machine.state_folder(machine.this_host()))

    def in_venv(*words: str) -> int:
        steps.append(" ".join(words))
        if words == ("dgfnet.cli", "stop"):
            end()
        return 0

    monkeypatch.setattr(environment, "in_venv", in_venv)
    if is_update:
        monkeypatch.setattr(environment, "read_stamp", lambda _: {"build": "cpu"})
    commands.install(cpu_only=True, editors=False)
    before = ["dgfnet.cli stop", "prepare"] if is_update else ["prepare", "dgfnet.cli stop"]
    assert steps == [*before, "dgfnet.demo"]


def test_a_server_that_cannot_be_ended_is_told_and_proves_nothing(steps, serve) -> None:
    serve(machine.state_folder(machine.this_host()))
    with pytest.raises(
        Problem, match=r"still runs and could not be ended\. End it .*connection\.json.* run install\.py"
    ):
        commands.install(cpu_only=True, editors=False)
    assert steps == ["prepare", "dgfnet.cli stop"]


def test_an_editor_that_refuses_its_plugin_does_not_stop_the_proof(steps, monkeypatch) -> None:
    refusal = Problem("The plug-in was not installed.", "Correct it.")
    monkeypatch.setattr(commands, "install_plugins", lambda _: [refusal, refusal])
    with pytest.raises(Problem) as told:
        commands.install(cpu_only=True, editors=True)
    assert str(told.value) == "The plug-in was not installed. The plug-in was not installed. Correct it."
    assert steps == ["prepare", "dgfnet.demo"]


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for Python is a shell script")
@pytest.mark.parametrize(("command", "asked"), [("doctor", "doctor"), ("uninstall", "stop")])
def test_a_moved_folder_has_scripts_that_do_not_start(checkout, run_install, serve, command, asked) -> None:
    programs = checkout / ".venv/bin"
    programs.mkdir(parents=True)
    (checkout / ".venv/dgfnet-install.json").write_text('{"root": "/the/old/place"}')
    python = f'#!/bin/sh\necho "$@" >>"{checkout}/asked"\n'
    for name, content in (("python", python), ("dgfnet", "#!/the/old/place/.venv/bin/python\n")):
        (programs / name).write_text(content)
        (programs / name).chmod(0o755)
    serve(checkout / "state")
    done = run_install(command)
    assert "could not be written" not in done.stderr
    assert f"-m dgfnet.cli {asked}" in (checkout / "asked").read_text().splitlines()


def test_uninstall_leaves_the_files_of_a_server_that_it_cannot_end(checkout, run_install, serve) -> None:
    end = serve(checkout / "state")
    (checkout / "state/launch.json").touch()
    files = [checkout / "state" / name for name in ("connection.json", "server.lock")]
    done = run_install("uninstall")
    assert done.returncode == 1
    assert "A server still runs and could not be ended." in done.stderr
    assert not (checkout / "state/launch.json").exists()
    assert all(path.exists() for path in files)
    end()
    assert run_install("uninstall").returncode == 0
    assert not any(path.exists() for path in files)


def test_uninstall_names_what_it_removes_and_keeps_the_rest(checkout, run_install) -> None:
    for name in (".venv", "state", "dgfnet_inpaint.egg-info", "results"):
        (checkout / name).mkdir()
    files = ["connection.json.4711", "install.log", "launch.json", "launch.log", "server.lock"]
    files += ["server.log", "server.log.1"]
    users = ["notes.txt", "client.logo.png", "training.log", "connection.json.bak", "run.logs/1.txt", "launch.log.2/x"]
    ours = [".venv/dgfnet-install.json", *(f"state/{name}" for name in files)]
    kept = ["results/picture.png", *(f"state/{name}" for name in users)]
    for name in ours + kept:
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).touch()
    done = run_install("uninstall")
    assert done.returncode == 0, done.stderr
    removed = [line.removeprefix("removed ") for line in done.stdout.splitlines() if line.startswith("removed ")]
    names = [".venv", *(f"state/{name}" for name in files), "dgfnet_inpaint.egg-info"]
    assert removed == [str(checkout / name) for name in names]
    assert not any(Path(name).exists() for name in removed)
    assert all((checkout / name).exists() for name in kept)
