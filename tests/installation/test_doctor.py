"""What `install.py doctor` sees from outside the environment."""

from __future__ import annotations

from server.client.errors import INSTALL


def test_doctor_without_an_installation_says_the_fix(checkout, run_install) -> None:
    done = run_install("doctor")
    assert done.returncode == 1
    assert "problem  .venv" in done.stdout
    assert f"-> Run `{INSTALL}`." in done.stdout
