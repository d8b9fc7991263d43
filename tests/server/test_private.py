"""Files of the state folder while a client reads them, which Windows refuses to change."""

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
