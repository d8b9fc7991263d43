"""Every case of benchmarks/bad_requests.py against a real server process: the expected answer, then a good job."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from server.protocol import ErrorCode

SOURCE = Path(__file__).resolve().parents[2] / "benchmarks" / "bad_requests.py"
spec = importlib.util.spec_from_file_location("bad_requests", SOURCE)
bad_requests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bad_requests)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with bad_requests.real_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.mark.parametrize(
    ("case", "expected"), [pytest.param(case, code, id=name) for name, case, code in bad_requests.CASES]
)
def test_answered_and_still_serving(address, case, expected):
    answer, serving = bad_requests.ask(address, case)
    assert answer.code == expected
    assert serving
    if expected not in (bad_requests.DROPPED, bad_requests.CLOSED):
        assert answer.text.endswith(".")
        assert "Traceback" not in answer.text


def test_every_kind_that_a_request_alone_can_provoke_is_among_them():
    circumstances = {"queue_full", "client_silent", "no_weights", "out_of_memory", "device_lost", "shutting_down"}
    circumstances |= {"internal"}
    provoked = {code for _, _, code in bad_requests.CASES} - {bad_requests.DROPPED, bad_requests.CLOSED}
    assert provoked == {code.value for code in ErrorCode} - circumstances
