"""The stamp of `.venv`, what to do about it, and rebuilds that were cut short."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from server.installation import environment
from server.installation.environment import BUILDING, STAMP


def test_a_matching_stamp_is_kept() -> None:
    wanted = environment.wanted_stamp("cpu", test=False)
    assert environment.plan(wanted, wanted) == "keep"
    assert environment.plan(environment.wanted_stamp("cpu", test=True), wanted) == "keep"


def test_missing_test_packages_or_a_new_lock_update() -> None:
    wanted = environment.wanted_stamp("cpu", test=False)
    assert environment.plan(wanted, environment.wanted_stamp("cpu", test=True)) == "update"
    assert environment.plan({**wanted, "lock": "older"}, wanted) == "update"


@pytest.mark.parametrize("key", ["python", "root", "build"])
def test_another_python_place_or_build_rebuilds(key) -> None:
    wanted = environment.wanted_stamp("cpu", test=False)
    assert environment.plan({**wanted, key: "other"}, wanted) == "rebuild"


def test_no_stamp_rebuilds() -> None:
    assert environment.plan(None, environment.wanted_stamp("cpu", test=False)) == "rebuild"


def test_the_marker_of_an_unfinished_change_outweighs_the_stamp(tmp_path) -> None:
    (tmp_path / STAMP).write_text(json.dumps({"python": "3.11"}))
    assert environment.read_stamp(tmp_path) == {"python": "3.11"}
    (tmp_path / BUILDING).touch()
    assert environment.read_stamp(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "7"])
def test_a_damaged_stamp_is_none(tmp_path, content) -> None:
    (tmp_path / STAMP).write_text(content)
    assert environment.read_stamp(tmp_path) is None


def test_a_rebuild_cut_short_by_a_power_cut_is_undone(working) -> None:
    stamp = environment.read_stamp(working)
    environment.clear_place(working)
    for half_made in ((), (BUILDING,)):
        working.mkdir()
        for name in half_made:
            (working / name).touch()
        environment.settle(working)
        assert environment.read_stamp(working) == stamp
        assert not environment.set_aside(working).exists()
        environment.clear_place(working)
    working.mkdir()
    environment.write_stamp(working, {**stamp, "build": "cpu"})  # finished, but the old one not yet deleted
    environment.settle(working)
    assert environment.read_stamp(working)["build"] == "cpu"
    assert not environment.set_aside(working).exists()


def test_a_deletion_cut_short_is_known_as_ours(tmp_path, monkeypatch) -> None:
    venv = tmp_path / ".venv"
    (venv / "lib").mkdir(parents=True)
    (venv / STAMP).touch()

    def cut_short(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", cut_short)
    with pytest.raises(KeyboardInterrupt):
        environment.remove_venv(venv)
    monkeypatch.undo()
    assert environment.is_ours(venv)
    assert environment.read_stamp(venv) is None
    environment.remove_venv(venv)
    assert not venv.exists()
