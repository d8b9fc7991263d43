"""A real GIMP 3 in a folder of its own: a small Debian with GIMP, made by mmdebstrap and kept between runs.

    python tests/editors/gimp_root.py [trixie|sid]

prints the folder, which is made first where it is missing: about 40 s and 0.8 GB, from the mirror that this machine's
own apt uses. trixie holds GIMP 3.0, sid GIMP 3.2. The folder is below $DGFNET_EDITORS, or ~/.cache/dgfnet-editors.
Needs Debian or Ubuntu with the packages mmdebstrap and bubblewrap.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

SUITES = ("trixie", "sid")
PACKAGES = ("gimp", "xvfb", "xauth", "dbus", "xdotool", "imagemagick")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DONE = "dgfnet-root-complete"  # written last: an interrupted folder is made anew
SECONDS = 3600


class NoRoot(Exception):
    """There can be no root here; one sentence that says why."""


def cache_folder() -> Path:
    """Where the roots are kept."""
    return Path(os.environ.get("DGFNET_EDITORS") or Path.home() / ".cache" / "dgfnet-editors")


def gimp_root(suite: str = "trixie") -> Path:
    """The folder of a Debian `suite` with GIMP; made if it is not there. Raises `NoRoot`."""
    return editor_root("gimp", suite, PACKAGES)


def editor_root(editor: str, suite: str, packages: Iterable[str]) -> Path:
    """The folder of a Debian `suite` with some packages, named after the editor; made if it is not there."""
    folder = cache_folder() / f"{editor}-{suite}"
    if (folder / DONE).exists():
        _require("bwrap", "bubblewrap")
        return folder
    _require("mmdebstrap", "mmdebstrap")
    _require("bwrap", "bubblewrap")
    mirror = _mirror()
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "mmdebstrap",
        "--mode=root" if os.geteuid() == 0 else "--mode=unshare",
        "--variant=minbase",
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Check-Valid-Until "false"',  # sid's Release file may be old on a mirror
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")),
        f"--include={','.join(packages)}",
        suite,
        str(partial),
        f"deb [signed-by={KEYRING}] {mirror} {suite} main",
    ]
    try:
        made = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise NoRoot(f"Debian {suite} with {editor} could not be made within {SECONDS} s.") from None
    if made.returncode:
        faults = [line for line in made.stderr.splitlines() if line.startswith("E:")]
        reason = re.sub(r"https?://\S+", "the mirror", faults[-1] if faults else f"status {made.returncode}")
        raise NoRoot(f"Debian {suite} with {editor} could not be made: {reason}")
    (partial / DONE).touch()
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    return folder


def _require(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise NoRoot(f"{program} is not installed; on Debian and Ubuntu: apt install {package}")


def _mirror() -> str:
    """The mirror of this machine's own apt. It may be a private one: it is used, and never printed."""
    if not KEYRING.exists():
        raise NoRoot(f"{KEYRING} is missing; on Debian and Ubuntu: apt install debian-archive-keyring")
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    if sources.exists():
        found = _first(r"^URIs:\s*(\S+)", [sources])
    else:
        lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.list"))]
        found = _first(r"^deb\s+(?:\[.*?\]\s+)?(\S*debian\S*)", lists)
    return found or "http://deb.debian.org/debian"


def _first(pattern: str, files: Iterable[Path]) -> str | None:
    for path in files:
        if path.exists() and (found := re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)):
            return found.group(1)
    return None


if __name__ == "__main__":
    try:
        print(gimp_root(*sys.argv[1:2]))
    except NoRoot as why:
        sys.exit(str(why))
