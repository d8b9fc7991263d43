"""install.py's commands without their long steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.client.discovery import read_launch_command
from server.installation import building, commands, environment, machine
from server.installation.machine import Host

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


def test_an_update_ends_the_server_that_runs_the_old_code(tmp_path, monkeypatch) -> None:
    host, done = Host("linux", tmp_path, {}), []
    monkeypatch.setattr(machine, "this_host", lambda: host)
    monkeypatch.setattr(environment, "dgfnet", lambda *words: done.append(" ".join(words)))
    monkeypatch.setattr(building, "prepare", lambda *_, **__: done.append("prepare"))
    monkeypatch.setattr(environment, "in_venv", lambda *_: 0)
    for name in ("is_ours", "runs"):
        monkeypatch.setattr(environment, name, lambda _: True)
    commands.install(cpu_only=True, editors=False)
    (machine.state_folder(host) / "connection.json").touch()
    commands.install(cpu_only=True, editors=False)
    assert done == ["prepare", "stop", "prepare"]


def test_uninstall_names_what_it_removes_and_keeps_the_rest(checkout, run_install) -> None:
    for name in (".venv", "state", "dgfnet_inpaint.egg-info", "results"):
        (checkout / name).mkdir()
    ours = [".venv/dgfnet-install.json", "state/launch.json", "state/server.log"]
    kept = ["results/picture.png", "state/notes.txt"]
    for name in ours + kept:
        (checkout / name).touch()
    done = run_install("uninstall")
    assert done.returncode == 0, done.stderr
    removed = [line.removeprefix("removed ") for line in done.stdout.splitlines() if line.startswith("removed ")]
    names = [".venv", "state/launch.json", "state/server.log", "dgfnet_inpaint.egg-info"]
    assert removed == [str(checkout / name) for name in names]
    assert not any(Path(name).exists() for name in removed)
    assert all((checkout / name).exists() for name in kept)
