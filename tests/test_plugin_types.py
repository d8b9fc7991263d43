"""The plug-ins' types, checked as they are installed: with the client beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plugin_gimp import installation as gimp
from plugin_krita import installation as krita

SETTINGS = """
[mypy]
disallow_untyped_defs = True
ignore_missing_imports = True

[mypy-*._msgpack.*]
ignore_errors = True

[mypy-client.wire,dgfnet_inpaint.client.wire]
disable_error_code = no-redef
"""


@pytest.mark.parametrize("plugin", [gimp, krita], ids=["gimp", "krita"])
def test_the_types_agree(tmp_path: Path, plugin) -> None:
    settings = tmp_path / "mypy.ini"
    settings.write_text(SETTINGS)
    plugin.install(tmp_path)
    (client,) = tmp_path.rglob("client")
    options = ["--no-site-packages", f"--config-file={settings}", f"--cache-dir={tmp_path / 'cache'}"]
    command = [sys.executable, "-m", "mypy", *options]
    done = subprocess.run([*command, *map(str, client.parent.glob("*.py"))], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
