"""Files of the state folder while a client reads them, which Windows refuses to change."""

import errno
import json
import os

import pytest

from server import private


@pytest.fixture
def refuse_twice(monkeypatch):
    """Let a function of `os` refuse two calls, as Windows does while a client reads; returns what was refused."""
    monkeypatch.setattr(private, "_ATTEMPTS", 3)

    def refuse(name):
        change, refused = getattr(os, name), []

        def refusing(*arguments, **options):
            if len(refused) < 2:
                refused.append(arguments)
                raise PermissionError(13, "Sharing violation")
            return change(*arguments, **options)

        monkeypatch.setattr(os, name, refusing)
        return refused

    return refuse


def test_a_file_is_replaced_as_soon_as_its_reader_has_gone(tmp_path, refuse_twice):
    refused = refuse_twice("replace")
    private.write_private(tmp_path / "connection.json", {"pid": 1})
    assert len(refused) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["connection.json"]


def test_a_file_is_removed_as_soon_as_its_reader_has_gone(tmp_path, refuse_twice):
    refused = refuse_twice("unlink")
    (tmp_path / "connection.json").touch()
    private.remove_private(tmp_path / "connection.json")
    assert len(refused) == 2
    assert not list(tmp_path.iterdir())


def test_a_refusal_that_lasts_is_told(tmp_path, refuse_twice, monkeypatch):
    refuse_twice("replace")
    monkeypatch.setattr(private, "_ATTEMPTS", 2)
    with pytest.raises(PermissionError):
        private.write_private(tmp_path / "connection.json", {})


@pytest.mark.parametrize("write", [private.check_state_folder, lambda at: private.write_private(at / "a.json", {})])
def test_a_full_disk_is_told_and_nothing_is_left_on_it(tmp_path, monkeypatch, write):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_nothing_is_written_where_others_could_read_it(tmp_path, monkeypatch):
    """A disk without modes of its own, such as exFAT, gives every file those of its mount."""
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, mode: opened(path, flags, 0o755))
    with pytest.raises(OSError, match="lets others touch it") as told:
        private.write_private(tmp_path / "connection.json", {"key": "secret"})
    assert told.value.errno == errno.ENOTSUP
    assert not list(tmp_path.iterdir())


def test_a_state_folder_that_serves_is_left_as_it_was(tmp_path):
    private.check_state_folder(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
