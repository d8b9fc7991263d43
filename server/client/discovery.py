"""Where the server is: the state folder, the connection file and launch.json (docs/protocol.md, "Connection file")."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from .errors import INSTALL, InpaintError

CONNECTION_FILE, LAUNCH_FILE = "connection.json", "launch.json"
SERVER_LOG, LAUNCH_LOG = "server.log", "launch.log"
KEY_BYTES = 32
_TCP = re.compile(r"tcp://(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:/\[\]]+)):(?P<port>[0-9]{1,5})")


class ServerAddress(NamedTuple):
    """What the connection file says: what is needed to talk to the running server, or to end it.

    `pid` is its process on the computer `machine`; 0 and empty where the file does not say.
    """

    host: str
    port: int
    key: bytes
    instance: str
    log: str
    pid: int = 0
    machine: str = ""


class LaunchCommand(NamedTuple):
    """What launch.json says: how to start a server."""

    command: list[str]
    cwd: str


def state_folder(
    environment: Mapping[str, str] = os.environ, platform: str = sys.platform, home: Path | None = None
) -> Path:
    """The folder that holds connection.json, launch.json and the logs; it need not exist."""
    if environment.get("DGFNET_HOME"):
        return Path(environment["DGFNET_HOME"]).expanduser()
    home = home or Path.home()
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "DGFNet"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "DGFNet"
    return home / ".local" / "state" / "dgfnet"


def read_address(folder: Path) -> ServerAddress | None:
    """The server of the connection file, or None where no such file is. Raises `InpaintError` on an unusable one.

    A file that says where a server is does not prove that it still runs.
    """
    path = folder / CONNECTION_FILE
    data = _read_json(path)
    if data is None:
        return None
    found = _TCP.fullmatch(str(data.get("address")))
    try:
        key = bytes.fromhex(data["key"])
    except (KeyError, TypeError, ValueError):
        key = b""
    if not found or not 0 < int(found["port"]) < 65536 or len(key) != KEY_BYTES:
        raise _unusable(path, "does not hold a TCP address and a key of 64 hex digits")
    host, pid = found["v6"] or found["host"], data.get("pid")
    instance, log, machine = (str(data.get(name, "")) for name in ("instance", "log", "machine"))
    return ServerAddress(host, int(found["port"]), key, instance, log, pid if type(pid) is int else 0, machine)


def read_launch_command(folder: Path) -> LaunchCommand:
    """How to start a server. Raises `InpaintError` where DGFNet Inpaint is not installed."""
    path = folder / LAUNCH_FILE
    data = _read_json(path)
    if data is None:
        raise InpaintError(
            "not_installed",
            f"DGFNet Inpaint is not installed for this user: {path} is missing.",
            f"Run `{INSTALL}` in its folder, then try again.",
        )
    command, cwd = data.get("command"), data.get("cwd")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise _unusable(path, "does not say which command starts the server")
    return LaunchCommand(command, cwd if isinstance(cwd, str) else "")


def is_private(descriptor: int, rights: int = 0o077) -> bool:
    """Whether an open file is this user's and gives group and others none of the `rights`; always on Windows."""
    if not hasattr(os, "getuid"):
        return True
    status = os.fstat(descriptor)
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & rights


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            # The file holds the key: one that others can read or have written is worth nothing.
            if not is_private(file.fileno(), 0o077 if path.name == CONNECTION_FILE else 0o022):
                remedy = f"type `chmod 600 {path}` and `dgfnet stop`"
                raise _unusable(path, "belongs to another user or can be touched by others", remedy)
            data = json.loads(file.read(1 << 20).decode("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror or error})") from None
    except ValueError:
        raise _unusable(path, "is not JSON") from None
    if not isinstance(data, dict):
        raise _unusable(path, "is not a JSON map")
    return data


def _unusable(path: Path, why: str, remedy: str = "end the server's process and delete the file") -> InpaintError:
    """`remedy` is the connection file's; launch.json is written anew."""
    if path.name == LAUNCH_FILE:
        remedy = f"run `{INSTALL}`"
    return InpaintError("bad_state", f"The file {path} {why}.", f"Please {remedy}, then try again.")
