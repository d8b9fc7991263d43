"""Start a real Krita under Xvfb with the installed plug-in and the driver, run cases in it, read what they found."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).with_name("inside")
ROOT = Path(__file__).resolve().parents[3]
DISPLAY_TRIES = 3
MODULES = ("basics", "selections", "trees", "again", "leaving_out", "waiting", "tools", "colours", "large", "leaving")


@dataclass
class Setup:
    """Where one Krita lives: a home of its own below `folder`."""

    folder: Path
    photo: Path  # raw RGBA in Krita's order, 320 x 240
    state: Path  # the server's state folder
    root: Path | None = None  # a Debian with another Krita (krita_root.py); None: this machine's
    only: str = ""
    repeat: int = 1
    modules: tuple[str, ...] = MODULES

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def resources(self) -> Path:
        return self.home / ".local/share/krita"


def load_spaces() -> Any:
    """The driver's list of colour spaces, without the driver."""
    spec = importlib.util.spec_from_file_location("krita_spaces", INSIDE / "dgfnet_driver" / "spaces.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def case_names() -> list[str]:
    """Every case, in the order in which they run."""
    spaces = load_spaces()
    names = []
    for module in MODULES:
        text = (INSIDE / "dgfnet_driver" / f"{module}.py").read_text()
        names += re.findall(r"^@case\ndef (\w+)", text, re.MULTILINE)
        if module == "colours":
            names += [spaces.case_name(space, output) for space in spaces.SPACES for output in ("layer", "group")]
    return names


def other_root() -> Path | None:
    """The folder with another Debian's Krita that the tests are to use; None: this machine's Krita."""
    path = os.environ.get("DGFNET_KRITA_ROOT")
    return Path(path) if path else None


def missing(root: Path | None = None) -> str:
    """Why Krita cannot be run here; empty if it can."""
    lacking = [program for program in ("bwrap" if root else "krita", "Xvfb") if not shutil.which(program)]
    return f"not installed: {', '.join(lacking)} (Debian: krita python3-pyqt5 xvfb)" if lacking else ""


def write_launch(state: Path, weights: Path | str | None) -> None:
    """How the plug-in starts the server."""
    state.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "server", "--device", "cpu", *(["--weights", str(weights)] if weights else [])]
    (state / "launch.json").write_text(json.dumps({"command": command, "cwd": str(ROOT)}))


def install(setup: Setup) -> None:
    """The plug-in as install.py puts it there, the driver beside it, and a quiet Krita."""
    from plugin_krita import installation

    setup.resources.mkdir(parents=True, exist_ok=True)
    installation.install(setup.resources)
    plugins = setup.resources / "pykrita"
    shutil.copytree(INSIDE / "dgfnet_driver", plugins / "dgfnet_driver", dirs_exist_ok=True)
    shutil.copyfile(INSIDE / "dgfnet_driver.desktop", plugins / "dgfnet_driver.desktop")
    config = setup.home / ".config"
    config.mkdir(exist_ok=True)
    quiet = "[hideSplash]\nHideSplashScreen=true\n\n[theme]\nTheme=Krita dark\n"
    settings = installation.with_plugin(quiet, True)
    (config / "kritarc").write_text(settings.replace("[python]\n", "[python]\nenable_dgfnet_driver=true\n"))
    (config / "kritadisplayrc").write_text("[General]\nEnableSingleApplication=false\n")


SYSTEM_PATH = "/usr/bin:/bin"
"""PATH for Krita: its Python takes its prefix from the first python3 there, and a virtual environment's hides PyQt5."""


def environment(setup: Setup, out: Path) -> dict[str, str]:
    runtime = setup.folder / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PYTHON", "QT_"))}
    return {
        **kept,
        "PATH": SYSTEM_PATH,
        "HOME": str(setup.home),
        "XDG_RUNTIME_DIR": str(runtime),
        "DGFNET_HOME": str(setup.state),
        "DGFNET_KRITA_OUT": str(out),
        "DGFNET_KRITA_MODULES": ",".join(setup.modules),
        "DGFNET_KRITA_ONLY": setup.only,
        "DGFNET_KRITA_REPEAT": str(setup.repeat),
        "DGFNET_KRITA_PHOTO": str(setup.photo),
        "QT_LOGGING_RULES": "krita.*=false",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "OMP_NUM_THREADS": "1",
    }


def entry(setup: Setup) -> list[str]:
    """The words before `krita` that run it in a root: with this Python and checkout, which the server needs, in it."""
    if setup.root is None:
        return []
    inside = ["bwrap", "--bind", str(setup.root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    for path in sorted({Path(sys.prefix), Path(sys.base_prefix), ROOT, Path("/tmp/.X11-unix")}):
        inside += ["--ro-bind", str(path), str(path)]
    return [*inside, "--bind", str(setup.folder), str(setup.folder), "--die-with-parent"]


@contextlib.contextmanager
def display(size: str = "1400x900x24") -> Iterator[str]:
    """An X server on a free display."""
    for _ in range(DISPLAY_TRIES):
        process, number = _start_display(size)
        # Where two start at a time, one may take away the other's socket.
        time.sleep(0.5)
        if process.poll() is None and Path(f"/tmp/.X11-unix/X{number}").exists():
            break
        process.kill()
        process.wait()
    try:
        yield f":{number}"
    finally:
        process.terminate()
        process.wait(10)


def _start_display(size: str) -> tuple[subprocess.Popen[bytes], str]:
    read, write = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        return process, pipe.readline().strip()


def run(setup: Setup, seconds: float) -> dict[str, Any]:
    """Run the cases; their reports by name. The last one, `krita_ends_well`, says how the program itself ended."""
    out = setup.folder / "out"
    out.mkdir()
    install(setup)
    log = setup.folder / "krita.log"
    with display() as name, log.open("wb") as output:
        variables = {**environment(setup, out), "DISPLAY": name}
        process = subprocess.Popen(
            [*entry(setup), "krita", "--nosplash"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + seconds
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
            code = process.wait()
    reports = read_reports(out)
    failure = "" if (out / "done").exists() else f"Krita ended with {code}: {log.read_text(errors='replace')[-2000:]}"
    ending = {
        "error": failure or (f"code {code}" if code else ""),
        "crashed": bool(failure) and (code < 0 or code > 128),
    }
    reports["krita_ends_well"] = {"case": "krita_ends_well", **ending}
    return reports


def read_reports(out: Path) -> dict[str, Any]:
    """What the cases of a session have found so far."""
    path = out / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {report["case"]: report for report in map(json.loads, lines)}


def stop_server(state: Path) -> None:
    """End the server that the plug-in started."""
    from server.client import transport
    from server.client.errors import InpaintError

    with contextlib.suppress(InpaintError):
        transport.connect("tests", state, start=False).shutdown()
