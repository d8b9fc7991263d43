"""The editors' profiles on each system, and the plug-ins in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.installation import editors
from server.installation.machine import Host
from server.installation.problems import Problem


def make(home: Path, *folders: str) -> None:
    for folder in folders:
        (home / folder).mkdir(parents=True)


def test_linux(tmp_path) -> None:
    make(tmp_path, ".config/GIMP/2.10", ".config/GIMP/3.0", ".config/GIMP/3.2", ".config/GIMP/backup")
    make(
        tmp_path,
        ".var/app/org.gimp.GIMP/config/GIMP/3.0",
        ".local/share/krita",
        ".var/app/org.kde.krita/data/krita",
    )
    host = Host("linux", tmp_path, {})
    assert [
        (p.name, p.folder.relative_to(tmp_path).as_posix(), bool(p.refusal)) for p in editors.gimp_profiles(host)
    ] == [
        ("GIMP 2.10", ".config/GIMP/2.10", True),
        ("GIMP 3.0", ".config/GIMP/3.0", False),
        ("GIMP 3.2", ".config/GIMP/3.2", False),
        ("GIMP 3.0", ".var/app/org.gimp.GIMP/config/GIMP/3.0", False),
    ]
    assert [p.folder for p in editors.krita_profiles(host)] == [
        tmp_path / ".local/share/krita",
        tmp_path / ".var/app/org.kde.krita/data/krita",
    ]


def test_linux_with_xdg_folders_and_an_own_profile(tmp_path) -> None:
    make(tmp_path, "conf/GIMP/3.0", "share/krita", "mine")
    variables = {"XDG_CONFIG_HOME": "conf", "XDG_DATA_HOME": "share", "GIMP3_DIRECTORY": "mine"}
    environ = {key: str(tmp_path / name) for key, name in variables.items()}
    host = Host("linux", tmp_path / "home", environ)
    assert [p.folder.name for p in editors.gimp_profiles(host)] == ["3.0", "mine"]
    assert [p.folder for p in editors.krita_profiles(host)] == [tmp_path / "share/krita"]


def test_windows(tmp_path) -> None:
    store = "Local/Packages/49800Krita_abc/LocalCache/Roaming/krita"
    make(tmp_path, "Roaming/GIMP/3.0", "Roaming/krita", store)
    environ = {"APPDATA": str(tmp_path / "Roaming"), "LOCALAPPDATA": str(tmp_path / "Local")}
    host = Host("win32", tmp_path / "home", environ)
    assert [p.folder for p in editors.gimp_profiles(host)] == [tmp_path / "Roaming/GIMP/3.0"]
    assert [p.folder for p in editors.krita_profiles(host)] == [tmp_path / "Roaming/krita", tmp_path / store]


def test_macos(tmp_path) -> None:
    make(tmp_path, "Library/Application Support/GIMP/3.2", "Library/Application Support/Krita")
    host = Host("darwin", tmp_path, {})
    assert [p.name for p in editors.gimp_profiles(host)] == ["GIMP 3.2"]
    assert len(editors.krita_profiles(host)) == 1


def test_a_plugin_goes_into_every_profile_that_can_take_it(tmp_path, monkeypatch, capsys) -> None:
    make(tmp_path, ".config/GIMP/2.10", ".config/GIMP/3.0", ".config/GIMP/3.2", ".local/share/krita")
    placed: list[tuple[str, Path]] = []

    def place(package: str, folder: Path) -> None:
        if folder.name == "3.0":
            raise Problem("The folder is another user's.", "Correct it.")
        placed.append((package, folder))

    monkeypatch.setattr(editors, "place_plugin", place)
    (problem,) = editors.install_plugins(Host("linux", tmp_path, {}))
    assert problem.sentence == "The folder is another user's."
    assert placed == [("plugin_gimp", tmp_path / ".config/GIMP/3.2"), ("plugin_krita", tmp_path / ".local/share/krita")]
    assert [line.rsplit(": ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "left alone, the plug-in needs GIMP 3",
        "The folder is another user's.",
        "plug-in installed; restart GIMP",
        "plug-in installed; restart Krita",
    ]


def test_a_plugin_that_stays_is_told_and_the_rest_goes(tmp_path, monkeypatch, capsys) -> None:
    make(tmp_path, ".config/GIMP/3.0", ".local/share/krita")

    def tool(package: str, action: str, folder: Path, _: Path) -> subprocess.CompletedProcess[str]:
        failed = package == "plugin_gimp"
        said = ("", f"The plug-in was not removed: {folder}\n") if failed else (f"{folder}/it\n", "")
        return subprocess.CompletedProcess([], int(failed), *said)

    monkeypatch.setattr(editors, "plugin_tool", tool)
    (problem,) = editors.remove_plugins(Host("linux", tmp_path, {}))
    assert problem.sentence == f"The plug-in was not removed: {tmp_path / '.config/GIMP/3.0'}."
    assert "uninstall" in problem.action
    assert capsys.readouterr().out == f"removed {tmp_path / '.local/share/krita/it'}\n"


@pytest.mark.skipif(os.name != "posix", reason="Windows lets few users make links")
@pytest.mark.parametrize("package", ["plugin_gimp", "plugin_krita"])
def test_the_plugins_tool_names_what_it_could_not_do(tmp_path, package) -> None:
    make(tmp_path, "plug-ins", "pykrita", "elsewhere")
    for link in ("plug-ins/dgfnet-inpaint", "pykrita/dgfnet_inpaint"):
        (tmp_path / link).symlink_to(tmp_path / "elsewhere")  # which rmtree refuses
    done = editors.plugin_tool(package, "remove", tmp_path, Path(sys.executable))
    assert done.returncode == 1
    assert done.stderr.startswith("The plug-in was not removed: ")


def test_no_editor_is_said(tmp_path, capsys) -> None:
    assert editors.install_plugins(Host("linux", tmp_path, {})) == []
    assert capsys.readouterr().out.startswith("  no GIMP or Krita profile found")
