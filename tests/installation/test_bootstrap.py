"""pip for a Python that has none, and the sentence where it cannot be had."""

from __future__ import annotations

import io
import re
from http.client import IncompleteRead

import pytest

from server.installation import bootstrap
from server.installation.problems import Problem
from server.installation.progress import Progress


@pytest.fixture
def fetching(tmp_path, monkeypatch):
    """Tries to bring pip from an index; what is told then."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("no_proxy", "*")

    def fetch(index: str) -> str:
        monkeypatch.setenv("PIP_INDEX_URL", index)
        with Progress() as progress, pytest.raises(Problem) as told:
            bootstrap.bring_pip(tmp_path, progress)
        return told.value.sentence

    return fetch


@pytest.mark.parametrize(
    ("index", "fault"),
    [
        ("http://name:secret@host/simple", "InvalidURL"),
        ("//name:secret@host/simple", "ValueError"),
    ],
)
def test_a_password_in_the_address_is_not_told(fetching, index, fault) -> None:
    assert fetching(index) == f"This Python has no pip, and fetching it failed ({fault})."


def test_an_answer_that_breaks_off(fetching, monkeypatch) -> None:
    def urlopen(*_: object, **__: object) -> io.BytesIO:
        raise IncompleteRead(b"secret")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    assert fetching("http://host/simple") == "This Python has no pip, and fetching it failed (IncompleteRead)."


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (b"", r"the package index does not list pip-.*\.whl"),
        (f'<a href="{bootstrap.PIP_WHEEL}#sha256=0">'.encode(), r"pip-.*\.whl is not the file that was pinned"),
    ],
)
def test_an_index_without_the_pinned_pip(fetching, monkeypatch, page, reason) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(page))
    assert re.search(rf"fetching it failed \({reason}\)\.$", fetching("http://name:secret@host/simple"))
