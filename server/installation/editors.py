"""The editors of this user: their profiles, and the plug-ins in them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from server.installation import environment
from server.installation.environment import ROOT, VENV
from server.installation.machine import Host
from server.installation.problems import REMOVE_AGAIN, RUN_AGAIN, Problem, last_line

NO_PROFILE = f"no GIMP or Krita profile found; start the editor once, then {RUN_AGAIN}"


class Profile(NamedTuple):
    """An editor's folder for one user; `refusal` says why no plug-in goes there."""

    name: str
    folder: Path
    refusal: str = ""

    @property
    def where(self) -> str:
        """The profile as a message names it."""
        return f"{self.name} in {self.folder}"


def gimp_profiles(host: Host) -> list[Profile]:
    """GIMP's profiles, one per minor series; distribution, AppImage and new Flatpaks share one root."""
    if host.platform == "win32":
        roots = [host.folder("APPDATA", "AppData/Roaming") / "GIMP"]
    elif host.platform == "darwin":
        roots = [host.home / "Library/Application Support/GIMP"]
    else:
        roots = [host.folder("XDG_CONFIG_HOME", ".config") / "GIMP", host.home / ".var/app/org.gimp.GIMP/config/GIMP"]
    folders = [path for root in roots if root.is_dir() for path in sorted(root.iterdir()) if path.is_dir()]
    if host.environ.get("GIMP3_DIRECTORY"):
        folders.append(Path(host.environ["GIMP3_DIRECTORY"]))
    found = []
    for folder in folders:
        version = re.fullmatch(r"(\d+)\.(\d+)", folder.name)
        old = version is not None and int(version.group(1)) < 3
        if version or folder == Path(host.environ.get("GIMP3_DIRECTORY", "")):
            refusal = "the plug-in needs GIMP 3" if old else ""
            found.append(Profile(f"GIMP {folder.name}" if version else "GIMP", folder, refusal))
    return found


def krita_profiles(host: Host) -> list[Profile]:
    """Krita's resource folders: distribution and AppImage, Flatpak, Windows, Microsoft Store, macOS."""
    if host.platform == "win32":
        store = host.folder("LOCALAPPDATA", "AppData/Local") / "Packages"
        folders = [host.folder("APPDATA", "AppData/Roaming") / "krita"]
        folders += sorted(store.glob("49800Krita_*/LocalCache/Roaming/krita"))
    elif host.platform == "darwin":
        folders = [host.home / "Library/Application Support/Krita"]
    else:
        folders = [
            host.folder("XDG_DATA_HOME", ".local/share") / "krita",
            host.home / ".var/app/org.kde.krita/data/krita",
        ]
    return [Profile("Krita", folder) for folder in folders if folder.is_dir()]


class Editor(NamedTuple):
    """One row of the table of editors; `package` is that of its plug-in."""

    name: str
    find: Callable[[Host], list[Profile]]
    package: str


EDITORS = (Editor("GIMP", gimp_profiles, "plugin_gimp"), Editor("Krita", krita_profiles, "plugin_krita"))


def plugin_tool(package: str, action: str, folder: Path, python: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m PACKAGE.installation ACTION FOLDER`, which every plug-in has, in the checkout."""
    command = [str(python), "-m", f"{package}.installation", action, str(folder)]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def place_plugin(package: str, folder: Path) -> None:
    """Install a plug-in into a profile; the environment's Python has the files that are copied with it."""
    done = plugin_tool(package, "install", folder, environment.python_of(VENV))
    if done.returncode:
        raise Problem(last_line(done), f"Correct it, and {RUN_AGAIN}.")


def remove_plugin(package: str, folder: Path) -> list[Path]:
    """Take a plug-in out of a profile; what was removed. Works without the environment."""
    done = plugin_tool(package, "remove", folder, Path(sys.executable))
    if done.returncode:
        raise Problem(last_line(done), f"Correct it, and {REMOVE_AGAIN}.")
    return [Path(line) for line in done.stdout.splitlines() if line]


def check_plugin(package: str, folder: Path) -> list[str]:
    """What is wrong with a plug-in in a profile, one sentence each."""
    done = plugin_tool(package, "check", folder, environment.python_of(VENV))
    return (done.stdout + done.stderr).strip().splitlines() if done.returncode else []


def profiles_of(host: Host) -> list[tuple[Editor, Profile]]:
    """Every profile of every editor."""
    return [(editor, profile) for editor in EDITORS for profile in editor.find(host)]


def install_plugins(host: Host) -> list[Problem]:
    """Install each editor's plug-in into each of its profiles, with a line for each; what could not be installed."""
    found, problems = profiles_of(host), []
    for editor, profile in found:
        if profile.refusal:
            told = f"left alone, {profile.refusal}"
        else:
            try:
                place_plugin(editor.package, profile.folder)
                told = f"plug-in installed; restart {editor.name}"
            except Problem as problem:
                problems.append(problem)
                told = problem.sentence
        print(f"  {profile.where}: {told}")
    if not found:
        print(f"  {NO_PROFILE}")
    return problems


def remove_plugins(host: Host) -> list[Problem]:
    """Take each editor's plug-in out of each of its profiles, naming each piece; what could not be removed."""
    problems = []
    for editor, profile in profiles_of(host):
        try:
            for path in remove_plugin(editor.package, profile.folder):
                print(f"removed {path}")
        except Problem as problem:
            problems.append(problem)
    return problems
