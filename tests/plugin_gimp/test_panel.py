"""What the server window says and offers, with the way to the server replaced."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

STATE = {"weights": "narrow", "device": "cpu", "model": "ready"}


@pytest.fixture
def scene(module, monkeypatch):
    """A panel; `server` holds what it meets, `shown` what was seen, and what can be pressed, one after the other."""
    panel, service = module("panel"), module("service")
    server = SimpleNamespace(state=None, problem=None, answer=False)

    def state(watcher: Any) -> Any:
        if server.problem:
            raise server.problem
        return server.state

    def connect(who: str, say: Any) -> Any:
        say("Starting", None)
        scene.panel.look()  # as the window's timer does meanwhile
        if server.problem:
            raise server.problem
        server.state = STATE
        return SimpleNamespace(close=lambda: None)

    def stop(who: str, on_poll: Any) -> None:
        raise service.InpaintError("internal", "It did not end.", "Wait.")

    monkeypatch.setattr(service.Watcher, "state", state)
    monkeypatch.setattr(service, "connect", connect)
    monkeypatch.setattr(service, "stop", stop)

    def show() -> bool:
        scene.shown.append((scene.panel.text, scene.panel.can_start, scene.panel.can_stop))
        return server.answer

    scene = SimpleNamespace(server=server, shown=[], panel=panel.Panel("gimp 3", show), service=service)
    return scene


def test_what_is_under_way_is_said_until_it_is_done(scene) -> None:
    scene.panel.look()
    scene.panel.start()
    starting = ("Starting the server ...\nServer: not running", False, False)
    before, *during, after = scene.shown
    assert before == ("Server: not running", True, False)
    assert set(during) == {starting}
    assert after[0].startswith("Server: running")
    assert after[1:] == (False, True)


def test_why_nothing_was_started_stays_until_a_server_runs(scene) -> None:
    scene.panel.look()
    scene.server.problem = scene.service.InpaintError("start_failed", "It ended at once.", "Run `dgfnet doctor`.")
    scene.panel.start()
    scene.server.problem = None
    scene.panel.look()
    scene.panel.look()
    assert scene.shown[-1] == ("It ended at once. Run `dgfnet doctor`.\nServer: not running", True, False)
    scene.server.state = STATE
    scene.panel.look()
    assert scene.panel.text.startswith("Server: running")


def test_why_nothing_was_stopped_stays_until_the_next_action(scene) -> None:
    scene.server.state = STATE
    scene.panel.look()
    scene.panel.stop()
    scene.panel.look()
    assert scene.panel.text.startswith("It did not end. Wait.\nServer: running")
    assert scene.panel.can_stop
    scene.panel.start()
    assert scene.panel.text.startswith("Server: running")


def test_a_server_that_hangs_is_told_and_may_be_stopped(scene) -> None:
    scene.server.problem = scene.service.InpaintError("server_silent", "It does not answer.", "Stop it.")
    scene.panel.look()
    assert scene.shown == [("It does not answer. Stop it.", True, True)]


def test_a_window_that_is_closed_waits_no_longer(scene, module) -> None:
    scene.panel.look()
    scene.server.answer = True
    scene.panel.start()
    assert scene.server.state is None
    scene.server.problem = module("client.errors").Cancelled()
    scene.panel.look()
    assert scene.panel.text == "Server: not running"
