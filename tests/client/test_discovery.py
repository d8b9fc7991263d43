"""State folder, connection file, launch.json: what is read and what is refused."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from server.client.discovery import ServerAddress, read_address, read_launch_command, state_folder
from server.client.errors import InpaintError
from server.client.launch import last_lines, server_environment
from server.client.transport import connect

HOME = Path("/home/ann")
GOOD = {"address": "tcp://127.0.0.1:4711", "key": "0f" * 32, "instance": "ab" * 16, "log": "/x/server.log"}


def write(path: Path, content: object, mode: int = 0o600) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DGFNET_HOME": "/srv/d"}, "linux", Path("/srv/d")),
        ({}, "linux", HOME / ".local/state/dgfnet"),
        ({"DGFNET_HOME": ""}, "freebsd13", HOME / ".local/state/dgfnet"),
        ({"LOCALAPPDATA": "/c/local"}, "win32", Path("/c/local/DGFNet")),
        ({}, "win32", HOME / "AppData/Local/DGFNet"),
        ({}, "darwin", HOME / "Library/Application Support/DGFNet"),
    ],
)
def test_the_state_folder_of_each_system(environment: dict, platform: str, expected: Path) -> None:
    assert state_folder(environment, platform, HOME) == expected


def test_a_connection_file(tmp_path: Path) -> None:
    assert read_address(tmp_path) is None
    write(tmp_path / "connection.json", GOOD)
    expected = ServerAddress("127.0.0.1", 4711, bytes([15]) * 32, "ab" * 16, "/x/server.log")
    assert read_address(tmp_path) == expected
    write(tmp_path / "connection.json", {**GOOD, "address": "tcp://[::1]:4711"})
    assert read_address(tmp_path) == expected._replace(host="::1")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "\udcff",
        {},
        {**GOOD, "key": "0f"},
        {**GOOD, "key": 5},
        {**GOOD, "key": "zz" * 32},
        {**GOOD, "address": "ipc:///tmp/x"},
        {**GOOD, "address": "tcp://127.0.0.1:0"},
        {**GOOD, "address": "tcp://127.0.0.1:70000"},
        {**GOOD, "address": None},
    ],
)
def test_a_damaged_connection_file_is_one_sentence(tmp_path: Path, content: object) -> None:
    path = tmp_path / "connection.json"
    path.write_bytes(
        content.encode("utf-8", "surrogateescape") if isinstance(content, str) else json.dumps(content).encode()
    )
    path.chmod(0o600)
    with pytest.raises(InpaintError) as caught:
        read_address(tmp_path)
    assert caught.value.code == "bad_state"
    assert str(path) in caught.value.message


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "connection.json", GOOD, mode=0o644)
    with pytest.raises(InpaintError, match="touched by others"):
        read_address(tmp_path)
    write(tmp_path / "launch.json", {"command": ["x"]}, mode=0o666)
    with pytest.raises(InpaintError, match="touched by others"):
        read_launch_command(tmp_path)


@pytest.mark.parametrize("content", [{}, {"command": []}, {"command": "python"}, {"command": [1]}])
def test_a_damaged_launch_file(tmp_path: Path, content: object) -> None:
    write(tmp_path / "launch.json", content)
    with pytest.raises(InpaintError, match="which command"):
        read_launch_command(tmp_path)


def test_the_editors_python_settings_do_not_reach_the_server() -> None:
    editor = {"PATH": "p", "PYTHONHOME": "x", "PYTHONPATH": "x", "LD_LIBRARY_PATH": "cuda"}
    assert server_environment(editor) == {"PATH": "p", "LD_LIBRARY_PATH": "cuda"}
    assert server_environment({**editor, "APPDIR": "/tmp/.mount"}) == {"PATH": "p", "APPDIR": "/tmp/.mount"}


def test_a_relative_state_folder_is_the_same_one_for_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkout").mkdir()
    folder = tmp_path / "state"
    program = "import os, pathlib; pathlib.Path(os.environ['DGFNET_HOME'], 'started').touch()"
    folder.mkdir()
    write(folder / "launch.json", {"command": [sys.executable, "-c", program], "cwd": str(tmp_path / "checkout")})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DGFNET_HOME", "state")
    monkeypatch.setattr("server.client.launch.GRACE_SECONDS", 0.0)
    with pytest.raises(InpaintError, match="ended with status 0"):
        connect("test")
    assert (folder / "started").exists()


def test_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log) == []
    log.write_bytes(b"x" * 20000 + b"\n\none\n  two \xff\n\n")
    assert last_lines(log, 2) == ["one", "two \ufffd"]
