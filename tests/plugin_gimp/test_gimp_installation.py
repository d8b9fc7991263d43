"""The plug-in in a profile: as GIMP wants it, checked point by point, removed without a trace."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from plugin_gimp import installation


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    installation.install(tmp_path)
    return tmp_path


def test_the_entry_is_where_gimp_looks_and_may_be_executed(profile) -> None:
    entry = profile / "plug-ins" / "dgfnet-inpaint" / "dgfnet-inpaint.py"
    assert entry.read_text().startswith("#!/usr/bin/env python3\n")
    assert os.name != "posix" or os.access(entry, os.X_OK)
    assert installation.check(profile) == []


def test_a_second_installation_replaces_the_first(profile) -> None:
    stray = installation.folder_in(profile) / "old.py"
    stray.touch()
    installation.install(profile)
    assert not stray.exists()
    assert [path.name for path in (profile / "plug-ins").iterdir()] == ["dgfnet-inpaint"]


@pytest.mark.skipif(os.name != "posix", reason="executable bits are POSIX")
def test_a_lost_executable_bit_is_found(profile) -> None:
    (installation.folder_in(profile) / "dgfnet-inpaint.py").chmod(0o644)
    (sentence,) = installation.check(profile)
    assert "executable bit" in sentence


def test_missing_and_changed_files_are_named(profile) -> None:
    folder = installation.folder_in(profile)
    (folder / "blend.py").unlink()
    (folder / "client" / "zmtp.py").write_text("")
    (folder / "client" / "_msgpack" / "fallback.py").unlink()
    found = installation.check(profile)
    assert [Path(sentence.split(" is ")[0]).name for sentence in found] == ["blend.py", "zmtp.py", "fallback.py"]


def test_removal_leaves_the_rest(profile) -> None:
    other = profile / "plug-ins" / "another"
    other.mkdir()
    assert installation.remove(profile) == [profile / "plug-ins" / "dgfnet-inpaint"]
    assert other.exists()
    assert installation.remove(profile) == []
    assert installation.check(profile) == [f"{profile} has no plug-in."]


def test_the_entry_imports_only_gimp_and_python(profile) -> None:
    """Whatever fails at its import would make the menu entries vanish."""
    tree = ast.parse((installation.SOURCE / "dgfnet-inpaint.py").read_text())
    imported = {
        (node.names[0].name if isinstance(node, ast.Import) else str(node.module)).split(".")[0]
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported <= {"gi", *sys.stdlib_module_names}


def test_nothing_but_gimps_own_python_is_needed() -> None:
    ours = {path.stem for path in installation.SOURCE.glob("*.py")} | {"client", "gi"}
    for path in installation.SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= ours | set(sys.stdlib_module_names), path.name
