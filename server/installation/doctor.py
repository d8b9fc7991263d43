"""`install.py doctor`: each point of the installation, with a fix for each problem."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from server.client.discovery import LAUNCH_FILE, read_launch_command
from server.client.errors import INSTALL, InpaintError
from server.installation import environment, machine, packages
from server.installation.checks import REINSTALL, Check, report
from server.installation.editors import NO_PROFILE, check_plugin, profiles_of
from server.installation.environment import ROOT, VENV
from server.installation.machine import Host
from server.installation.problems import Problem, last_line


def doctor() -> None:
    """Print each check as ok or problem with its fix, then the checks of `dgfnet doctor`."""
    problems = report(doctor_checks(machine.this_host()))
    if environment.runs(environment.python_of(VENV)):
        problems += environment.in_venv("dgfnet.cli", "doctor") != 0
    if problems:
        raise Problem("The doctor found a problem.", "The lines marked `problem` say the fix.")


def doctor_checks(host: Host) -> Iterator[Check]:
    """What can be seen from outside the environment."""
    yield Check("Python", f"{sys.version.split()[0]} at {sys.executable}")
    python = environment.python_of(VENV)
    stamp = environment.read_stamp(VENV)
    yield gpu_check(host, stamp)
    if not environment.runs(python):
        yield Check(".venv", f"{python} is missing or does not start", REINSTALL)
        return
    if stamp is None:
        yield Check(".venv", "an installation was begun and not finished", REINSTALL)
        return
    held = {**environment.wanted_stamp(str(stamp.get("build", "")), test=False), "python": stamp.get("python")}
    stale = environment.plan(stamp, held) != "keep"
    yield Check(
        ".venv", f"{'out of date' if stale else 'complete'}, Python {stamp.get('python')}", REINSTALL if stale else ""
    )
    pip = answer_of(python, "-m", "pip", "check")
    yield Check("packages", last_line(pip), REINSTALL if pip.returncode else "")
    # The device's name would need the device to work, which is for `dgfnet doctor` to see.
    probe = "import torch; print(torch.__version__, 'CUDA' if torch.cuda.is_available() else 'CPU')"
    torch = answer_of(python, "-c", probe)
    yield Check("PyTorch", last_line(torch), REINSTALL if torch.returncode else "")
    if str(stamp.get("build")).startswith("cu") and torch.stdout.strip().endswith("CPU"):
        yield Check(
            "CUDA",
            "the CUDA build does not see the GPU",
            f"Update the NVIDIA driver, or run `{INSTALL} --cpu`.",
        )
    yield launch_check(host)
    yield from editor_checks(host)


def gpu_check(host: Host, stamp: dict[str, object] | None) -> Check:
    """The GPU that was found, and whether the PyTorch of a finished installation leaves it idle."""
    gpus = machine.find_gpus()
    silent = "nvidia-smi does not answer" if gpus is None else "no NVIDIA driver"
    found = f"NVIDIA driver {gpus[0].driver}" if gpus else f"{silent}; the CPU is used"
    if stamp is not None:
        held = str(stamp.get("build", ""))
        build, _ = machine.choose_build(gpus, host.platform, bool(stamp.get("cpu_only")), held)
        if build.startswith("cu") and not held.startswith("cu"):
            fix = f"Run `{INSTALL}`, or `{INSTALL} --cpu` to keep to the CPU."
            return Check("GPU", f"{found}, but PyTorch is installed without CUDA", fix)
    return Check("GPU", found)


def launch_check(host: Host) -> Check:
    """Whether editors start the server of this folder, in this environment."""
    state = machine.state_folder(host)
    try:
        launch = read_launch_command(state)
    except InpaintError as error:
        return Check(LAUNCH_FILE, error.message, error.action)
    leads_here = launch.cwd == str(ROOT) and launch.command[0] == str(environment.python_of(VENV))
    leads = "leads here" if leads_here else "does not lead here"
    return Check(LAUNCH_FILE, f"{state / LAUNCH_FILE} {leads}", "" if leads_here else REINSTALL)


def answer_of(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the environment's Python without the user's settings of other Pythons."""
    command = [str(python), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=packages.pip_environment())


def editor_checks(host: Host) -> Iterator[Check]:
    """One line for each profile of each editor."""
    found = profiles_of(host)
    for editor, profile in found:
        if profile.refusal:
            yield Check("editor", f"{profile.where}: left alone, {profile.refusal}")
        else:
            problems = check_plugin(editor.package, profile.folder)
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            detail = f"{problems[0]}{more}" if problems else "plug-in installed"
            yield Check("editor", f"{profile.where}: {detail}", REINSTALL if problems else "")
    if not found:
        yield Check("editor", NO_PROFILE)
