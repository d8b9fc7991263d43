"""Put the plug-in into a GIMP profile such as ~/.config/GIMP/3.0, check it there, take it out. Standard library only.

`install` runs with the project's own Python, which has msgpack's files; `check` and `remove` run on any:
`python -m plugin_gimp.installation install|check|remove FOLDER`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from server.client.vendored import VendorError, copy_client, wrong_copies

NAME = "dgfnet-inpaint"
SOURCE = Path(__file__).resolve().parent / NAME
ENTRY = f"{NAME}.py"
CLIENT = "client"


def folder_in(profile: Path) -> Path:
    """Where the plug-in lies in a profile."""
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


def check(profile: Path) -> list[str]:
    """What is wrong with the plug-in in a profile, one sentence each; none where it is as `install` left it."""
    target = folder_in(profile)
    entry = target / ENTRY
    if not target.is_dir():
        return [f"{profile} has no plug-in."]
    problems = []
    if os.name == "posix" and entry.is_file() and not os.access(entry, os.X_OK):
        problems.append(f"GIMP passes {entry} over: it lost its executable bit.")
    copies = {target / source.name: source for source in sorted(SOURCE.glob("*.py"))}
    return problems + wrong_copies(copies, target / CLIENT)


def remove(profile: Path) -> list[Path]:
    """Delete the plug-in from a profile; what was deleted."""
    target = folder_in(profile)
    if not target.exists():
        return []
    shutil.rmtree(target)
    return [target]


def main() -> int:
    """The command line; the exit code is 1 where something failed or is wrong."""
    parser = argparse.ArgumentParser(description="Install, check or remove the GIMP plug-in.")
    parser.add_argument("action", choices=("install", "check", "remove"))
    parser.add_argument("folder", type=Path, help="a GIMP profile, for instance ~/.config/GIMP/3.0")
    options = parser.parse_args()
    try:
        if options.action == "install":
            print(install(options.folder))
        elif options.action == "remove":
            print(*remove(options.folder), sep="\n")
        else:
            problems = check(options.folder)
            print("\n".join(problems) or "The plug-in is as it was installed.")
            return bool(problems)
    except (VendorError, OSError) as why:
        done = {"install": "installed", "check": "checked", "remove": "removed"}[options.action]
        print(f"The plug-in was not {done}: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
