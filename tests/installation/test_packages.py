"""What pip is told, and the settings that it may not have."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from server.installation import environment, packages
from server.installation.problems import Problem


def test_names_the_pinned_version_with_its_label() -> None:
    assert packages.torch_requirement("cpu") == packages.torch_requirement("") + "+cpu"
    assert packages.torch_requirement("").startswith("torch==")


@pytest.mark.parametrize("key", ["install.target", "global.target", "install.prefix", "install.root"])
def test_a_pip_that_would_install_elsewhere_is_refused(key) -> None:
    with pytest.raises(Problem, match=rf"another folder \({key}='/x'\)\. Take `\w+` out of it"):
        packages.refuse_other_places(f"global.index-url='https://host/simple'\n{key}='/x'\n")
    packages.refuse_other_places("global.index-url='https://host/target'\n:env:.target='/x'\n")


def test_a_pip_conf_cannot_move_the_packages(tmp_path, monkeypatch) -> None:
    settings = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setattr(environment, "python_of", lambda _: Path(sys.executable))
    settings.write_text("[install]\ntarget = /x\n")
    with pytest.raises(Problem, match="another folder"):
        packages.install_packages(tmp_path, "cpu", False, None)
    assert packages.pip_environment()["PIP_USER"] == "0"
