"""The commands of install.py: install, test, doctor, uninstall."""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import signal
import sys
from pathlib import Path

from server.client.discovery import CONNECTION_FILE, LAUNCH_FILE, LAUNCH_LOG, SERVER_LOG
from server.client.errors import INSTALL
from server.installation import building, environment, machine
from server.installation.doctor import doctor
from server.installation.editors import install_plugins, remove_plugins
from server.installation.environment import ROOT, VENV
from server.installation.machine import Host
from server.installation.problems import CHECK_AGAIN, REMOVE_AGAIN, RUN_AGAIN, Problem, explain_os_error, together
from server.locking import LOCK_FILE, has_ended
from server.private import write_private


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Set up DGFNet Inpaint for GIMP 3 and Krita.")
    commands = ("install", "doctor", "uninstall")
    parser.add_argument("command", nargs="?", choices=commands, default="install", help="what to do (default: install)")
    cpu_help = "install PyTorch without CUDA, whatever the machine has; later runs remember it"
    parser.add_argument("--cpu", action=argparse.BooleanOptionalAction, help=cpu_help)
    parser.add_argument("--no-editors", action="store_true", help="leave GIMP and Krita alone")
    parser.add_argument("--test", action="store_true", help="set up what is missing and run the checks and tests")
    options = parser.parse_args(arguments)
    if options.command != "install" and (options.cpu is not None or options.no_editors or options.test):
        parser.error(f"{options.command} takes no options")
    again = {"install": RUN_AGAIN, "doctor": CHECK_AGAIN, "uninstall": REMOVE_AGAIN}[options.command]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill cleans up as Ctrl+C does
    try:
        if options.command == "doctor":
            doctor()
        elif options.command == "uninstall":
            uninstall()
        elif options.test:
            run_tests(options.cpu)
        else:
            install(options.cpu, editors=not options.no_editors)
    except Problem as problem:
        print(f"\n{problem.sentence} {problem.action}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{explain_os_error(error, again)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. To go on, {again}.", file=sys.stderr)
        return 130
    return 0


def install(cpu_only: bool | None, editors: bool) -> None:
    """The whole road: packages, launch.json, plug-ins, proof."""
    host = machine.this_host()
    end_server(host)  # one that runs from this .venv holds its files
    building.prepare(cpu_only, test=False)
    print(f"Editors start the server as {write_launch(host)} says")
    if not end_server(host):  # one of another folder, or one that was started meanwhile; it would prove the wrong code
        raise server_is_left(host, RUN_AGAIN)
    problems = install_plugins(host) if editors else []
    print("Proof: a real photograph through the server", flush=True)
    if environment.in_venv("dgfnet.demo"):
        sentence = "The proof of the installation failed (see above)."
        problems.append(Problem(sentence, f"Run `{INSTALL} doctor`."))
    if problems:
        raise together(problems)


def run_tests(cpu_only: bool | None) -> None:
    """Set up what is missing and run every check; all of them run, whichever fails."""
    building.prepare(cpu_only, test=True)
    failed = []
    # Two processes, each with whole files: the two editors, of one session each, run beside each other.
    for check in ("ruff check .", "ruff format --check .", "mypy", "pytest --numprocesses 2 --dist loadfile"):
        print(f"\n$ {check}", flush=True)
        if environment.in_venv(*check.split()):
            failed.append(check)
    if failed:
        raise Problem(f"Failed: {', '.join(failed)}.", "See the output above.")


def uninstall() -> None:
    """Stop the server and remove what install.py made, naming each piece."""
    host = machine.this_host()
    if not environment.is_ours(VENV):
        raise Problem(f"{VENV} was not made by install.py.", "Remove it yourself if it is not needed.")
    ended = end_server(host)
    problems = remove_plugins(host)
    if not ended:
        problems.append(server_is_left(host, REMOVE_AGAIN))
    for path in leftovers(host, ended):
        if path in (VENV, environment.set_aside(VENV)):
            environment.remove_venv(path)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        print(f"removed {path}")
    with contextlib.suppress(OSError):
        machine.state_folder(host).rmdir()  # only when nothing else is in it
    print(f"Your pictures, and {ROOT} itself, were not touched.")
    if problems:
        raise together(problems)


def leftovers(host: Host, ended: bool) -> list[Path]:
    """What install.py and the server made outside the editors, as far as it exists. Pictures are never among it.

    While a server runs, its files are not left over.
    """
    names = [LAUNCH_FILE]
    if ended:
        names += [CONNECTION_FILE, LOCK_FILE, SERVER_LOG, LAUNCH_LOG, machine.INSTALL_LOG]
    # Halves of interrupted writes have a process's number at the end, older logs have one too.
    ours = re.compile(f"({'|'.join(map(re.escape, names))})([.][0-9]+)?")
    files = sorted(path for path in machine.state_folder(host).glob("*") if ours.fullmatch(path.name))
    named = [path for path in files if path.is_file()]
    venvs = [VENV, *([environment.set_aside(VENV)] if environment.is_ours(environment.set_aside(VENV)) else [])]
    return [path for path in [*venvs, *named, *sorted(ROOT.glob("*.egg-info"))] if path.exists()]


def end_server(host: Host) -> bool:
    """End this user's server, as far as `.venv` can; whether none is left."""
    if is_serving(host) and environment.read_stamp(VENV) and environment.runs(environment.python_of(VENV)):
        environment.in_venv("dgfnet.cli", "stop")
    return not is_serving(host)


def is_serving(host: Host) -> bool:
    """Whether this user has a server, whichever folder it runs from."""
    try:
        return not has_ended(machine.state_folder(host))
    except PermissionError:  # another user's lock, beside which this user can start no server either
        raise
    except OSError:  # a disk without locks, where no server can run
        return False


def server_is_left(host: Host, again: str) -> Problem:
    """For a server that `end_server` could not end."""
    number = f"its computer and the number of its process are in {machine.state_folder(host) / CONNECTION_FILE}"
    return Problem("A server still runs and could not be ended.", f"End it ({number}), and {again}.")


def write_launch(host: Host) -> Path:
    """Tell the clients how to start the server (docs/protocol.md, launch.json)."""
    path = machine.state_folder(host) / LAUNCH_FILE
    write_private(path, {"command": [str(environment.python_of(VENV)), "-m", "server"], "cwd": str(ROOT)})
    return path
