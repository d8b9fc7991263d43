"""Krita's plug-in in a resource folder, in kritarc, and in a zip."""

from __future__ import annotations

import builtins
import os
import zipfile
from pathlib import Path

import pytest

from plugin_krita import installation


def test_installs_checks_and_removes(tmp_path):
    assert installation.check(tmp_path) == [f"{tmp_path} has no plug-in."]
    installation.install(tmp_path)
    assert installation.check(tmp_path) == []
    assert (tmp_path / "pykrita/dgfnet_inpaint/client/_msgpack/fallback.py").is_file()
    assert not list(tmp_path.rglob("*.so"))
    assert len(installation.remove(tmp_path)) == 3
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert installation.remove(tmp_path) == []


def test_a_changed_or_missing_file_is_told(tmp_path):
    installation.install(tmp_path)
    jobs = tmp_path / "pykrita/dgfnet_inpaint/jobs.py"
    jobs.write_text("old")
    (tmp_path / "actions/dgfnet_inpaint.action").unlink()
    assert installation.check(tmp_path) == [
        f"{jobs} is from another version.",
        f"{tmp_path / 'actions/dgfnet_inpaint.action'} is missing.",
    ]
    installation.install(tmp_path)
    assert installation.check(tmp_path) == []


def test_other_plugins_are_left_alone(tmp_path):
    other = tmp_path / "pykrita/other/__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("theirs")
    installation.install(tmp_path)
    installation.remove(tmp_path)
    assert other.read_text() == "theirs"


def test_zip_has_what_kritas_importer_looks_for(tmp_path):
    installation.write_zip(tmp_path / "plugin.zip")
    with zipfile.ZipFile(tmp_path / "plugin.zip") as archive:
        names = archive.namelist()
        assert b"X-KDE-Library=dgfnet_inpaint" in archive.read("dgfnet_inpaint.desktop")
    assert "dgfnet_inpaint/" in names  # explicit: else "No plugins found in archive"
    assert "dgfnet_inpaint/__init__.py" in names
    assert "dgfnet_inpaint/client/session.py" in names
    assert "actions/dgfnet_inpaint.action" in names


def test_kritas_own_importer_takes_the_zip(tmp_path, monkeypatch):
    root = os.environ.get("DGFNET_KRITA_ROOT", "/")
    source = Path(root, "usr/share/krita/pykrita/plugin_importer/plugin_importer.py")
    if not source.is_file():
        pytest.skip("needs Krita's plugin_importer.py (Debian: krita)")
    monkeypatch.setattr(builtins, "i18n", str, raising=False)
    importer = {"__name__": "plugin_importer"}
    exec(compile(source.read_text(), source, "exec"), importer)
    installation.write_zip(tmp_path / "plugin.zip")
    resources = tmp_path / "krita"
    resources.mkdir()
    for _ in range(2):  # the second time over the first
        taken = importer["PluginImporter"](tmp_path / "plugin.zip", resources, lambda _plugin: True).import_all()
        assert [plugin["name"] for plugin in taken] == ["dgfnet_inpaint"]
        assert installation.check(resources) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[python]\nenable_dgfnet_inpaint=true\n"),
        ("[python]\nenable_other=true\n", "[python]\nenable_dgfnet_inpaint=true\nenable_other=true\n"),
        ("[python]\nenable_dgfnet_inpaint=false\n", "[python]\nenable_dgfnet_inpaint=true\n"),
        ("[theme]\nTheme=dark\n", "[theme]\nTheme=dark\n\n[python]\nenable_dgfnet_inpaint=true\n"),
    ],
)
def test_kritarc_enables_the_plugin(before, after):
    assert installation.with_plugin(before, True) == after
    assert installation.is_enabled(after) is True
    assert installation.with_plugin(after, True) == after
    assert installation.is_enabled(installation.with_plugin(after, None)) is None


def test_a_file_that_needs_no_change_is_not_written(tmp_path):
    path = tmp_path / "kritarc"
    installation.change_settings(path, True)
    written = path.stat().st_mtime_ns
    installation.change_settings(path, True)
    assert path.stat().st_mtime_ns == written
    installation.change_settings(path, None)
    assert "dgfnet" not in path.read_text()


@pytest.mark.parametrize(
    ("platform", "resources", "settings"),
    [
        ("linux", ".local/share/krita", ".config/kritarc"),
        ("linux", ".var/app/org.kde.krita/data/krita", ".var/app/org.kde.krita/config/kritarc"),
        ("win32", "AppData/Roaming/krita", "AppData/Local/kritarc"),
        ("win32", "P/49800Krita_x/LocalCache/Roaming/krita", "P/49800Krita_x/LocalCache/Local/kritarc"),
        ("darwin", "Library/Application Support/Krita", "Library/Preferences/kritarc"),
    ],
)
def test_where_kritarc_is(platform, resources, settings):
    home = Path("/home/me")
    assert installation.settings_file(home / resources, platform, {}, home) == home / settings
