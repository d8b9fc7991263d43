import pathlib

import pytest

from dgfnet import doctor, model, settings
from dgfnet.cli import main
from server.client import discovery


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DGFNET_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DGFNET_WEIGHTS", raising=False)


@pytest.fixture
def mine(network, tmp_path):
    model.save(network, tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("environment", [{}, {"DGFNET_HOME": "/x"}, {"LOCALAPPDATA": "/local"}])
def test_the_folder_is_the_servers(platform, environment):
    home = pathlib.Path("/home/a")
    assert settings.folder(environment, platform, home) == discovery.state_folder(environment, platform, home)


def test_a_users_own_weights_become_the_default(mine, capsys, monkeypatch):
    assert settings.chosen_weights() is None
    assert main(["weights", "use", str(mine)]) == 0
    assert model.find() == mine
    assert "mine.safetensors" in capsys.readouterr().out
    other = mine.with_name("other.safetensors")
    other.write_bytes(mine.read_bytes())
    monkeypatch.setenv("DGFNET_WEIGHTS", str(other))
    assert model.find() == other


def test_a_relative_choice_holds_elsewhere(mine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["weights", "use", "mine.safetensors"]) == 0
    monkeypatch.chdir("/")
    assert model.find() == mine


def test_what_is_no_weights_file_is_not_chosen(tmp_path, capsys):
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    assert main(["weights", "use", str(tmp_path / "x.safetensors")]) == 1
    assert "not a DGFNet weights file" in capsys.readouterr().err
    assert main(["weights", "use"]) == 2
    assert settings.chosen_weights() is None


def test_a_choice_that_the_environment_overrules_is_said_to_be(mine, capsys, monkeypatch):
    main(["weights", "use", str(mine)])
    assert "DGFNET_WEIGHTS" not in capsys.readouterr().out
    monkeypatch.setenv("DGFNET_WEIGHTS", "dgfnet-narrow")
    assert main(["weights", "use", str(mine)]) == 0
    assert "$DGFNET_WEIGHTS is set, dgfnet-narrow is used all the same" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "overruling", "chosen", "fix"),
    [
        (None, None, None, "install.py"),
        (None, None, "gone", "`dgfnet weights use dgfnet-narrow`"),
        (None, "gone", "gone", "$DGFNET_WEIGHTS"),
        ("gone", "gone", "gone", "Correct the name"),
    ],
)
def test_doctor_gives_the_fix_that_helps_where_weights_are_gone(monkeypatch, tmp_path, asked, overruling, chosen, fix):
    monkeypatch.setattr(model, "SHIPPED", tmp_path)
    if overruling:
        monkeypatch.setenv("DGFNET_WEIGHTS", overruling)
    if chosen:
        settings.choose_weights(chosen)
    (check,) = (check for check in doctor.checks(asked, lambda: None) if check.fix)
    assert check.name == "weights"
    assert fix in check.fix
    assert ("$DGFNET_WEIGHTS" in check.detail) == (overruling is not None and asked is None)


def test_chosen_weights_that_are_gone_get_a_sentence(mine):
    main(["weights", "use", str(mine)])
    mine.unlink()
    with pytest.raises(model.WeightsError, match="dgfnet weights use"):
        model.find()


def test_a_damaged_settings_file_is_no_choice():
    settings.choose_weights("x")
    (settings.folder() / "settings.json").write_text("[1]")
    assert settings.chosen_weights() is None
