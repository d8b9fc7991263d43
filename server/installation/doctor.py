"""`install.py doctor`: each point of the installation, with a fix for each problem."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from server.client.discovery import LAUNCH_FILE
from server.client.errors import INSTALL
from server.installation import environment, machine
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
    gpus = machine.find_gpus()
    silent = "nvidia-smi does not answer" if gpus is None else "no NVIDIA driver"
    yield Check("GPU", f"NVIDIA driver {gpus[0].driver}" if gpus else f"{silent}; the CPU is used")
    python = environment.python_of(VENV)
    stamp = environment.read_stamp(VENV)
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
    packages = subprocess.run([str(python), "-m", "pip", "check"], capture_output=True, text=True)
    yield Check("packages", last_line(packages), REINSTALL if packages.returncode else "")
    probe = "import torch; c = torch.cuda; print(torch.__version__, c.get_device_name() if c.is_available() else 'CPU')"
    torch = subprocess.run([str(python), "-c", probe], capture_output=True, text=True)
    yield Check("PyTorch", last_line(torch), REINSTALL if torch.returncode else "")
    if str(stamp.get("build")).startswith("cu") and torch.stdout.strip().endswith("CPU"):
        yield Check(
            "CUDA",
            "the CUDA build does not see the GPU",
            f"Update the NVIDIA driver, or run `{INSTALL} --cpu`.",
        )
    launch = machine.state_folder(host) / LAUNCH_FILE
    try:
        points_here = json.loads(launch.read_text(encoding="utf-8"))["cwd"] == str(ROOT)
    except (OSError, ValueError, KeyError, TypeError):
        points_here = False
    leads = "leads here" if points_here else "does not lead here"
    yield Check(LAUNCH_FILE, f"{launch} {leads}", "" if points_here else REINSTALL)
    yield from editor_checks(host)


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
