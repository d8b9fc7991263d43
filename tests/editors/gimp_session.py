"""Starts the server and the real GIMP, sealed off by bubblewrap, and lets gimp_driver.py do the cases in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from gimp_cases import CASES
from PIL import Image

from dgfnet import model
from plugin_gimp import installation

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
THREADS = "1"  # the same sums in the same order on both sides
SECONDS = 1500
MARKER = "DRIVER_OK"
NUMBER = str(100 + os.getpid() % 800)  # sessions share abstract sockets: each needs a screen of its own number
SCREEN = ["xvfb-run", "-n", NUMBER, "-s", "-screen 0 1280x800x24 -nolisten tcp", "dbus-run-session", "--"]


class Session:
    """An exchange folder with a profile that the plug-in is installed in, and a server for it."""

    def __init__(self, root: Path, work: Path, weights: Path) -> None:
        self.root, self.work, self.weights = root, work, weights
        self.state = work / "state"
        for folder in (self.state, work / "slow", work / "results"):
            folder.mkdir(parents=True, exist_ok=True)
        installation.install(work / "profile")
        (work / "profile" / "gimprc").write_text("(check-updates no)\n(show-welcome-dialog no)\n")
        self._processes: list[subprocess.Popen[bytes]] = []

    def start_server(self, *command: str, home: Path) -> None:
        """Start a server with this Python and wait for its connection file."""
        environment = {**os.environ, "OMP_NUM_THREADS": THREADS, "PYTHONPATH": str(ROOT)}
        log = (home / "output.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        self._processes.append(process)
        deadline = time.monotonic() + 120
        while not (home / "connection.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {(home / 'output.log').read_text()}")
            time.sleep(0.05)

    def start_servers(self) -> None:
        """The real one, and one whose jobs never end."""
        self.start_server(
            "-m", "server", "--home", str(self.state), "--weights", str(self.weights), "--idle-minutes", "0",
            home=self.state,
        )  # fmt: skip
        self.start_server(str(HERE / "gimp_slow_server.py"), str(self.work / "slow"), home=self.work / "slow")

    def stop_servers(self) -> None:
        """End what was started here."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def command(self, *words: str, profile: str = "profile", **environment: str) -> list[str]:
        """A command inside the root, which sees the exchange folder under its own name and nothing else."""
        settings = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "GIMP3_DIRECTORY": str(self.work / profile),
            "DGFNET_HOME": str(self.state),
            "WORK": str(self.work),
            "CASES": str(HERE),
            **environment,
        }
        sealed = ["bwrap", "--ro-bind", str(self.root), "/", "--dev", "/dev", "--proc", "/proc"]
        sealed += ["--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/root", "--tmpfs", "/home", "--tmpfs", "/mnt"]
        sealed += ["--bind", str(self.work), "/mnt/work", "--ro-bind", str(HERE), "/mnt/cases"]
        sealed += ["--die-with-parent", "--clearenv"]
        for name, value in settings.items():
            inside = value.replace(str(self.work), "/mnt/work").replace(str(HERE), "/mnt/cases")
            sealed += ["--setenv", name, inside]
        return [*sealed, *words]

    def drive(self, task: dict[str, object], profile: str = "profile", screen: bool = False) -> subprocess.Popen[str]:
        """Begin a batch session of GIMP; `task` is read by gimp_driver.py. With a `screen`, it is the full GIMP."""
        return self.begin("gimp_driver.py", profile, screen, TASK=json.dumps(task))

    def begin(self, script: str, profile: str, screen: bool, **environment: str) -> subprocess.Popen[str]:
        """Begin a GIMP that runs a script of this folder and ends."""
        words = [*SCREEN, "gimp", "--no-splash", "--new-instance"] if screen else ["gimp-console", "-i"]
        code = f"exec(compile(open('/mnt/cases/{script}').read(), '{script}', 'exec'))"
        words += ["--batch-interpreter=python-fu-eval", "-b", code, "--quit"]
        return subprocess.Popen(
            self.command(*words, profile=profile, **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def results(self) -> dict[str, dict[str, object]]:
        """What the driver wrote down, by case."""
        found = {}
        for number, case in enumerate(CASES):
            path = self.work / "results" / f"{number:02d}.json"
            if path.exists():
                found[case.name] = json.loads(path.read_text())
        return found

    def version(self) -> str:
        """GIMP's own version."""
        return (self.work / "results" / "version").read_text().strip()

    def array(self, described: dict[str, object]) -> np.ndarray:
        """Pixels that the driver wrote."""
        dtype = np.dtype(str(described["dtype"]))
        return np.fromfile(self.work / "results" / str(described["file"]), dtype).reshape(described["shape"])


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a session's end; its output. Raises RuntimeError where the driver did not get through."""
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise RuntimeError(f"GIMP did not end within {SECONDS} s:\n{output[-3000:]}") from None
    if process.returncode or MARKER not in output:
        raise RuntimeError(f"GIMP ended with status {process.returncode}:\n{output[-6000:]}")
    return output


@contextlib.contextmanager
def running(root: Path, work: Path, weights: Path | None = None) -> Iterator[Session]:
    """A session with its servers at work. Without `weights`, a small network of random weights stands in."""
    work.mkdir(parents=True, exist_ok=True)
    write_pictures(work)
    if weights is None:
        weights = work / "random.safetensors"
        torch.manual_seed(4)
        model.save(model.DGFNet(model.DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2)), weights)
    session = Session(root, work, weights)
    try:
        session.start_servers()
        yield session
    finally:
        session.stop_servers()


def write_pictures(work: Path) -> None:
    """A part of a real photograph, and a larger one of several parts."""
    from skimage import data

    whole = data.astronaut()
    Image.fromarray(whole[10:170, 120:312]).save(work / "photo.png")
    Image.fromarray(np.tile(whole, (2, 2, 1))[:900, :980]).save(work / "large.png")


def run_cases(session: Session, names: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """Do some cases (all unless named) in one GIMP, which has a screen, so that they can be undone; its output.

    `more`: "failures" (gimp_failures.py), "inside" (gimp_inside.py).
    """
    return finish(session.drive({"cases": list(names), **dict.fromkeys(more, True)}, screen=True))
