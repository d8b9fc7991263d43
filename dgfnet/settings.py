"""What a user has chosen once and for all: a small file in the folder where the server keeps its own."""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Mapping

from dgfnet.files import write_whole


def folder(
    environment: Mapping[str, str] = os.environ, platform: str = sys.platform, home: pathlib.Path | None = None
) -> pathlib.Path:
    """The state folder of docs/protocol.md (Connection file); it need not exist.

    The same rule as in the server's client, which the editors carry without this package.
    """
    if environment.get("DGFNET_HOME"):
        return pathlib.Path(environment["DGFNET_HOME"]).expanduser()
    home = home or pathlib.Path.home()
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (pathlib.Path(local) if local else home / "AppData" / "Local") / "DGFNet"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "DGFNet"
    return home / ".local" / "state" / "dgfnet"


def overruling_weights() -> str | None:
    """Path or shipped name in `$DGFNET_WEIGHTS`, which goes before every choice; None where it is not set."""
    return os.environ.get("DGFNET_WEIGHTS") or None


def chosen_weights() -> str | None:
    """Path or shipped name: `$DGFNET_WEIGHTS`, else the choice of `dgfnet weights use`, else None."""
    if overruling := overruling_weights():
        return overruling
    try:
        chosen = json.loads((folder() / "settings.json").read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return chosen if isinstance(chosen, str) else None


def choose_weights(weights: str) -> None:
    """Make these the default from now on. Raises FileError."""
    text = json.dumps({"weights": weights}) + "\n"
    write_whole(folder() / "settings.json", lambda file: file.write_text(text, encoding="utf-8"))
