"""Put the plug-in into a GIMP profile, check it there, remove it. Standard library only.

    python -m plugin_gimp.installer PROFILE_FOLDER

`install` copies msgpack's Python files from the Python that runs it; `check` and `remove` run on any.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from server.client.vendored import MSGPACK_FILES, PACKAGE, VendorError, copy_client

NAME = "dgfnet-inpaint"
SOURCE = Path(__file__).resolve().parent / NAME
ENTRY = f"{NAME}.py"
CLIENT = "client"
INSTALL_AGAIN = "Run `python3 install.py`."


def folder_in(profile: Path) -> Path:
    """Where the plug-in lies in a GIMP profile such as ~/.config/GIMP/3.0."""
    return profile / "plug-ins" / NAME


def install(profile: Path) -> Path:
    """Copy plug-in and client into the profile, replacing what an earlier version left; the plug-in's folder.

    The folder appears complete or not at all. Raises `VendorError` or OSError with the old one in place.
    """
    target = folder_in(profile)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-", dir=target.parent) as scratch:
        # GIMP would look at a folder of another name as at a plug-in: one without an entry file is passed over.
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        for source in sorted(SOURCE.glob("*.py")):
            shutil.copyfile(source, fresh / source.name)
        copy_client(fresh / CLIENT)
        entry = fresh / ENTRY
        entry.chmod(entry.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        if target.exists():
            target.replace(Path(scratch) / "old")
        fresh.replace(target)
    return target


def check(profile: Path) -> list[tuple[str, str]]:
    """What is wrong with the plug-in in a profile: pairs of problem and fix; empty where all is well."""
    target = folder_in(profile)
    entry = target / ENTRY
    if not entry.is_file():
        return [(f"{entry} is missing", INSTALL_AGAIN)]
    problems = []
    if os.name == "posix" and not os.access(entry, os.X_OK):
        problems.append((f"{entry} may not be executed, so GIMP passes it over", f"Type `chmod +x {entry}`."))
    wanted = [(source, target / source.name) for source in sorted(SOURCE.glob("*.py"))]
    wanted += [
        (source, target / CLIENT / source.name)
        for source in sorted(PACKAGE.glob("*.py"))
        if source.name != "vendored.py"
    ]
    stale = [copy.name for source, copy in wanted if not _same(source, copy)]
    if stale:
        problems.append((f"{len(stale)} of its files are missing or of another version ({stale[0]})", INSTALL_AGAIN))
    if not all((target / CLIENT / "_msgpack" / name).is_file() for name in MSGPACK_FILES):
        problems.append(("its copy of msgpack is incomplete", INSTALL_AGAIN))
    return problems


def remove(profile: Path) -> list[Path]:
    """Delete the plug-in from a profile; what was deleted."""
    target = folder_in(profile)
    if not target.exists():
        return []
    shutil.rmtree(target)
    return [target]


def _same(source: Path, copy: Path) -> bool:
    try:
        return source.read_bytes() == copy.read_bytes()
    except OSError:
        return False


if __name__ == "__main__":
    try:
        print(install(Path(sys.argv[1])))
    except IndexError:
        sys.exit("Name the profile's folder, for instance ~/.config/GIMP/3.0.")
    except (VendorError, OSError) as why:
        sys.exit(f"The plug-in was not installed: {why}")
