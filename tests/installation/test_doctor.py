"""What `install.py doctor` sees from outside the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from server.client.errors import INSTALL
from server.installation import commands, doctor, machine
from server.installation.checks import REINSTALL
from server.installation.machine import Host
from server.private import write_private


def test_doctor_without_an_installation_says_the_fix(checkout, run_install) -> None:
    done = run_install("doctor")
    assert done.returncode == 1
    assert "problem  .venv" in done.stdout
    assert f"-> Run `{INSTALL}`." in done.stdout


@pytest.mark.parametrize(
    ("smi", "stamp", "is_idle"),
    [
        ("580.82.07, 9.0\n", {"build": "cpu", "cpu_only": False}, True),
        ("580.82.07, 9.0\n", {"build": "cpu", "cpu_only": True}, False),
        ("580.82.07, 9.0\n", {"build": "cu126"}, False),
        ("470.10, 8.6\n", {"build": "cpu"}, False),
        ("", {"build": "cpu"}, False),
        ("580.82.07, 9.0\n", None, False),
    ],
)
def test_a_gpu_that_the_installation_leaves_idle_is_a_problem(monkeypatch, tmp_path, smi, stamp, is_idle) -> None:
    monkeypatch.setattr(machine, "find_gpus", lambda: machine.parse_gpus(smi))
    check = doctor.gpu_check(Host("linux", tmp_path, {}), stamp)
    assert ("without CUDA" in check.detail) == bool(check.fix) == is_idle
    assert ("--cpu" in check.fix) == is_idle


def test_launch_json_is_read_as_an_editor_reads_it(tmp_path) -> None:
    host = Host("linux", tmp_path, {})
    assert doctor.launch_check(host).fix.startswith(f"Run `{INSTALL}`")
    path = commands.write_launch(host)
    assert doctor.launch_check(host).fix == ""
    write_private(path, {"command": ["/another/python", "-m", "server"], "cwd": str(doctor.ROOT)})
    assert doctor.launch_check(host).fix == REINSTALL


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_launch_json_that_editors_refuse_is_a_problem(tmp_path) -> None:
    host = Host("linux", tmp_path, {})
    commands.write_launch(host).chmod(0o666)
    check = doctor.launch_check(host)
    assert "touched by others" in check.detail
    assert check.fix


def test_the_environment_is_asked_without_the_users_own_packages(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/the/users/own")
    done = doctor.answer_of(Path(sys.executable), "-c", "import sys; print(sys.path)")
    assert done.returncode == 0
    assert "/the/users/own" not in done.stdout
