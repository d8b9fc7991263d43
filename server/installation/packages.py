"""The packages in `.venv`: pip, and what it is told to install."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from server.installation import environment, machine
from server.installation.environment import BUILDING, LOCK, ROOT, TEST_LOCK
from server.installation.problems import RUN_AGAIN, Problem, explain_pip
from server.installation.progress import Progress, pip_event
from server.private import make_private_folder

PYTORCH_INDEX = "https://download.pytorch.org/whl/"


def pip_environment() -> dict[str, str]:
    """The user's pip settings, less those that would install elsewhere or wait for an answer."""
    dropped = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    return {
        **kept,
        "PIP_USER": "0",
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
        "LC_ALL": "C.UTF-8",
    }


def refuse_other_places(settings: str) -> None:
    """Raise `Problem` where `pip config list` tells of a file that moves packages; nothing can overrule it."""
    found = re.search(r"^(?:global|install)\.(target|prefix|root)=.*$", settings, re.MULTILINE)
    if found:
        raise Problem(
            f"A settings file of pip makes it install into another folder ({found.group()}).",
            f"Take `{found.group(1)}` out of it (`pip config debug` says where it is), and {RUN_AGAIN}.",
        )


def pip_command(venv: Path, *arguments: str) -> list[str]:
    """The command line of the environment's pip."""
    return [str(environment.python_of(venv)), "-m", "pip", *arguments]


def pip_settings(venv: Path) -> str:
    """What `pip config list` says."""
    command = pip_command(venv, "config", "list")
    return subprocess.run(command, capture_output=True, text=True, env=pip_environment()).stdout


def pip_install(venv: Path, arguments: list[str], progress: Progress) -> tuple[bool, str]:
    """Run `pip install`, one progress line per package; return whether it succeeded, and its output."""
    command = pip_command(venv, "install", "--progress-bar", "off", "--retries", "2", *arguments)
    lines: list[str] = []
    with open_log() as log:
        log.write(f"$ {' '.join(command)}\n")
        with running(command) as child:
            assert child.stdout is not None
            for line in child.stdout:
                lines.append(line)
                log.write(line)
                if line.startswith("Installing collected packages"):
                    (venv / BUILDING).touch()  # from here on, an interrupted run leaves packages half-written
                if text := pip_event(line):
                    progress.start(text)
            code = child.wait()
    progress.finish()
    return code == 0, "".join(lines)


@contextlib.contextmanager
def open_log() -> Iterator[TextIO]:
    """The installation log, for appending."""
    path = machine.log_path()
    make_private_folder(path.parent)
    with path.open("a", encoding="utf-8") as file:
        yield file


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A child whose output is read line by line; one that an interruption left running is ended."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=pip_environment(),
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def torch_requirement(build: str) -> str:
    """The pinned PyTorch, with its build's label where builds have one: torch==2.13.0+cpu."""
    version = re.search(r"^torch==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert version, "requirements.lock pins torch"
    return f"torch=={version.group(1)}" + (f"+{build}" if build else "")


def install_torch(venv: Path, build: str, progress: Progress) -> None:
    """Install the wanted build of PyTorch.

    A label such as +cpu names one exact build. The pip settings of the machine may know it (a studio's mirror, a
    folder of wheels), so they are asked first; PyTorch's own index, which holds all builds, comes second.
    """
    requirement = torch_requirement(build)
    # The CPU build needs only what the lock lists; a CUDA build names NVIDIA's packages itself.
    scope = ["--no-deps"] if build in ("cpu", "") else ["--constraint", str(LOCK)]
    progress.start(f"PyTorch {requirement.split('==')[1]}")
    installed, output = pip_install(venv, [*scope, requirement], progress)
    if not installed and build and "No matching distribution" in output:
        progress.start(f"PyTorch {requirement.split('==')[1]} from PyTorch's own index")
        installed, output = pip_install(
            venv, [*scope, "--extra-index-url", PYTORCH_INDEX + build, requirement], progress
        )
    if not installed:
        raise explain_pip(output, f"PyTorch ({requirement})")


def install_packages(venv: Path, build: str, test: bool, progress: Progress) -> None:
    """PyTorch, then every other pinned package, then the project itself (editable: the checkout is what runs)."""
    refuse_other_places(pip_settings(venv))
    install_torch(venv, build, progress)
    locks = ["-r", str(LOCK), *(["-r", str(TEST_LOCK)] if test else [])]
    project = ["--no-build-isolation", "--editable", str(ROOT)]
    for step, arguments in (("the pinned packages", locks), ("the project itself", project)):
        progress.start(step)
        installed, output = pip_install(venv, ["--no-deps", *arguments], progress)
        if not installed:
            raise explain_pip(output, step)
