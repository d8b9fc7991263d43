"""What is kept with a result survives the way through a parasite; what is damaged is refused in one sentence."""

from __future__ import annotations

import json

import pytest

from dgfnet.filling.options import MAX_VARIATION


@pytest.fixture
def settings(module):
    return module("settings")


def test_a_record_comes_back_as_it_went(settings) -> None:
    record = settings.Record(
        settings.Settings("group", "visible", 2.5, 3, 1.5, 0.25),
        "a1",
        "b2",
        "layer mask",
        "c3",
        {"weights": {"name": "w"}},
    )
    assert settings.Record.from_json(record.to_json()) == record
    assert settings.Record.from_json(record.to_json() + b"\0") == record


def test_keys_of_a_later_version_are_skipped(settings) -> None:
    content = json.loads(settings.Record(settings.Settings()).to_json())
    content["settings"]["mood"] = "blue"
    content["more"] = 1
    assert settings.Record.from_json(json.dumps(content).encode()) == settings.Record(settings.Settings())


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b"\xff", b'{"version": 2}', b'{"version": 1, "settings": {"grow": "x"}}']
)
def test_damaged_records_are_refused(settings, data) -> None:
    with pytest.raises(settings.BadRecord, match=r"\.$"):
        settings.Record.from_json(data)


@pytest.mark.parametrize(
    "values",
    [{"output": "x"}, {"sample": None}, {"context": -1}, {"grow": 1001}, {"feather": float("nan")}, {"grow": True}],
)
def test_values_that_no_dialog_holds(settings, values) -> None:
    with pytest.raises(settings.BadRecord, match=next(iter(values))):
        settings.Settings(**values)


def test_numbers_of_fills_go_as_far_as_the_engines(settings) -> None:
    assert settings.MAX_VARIATION == MAX_VARIATION
    assert settings.Settings(variation=MAX_VARIATION)
