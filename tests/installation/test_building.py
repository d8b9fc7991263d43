"""`.venv` from nothing, anew, and not at all."""

from __future__ import annotations

import contextlib
import shutil
import types

import pytest

from server.installation import building, environment, machine, packages
from server.installation.environment import BUILDING, STAMP
from server.installation.machine import Host
from server.installation.problems import Problem
from server.installation.progress import Progress


def test_a_python_newer_than_the_pinned_pytorch_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(building, "NEWEST", (3, 9))
    with pytest.raises(Problem, match=r"not built for Python .* Use Python 3\.9 or older"):
        building.prepare(cpu_only=True, test=False)


def test_cpu_is_remembered_until_it_is_taken_back(monkeypatch, tmp_path) -> None:
    asked = []
    venv = tmp_path / ".venv"
    monkeypatch.setattr(machine, "this_host", lambda: Host("linux", tmp_path, {}))
    monkeypatch.setattr(building, "VENV", venv)
    monkeypatch.setattr(machine, "find_gpus", lambda: machine.parse_gpus("580.82.07, 9.0\n"))
    monkeypatch.setattr(environment, "runs", lambda _: True)
    monkeypatch.setattr(building, "make_venv", lambda venv, _: venv.mkdir(exist_ok=True))
    monkeypatch.setattr(building, "require_space", lambda *_: None)
    monkeypatch.setattr(packages, "install_packages", lambda venv, build, *_: asked.append(build))
    for cpu_only in (True, None, None, False, None):
        building.prepare(cpu_only, test=False)
    assert asked == ["cpu", "cu130"]
    monkeypatch.setattr(machine, "find_gpus", list)
    (venv / STAMP).unlink()
    for cpu_only in (False, True):  # the same build: nothing to install, but to remember
        building.prepare(cpu_only, test=False)
    monkeypatch.setattr(machine, "find_gpus", lambda: machine.parse_gpus("580.82.07, 9.0\n"))
    building.prepare(None, test=False)
    assert asked == ["cpu", "cu130", "cpu"]


def test_a_full_disk_is_refused_before_anything_is_made(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=5e8))
    with Progress() as progress, pytest.raises(Problem, match=r"0\.5 GB free"):
        building.set_up(tmp_path / ".venv", environment.wanted_stamp("cpu", test=False), progress)
    assert list(tmp_path.iterdir()) == []


def test_who_has_no_room_for_cuda_is_told_of_the_cpu(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=5e9))
    with pytest.raises(Problem, match=r"needs about 12 GB\. .* install\.py --cpu`, which needs 2 GB"):
        building.require_space(tmp_path, "cu130")
    building.require_space(tmp_path, "cpu")


def test_a_half_made_venv_is_replaced_and_a_strangers_is_not(tmp_path) -> None:
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    assert not environment.is_ours(venv)
    with Progress() as progress, pytest.raises(Problem, match=r"was not made by install\.py"):
        building.make_venv(venv, progress)
    (venv / BUILDING).touch()
    (venv / "bin/half-written").touch()
    with Progress() as progress:
        building.make_venv(venv, progress)
    assert environment.runs(environment.python_of(venv))
    assert not (venv / "bin/half-written").exists()


@pytest.mark.parametrize("failure", [None, RuntimeError, KeyboardInterrupt])
def test_a_rebuild_that_fails_leaves_the_working_venv(working, monkeypatch, failure) -> None:
    def install_packages(*_: object) -> None:
        assert not (working / "lib/python").exists()
        if failure:
            raise failure

    monkeypatch.setattr(packages, "install_packages", install_packages)
    (working / "lib/python").touch()
    wanted = environment.wanted_stamp("cpu", test=False)
    with Progress() as progress, pytest.raises(failure) if failure else contextlib.nullcontext():
        assert building.set_up(working, wanted, progress) == "rebuild"
    assert (working / "lib/python").exists() == (failure is not None)
    assert environment.read_stamp(working) == (environment.wanted_stamp("cu130", test=True) if failure else wanted)
    assert [path.name for path in working.parent.iterdir()] == [".venv"]
