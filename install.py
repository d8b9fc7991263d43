#!/usr/bin/env python3
"""Set up DGFNet Inpaint: `python3 install.py`. Needs Python 3.10 or newer and nothing else.

Makes `.venv` beside this file, installs the packages of requirements.lock, tells the editors how to start the server,
installs the plug-ins, and proves the installation by filling a hole in a real photograph through the server.

The whole file keeps to the grammar of Python 3.6, so that older Pythons get as far as the sentence of the check below.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit(
        f"DGFNet Inpaint needs Python 3.10 or newer, and this is Python {PYTHON}. "
        "Install a newer one and run install.py with it, for instance: python3.12 install.py"
    )

NEWEST = (3, 14)  # the newest Python that the pinned PyTorch is built for
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK, TEST_LOCK = ROOT / "requirements.lock", ROOT / "requirements-test.lock"
STAMP = "dgfnet-install.json"  # in .venv: what a finished installation holds
BUILDING = "dgfnet-building"  # in .venv: present from the first change to the last
PYTORCH_INDEX = "https://download.pytorch.org/whl/"
# Only for a Python without ensurepip (Debian's, without python3-venv) and without pip of its own.
PIP_INDEX = "https://pypi.org/simple"
PIP_WHEEL, PIP_SHA256 = "pip-26.3-py3-none-any.whl", "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
NEEDED_GB = {"cpu": 2, "": 2}  # free disk space for a first installation; a CUDA build needs
CUDA_GB = 12
RUN_AGAIN = "run install.py again"
NO_PROFILE = f"no GIMP or Krita profile found; start the editor once, then {RUN_AGAIN}"


class Problem(Exception):
    """A step that failed: one sentence for what happened, one for what to do."""

    def __init__(self, sentence: str, action: str) -> None:
        super().__init__(f"{sentence} {action}")
        self.sentence, self.action = sentence, action


# ---------------------------------------------------------------- progress


class Progress:
    """One line per piece of work, with the seconds it took: rewritten in place on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self._text, self._began, self._told = "", 0.0, 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Progress":
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        self._ended.set()
        self._ticker.join()

    def start(self, text: str) -> None:
        """End the current line and begin another."""
        self.finish()
        with self._lock:
            self._text, self._began = text, time.monotonic()
            self._told = self._began
            if not self.live:
                print(f"  {text}", flush=True)
        self._draw()

    def finish(self) -> None:
        """End the current line with the seconds it took."""
        self._draw()
        with self._lock:
            if self._text and self.live:
                print(flush=True)
            self._text = ""

    def _draw(self) -> None:
        with self._lock:
            if self._text and self.live:
                width = shutil.get_terminal_size().columns - 1
                line = f"  {self._text[: width - 12]}  {time.monotonic() - self._began:.0f} s"
                print(
                    "\r" + line.ljust(width), end="", flush=True
                )  # blanks, not escapes: old Windows consoles show those

    def _tick(self) -> None:
        while not self._ended.wait(1):
            self._draw()
            with self._lock:
                now = time.monotonic()
                if self._text and not self.live and now - self._told >= 30:
                    self._told = now
                    print(f"  {self._text}: {now - self._began:.0f} s so far", flush=True)


def pip_event(line: str) -> str | None:
    """The text to show for one line of pip's output, None for a line that says nothing to a user."""
    line = urllib.parse.unquote(line.strip())
    found = re.match(
        r"(Downloading|Using cached|Processing) (?:\S*[/\\])?([^/\\ ]+)-(\d[^-]*)-\S+\.whl( \(.*\))?$", line
    )
    if found:
        verb, name, version, size = found.groups()
        source = {"Downloading": "", "Using cached": ", cached", "Processing": ", from disk"}[verb]
        return f"{name.replace('_', '-')} {version}{size or ''}{source}"
    if line.startswith("Installing collected packages:"):
        count = line.count(",") + 1
        return f"unpacking {count} package{'s' if count > 1 else ''}"
    return None


# ---------------------------------------------------------------- failures in plain words

NO_NETWORK = re.compile(
    r"NewConnectionError|Failed to establish a new connection|name resolution|Name or service not known|"
    r"getaddrinfo failed|nodename nor servname|Connection refused|Connection to \S+ timed out|Read timed out|"
    r"ProxyError|Network is unreachable|Max retries exceeded|RemoteDisconnected|"
    r"Connection (?:aborted|reset|broken)|IncompleteRead"
)


def explain_pip(output: str, step: str) -> Problem:
    """The sentence and the action for pip output that ended in a failure."""
    if re.search(r"No space left on device|not enough space on the disk|Errno 28", output):
        action = (
            f"Free some gigabytes, also for temporary files (TMPDIR names another folder for them), and {RUN_AGAIN}."
        )
        return Problem(f"The disk is full while installing {step}.", action)
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLError|SSL: ", output):
        action = f"Check the computer's clock and its certificates (PIP_CERT names a company's own), and {RUN_AGAIN}."
        return Problem(f"No secure connection to the package index while installing {step}.", action)
    if NO_NETWORK.search(output):
        action = f"Check the connection (a proxy is named by HTTPS_PROXY), and {RUN_AGAIN}."
        return Problem(f"The package index could not be reached while installing {step}.", action)
    if re.search(r"Permission denied|Read-only file system|Access is denied", output):
        return Problem(f"A folder could not be written while installing {step}.", f"Make it writable and {RUN_AGAIN}.")
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        systems = "64-bit Linux, Windows or a Mac with Apple silicon"
        action = f"Python 3.10 to 3.14 on {systems} is needed; {RUN_AGAIN} with one."
        return Problem(
            f"The package index has no {missing.group(1).rstrip(';')} for this system and this Python.", action
        )
    errors = re.findall(r"^\s*ERROR: (.+)$", output, re.MULTILINE)
    detail = f" ({errors[-1].strip().rstrip('.')})" if errors else ""
    return Problem(f"Installing {step} failed{detail}.", f"Read {log_path()}, and {RUN_AGAIN}.")


def explain_os_error(error: OSError) -> Problem:
    """The sentence and the action for a file system that refused."""
    where = f" at {error.filename}" if error.filename else ""
    reason = error.strerror or str(error)
    return Problem(
        f"A file or folder could not be written{where}: {reason}.", f"Make room or make it writable, and {RUN_AGAIN}."
    )


# ---------------------------------------------------------------- this machine


class Host(NamedTuple):
    """The three things that decide where files lie; tests make their own."""

    platform: str  # as sys.platform
    home: Path
    environ: Mapping[str, str]

    def folder(self, variable: str, default: str) -> Path:
        """The folder that an environment variable names, else a default below the home folder."""
        return Path(self.environ.get(variable) or self.home / default)


def this_host() -> Host:
    """The machine that this runs on."""
    return Host(sys.platform, Path.home(), os.environ)


def state_folder(host: Host) -> Path:
    """Where the server and its clients find each other; the clients' own rule."""
    from server.client.discovery import state_folder as of_clients  # too new for the Pythons refused above

    return of_clients(host.environ, host.platform, host.home)


def log_path() -> Path:
    """The file that keeps all of pip's output."""
    return state_folder(this_host()) / "install.log"


class Gpu(NamedTuple):
    """One line of nvidia-smi: the driver's major version and the compute capability (0 where not told)."""

    driver: int
    capability: float


def parse_gpus(text: str) -> list[Gpu]:
    """Read `nvidia-smi --query-gpu=driver_version,compute_cap --format=csv,noheader`."""
    found = re.findall(r"^\s*(\d+)[\d.]*\s*,\s*(\d+\.\d+|\[.*\]|)\s*$", text, re.MULTILINE)
    return [Gpu(int(driver), float(cap) if cap[:1].isdigit() else 0.0) for driver, cap in found]


def find_gpus() -> list[Gpu] | None:
    """NVIDIA's devices; None where there is a driver that names none, as between its update and a restart."""
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    query = [program, "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
    try:
        return parse_gpus(subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout) or None
    except (OSError, subprocess.SubprocessError):
        return None


def choose_build(gpus: list[Gpu] | None, platform: str, cpu_only: bool, held: str = "") -> tuple[str, str]:
    """PyTorch's build for this machine and the reason: "cpu", "cu126", "cu130", or "" for the index's only one.

    `held` is the build that is installed; it stays while the driver does not answer. CUDA 13 asks for driver 580 and
    compute capability 7.5 (Turing); CUDA 12.6 for driver 525 and 5.0 to 9.0.
    """
    if platform == "darwin":
        return "", "macOS has one build"
    if cpu_only:
        return "cpu", "asked for with --cpu; --no-cpu takes that back"
    if gpus is None and held:
        return held, "kept, since nvidia-smi does not answer"
    if not gpus:
        return "cpu", "no NVIDIA driver answers"
    best = max(gpus, key=lambda gpu: gpu.capability)
    if best.driver >= 580 and best.capability >= 7.5:
        return "cu130", f"NVIDIA driver {best.driver}"
    if best.driver >= 525 and 5.0 <= best.capability < 10:
        return "cu126", f"NVIDIA driver {best.driver}, compute capability {best.capability}"
    return (
        "cpu",
        f"NVIDIA driver {best.driver} is too old for this GPU or the GPU too old for CUDA 12; a newer driver may help",
    )


# ---------------------------------------------------------------- .venv


def python_of(venv: Path) -> Path:
    """The Python of a virtual environment."""
    return venv / "Scripts/python.exe" if os.name == "nt" else venv / "bin/python"


def digest(*files: Path) -> str:
    """One hash of the content of some files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def wanted_stamp(build: str, test: bool, cpu_only: bool = False) -> dict[str, object]:
    """What a finished installation with these choices holds."""
    return {
        "python": PYTHON,
        "root": str(ROOT),
        "build": build,
        "cpu_only": cpu_only,
        "lock": digest(LOCK, ROOT / "pyproject.toml"),
        "test": digest(TEST_LOCK) if test else "",
    }


def read_stamp(venv: Path) -> dict[str, object] | None:
    """The stamp of a finished installation; None where it is missing, unreadable or a change was left unfinished."""
    if (venv / BUILDING).exists():
        return None
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def write_stamp(venv: Path, stamp: dict[str, object]) -> None:
    """Say what a finished installation holds."""
    (venv / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def plan(stamp: dict[str, object] | None, wanted: dict[str, object]) -> str:
    """What to do about .venv: "keep", "update" or "rebuild"."""
    if stamp is None or any(stamp.get(key) != wanted[key] for key in ("python", "root", "build")):
        return "rebuild"
    test_missing = wanted["test"] and stamp.get("test") != wanted["test"]
    return "update" if test_missing or stamp.get("lock") != wanted["lock"] else "keep"


def is_ours(venv: Path) -> bool:
    """Whether a folder may be deleted: made by install.py, or empty, or not there."""
    return (venv / STAMP).exists() or (venv / BUILDING).exists() or not venv.exists() or not any(venv.iterdir())


def runs(python: Path) -> bool:
    """Whether a Python starts at all (its base may have been removed or upgraded)."""
    try:
        return subprocess.run([str(python), "-c", ""], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def remove_venv(venv: Path) -> None:
    """Delete a .venv, its marker last, so that a deletion that is cut short is known for what it is."""
    if not venv.exists():
        return
    (venv / BUILDING).touch()
    for path in venv.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != BUILDING:
            path.unlink()
    shutil.rmtree(venv)


def set_aside(venv: Path) -> Path:
    """Where a finished .venv waits while another is built in its place."""
    return venv.with_name(venv.name + ".old")


def clear_place(venv: Path) -> None:
    """Make room for a new .venv: set a finished one aside, delete a half-made one."""
    if read_stamp(venv) is None:
        remove_venv(venv)
    else:
        remove_venv(set_aside(venv))
        venv.rename(set_aside(venv))


def settle(venv: Path) -> None:
    """End a rebuild, also one that was cut short: a finished .venv stays, else the one set aside comes back."""
    old = set_aside(venv)
    if (venv / BUILDING).exists():
        remove_venv(venv)
    if read_stamp(old) is not None and not (venv / STAMP).exists() and is_ours(venv):
        remove_venv(venv)
        old.rename(venv)
    elif is_ours(old):
        remove_venv(old)


def make_venv(venv: Path, progress: Progress) -> None:
    """A new virtual environment with pip, marked as unfinished."""
    if sys.prefix != sys.base_prefix and Path(sys.prefix).resolve() == venv.resolve():
        raise Problem("install.py runs in the .venv that it has to replace.", f"Type `deactivate` and {RUN_AGAIN}.")
    for folder in (venv, set_aside(venv)):
        if not is_ours(folder):
            raise Problem(f"{folder} was not made by install.py.", f"Move it away or delete it, and {RUN_AGAIN}.")
    clear_place(venv)
    progress.start(f"virtual environment with Python {sys.version.split()[0]}")
    venv.mkdir()
    (venv / BUILDING).touch()
    if importlib.util.find_spec("venv") is None:
        raise no_venv_problem()
    bundled_pip = importlib.util.find_spec("ensurepip") is not None
    command = [sys.executable, "-m", "venv", *([] if bundled_pip else ["--without-pip"]), str(venv)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Problem(
            "Python could not make a virtual environment.", no_venv_problem().action + f" ({last_line(done)})"
        )
    if not bundled_pip:
        bring_pip(venv, progress)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line that a command printed, where most programs say what went wrong."""
    return ((done.stdout or "") + (done.stderr or "")).strip().rsplit("\n", 1)[-1]


def no_venv_problem() -> Problem:
    """For a Python that was taken apart by its distribution."""
    action = f"On Debian and Ubuntu, type `sudo apt install python{PYTHON}-venv`; then {RUN_AGAIN}."
    return Problem("This Python has no module to make virtual environments.", action)


def bring_pip(venv: Path, progress: Progress) -> None:
    """Install pip into a .venv without ensurepip: with this Python's own pip, else with a wheel from the index."""
    progress.start("pip, which this Python comes without")
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = [] if importlib.util.find_spec("pip") else [str(fetch_pip(Path(folder)))]
        except (OSError, ValueError) as error:
            raise Problem(
                f"This Python has no pip, and fetching it failed ({error}).", no_venv_problem().action
            ) from error
        # A wheel is a zip that Python can run from; with `--python`, pip works on another environment.
        tool = [str(python_of(venv)), source[0] + "/pip"] if source else [sys.executable, "-m", "pip"]
        aim = [] if source else ["--python", str(python_of(venv))]
        what = source or [PIP_WHEEL.split("-py3")[0].replace("-", "==", 1)]
        command = [*tool, *aim, "install", "--quiet", "--no-deps", *what]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=pip_environment())
    if done.returncode:
        raise Problem(f"pip could not be set up ({last_line(done)}).", no_venv_problem().action)


def fetch_pip(folder: Path) -> Path:
    """Download pip's wheel from the index (PIP_INDEX_URL names another) and check it against the hash pinned here."""
    page = os.environ.get("PIP_INDEX_URL", PIP_INDEX).rstrip("/") + "/pip/"
    with urllib.request.urlopen(page, timeout=30) as answer:
        links = re.findall(r'href="([^"]+)"', answer.read().decode())
    link = next((link for link in links if PIP_WHEEL in link), None)
    if link is None:
        raise ValueError(f"{page} does not list {PIP_WHEEL}")
    with urllib.request.urlopen(urllib.parse.urljoin(page, link.split("#")[0]), timeout=30) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != PIP_SHA256:
        raise ValueError(f"{PIP_WHEEL} is not the file that was pinned")
    wheel = folder / PIP_WHEEL
    wheel.write_bytes(content)
    return wheel


# ---------------------------------------------------------------- packages


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


def pip_settings(venv: Path) -> str:
    """What `pip config list` says."""
    command = [str(python_of(venv)), "-m", "pip", "config", "list"]
    return subprocess.run(command, capture_output=True, text=True, env=pip_environment()).stdout


def pip_install(venv: Path, arguments: list[str], progress: Progress) -> tuple[bool, str]:
    """Run `pip install`, one progress line per package; return whether it succeeded, and its output."""
    command = [str(python_of(venv)), "-m", "pip", "install", "--progress-bar", "off", "--retries", "2", *arguments]
    lines: list[str] = []
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open_log())
        log.write(f"$ {' '.join(command)}\n")
        pipe, merged = subprocess.PIPE, subprocess.STDOUT
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=merged,
            text=True,
            errors="replace",
            env=pip_environment(),
        )
        stack.callback(end, child)
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            log.write(line)
            if line.startswith("Installing collected packages"):
                (venv / BUILDING).touch()  # from here on, an interrupted run leaves packages half-written
            text = pip_event(line)
            if text:
                progress.start(text)
        code = child.wait()
    progress.finish()
    return code == 0, "".join(lines)


@contextlib.contextmanager
def open_log() -> Iterator[TextIO]:
    """The installation log, for appending."""
    from server.private import make_private_folder  # too new for the Pythons refused above

    path = log_path()
    make_private_folder(path.parent)
    with path.open("a", encoding="utf-8") as file:
        yield file


def end(child: subprocess.Popen[str]) -> None:
    """End a child that an interruption left running."""
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
    folder of wheels), so they are asked first; PyTorch's own index, which holds all builds, comes second. PyPI's
    unlabelled build for Linux would bring gigabytes of CUDA libraries to a machine without a GPU.
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


def require_space(folder: Path, build: str) -> None:
    """Refuse early where a first installation cannot fit."""
    needed = NEEDED_GB.get(build, CUDA_GB)
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed:
        sentence = f"{folder} has {free:.1f} GB free, and the installation needs about {needed} GB."
        raise Problem(sentence, f"Free some space or move the folder to another disk, and {RUN_AGAIN}.")


def set_up(venv: Path, wanted: dict[str, object], progress: Progress) -> str:
    """Bring .venv to a wanted stamp; return "keep", "update" or "rebuild".

    A failed rebuild leaves the .venv of before, a failed first build leaves nothing.
    """
    build, test = str(wanted["build"]), bool(wanted["test"])
    stamp = read_stamp(venv) if runs(python_of(venv)) else None
    step = plan(stamp, wanted)
    if step == "keep":
        if stamp is not None and stamp.get("cpu_only") != wanted["cpu_only"]:
            write_stamp(venv, {**stamp, "cpu_only": wanted["cpu_only"]})
        return step
    try:
        if step == "rebuild":
            require_space(venv.parent, build)
            make_venv(venv, progress)
        install_packages(venv, build, test, progress)
        kept = (stamp or {}).get("test", "") if step == "update" else ""
        write_stamp(venv, {**wanted, "test": wanted["test"] or kept})
        (venv / BUILDING).unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):  # what cannot be deleted keeps its marker; the next run goes on
            settle(venv)
    return step


# ---------------------------------------------------------------- editors


class Profile(NamedTuple):
    """An editor's folder for one user; `refusal` says why no plug-in goes there."""

    name: str
    folder: Path
    refusal: str = ""


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
    """One row of the table of editors; the functions but `find` take a profile's folder."""

    name: str
    find: Callable[[Host], list[Profile]]
    install: Callable[[Path], None]
    remove: Callable[[Path], list[Path]]
    check: Callable[[Path], list[str]]


def plugin_tool(package: str, action: str, folder: Path, python: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m PACKAGE.installation ACTION FOLDER`, which every plug-in has, in the checkout."""
    command = [str(python), "-m", f"{package}.installation", action, str(folder)]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def place_plugin(package: str, folder: Path) -> None:
    """Install a plug-in into a profile; the environment's Python has the files that are copied with it."""
    done = plugin_tool(package, "install", folder, python_of(VENV))
    if done.returncode:
        raise Problem(f"{last_line(done)}", f"Correct it, and {RUN_AGAIN}.")


def remove_plugin(package: str, folder: Path) -> list[Path]:
    """Take a plug-in out of a profile; what was removed. Works without the environment."""
    done = plugin_tool(package, "remove", folder, Path(sys.executable))
    if done.returncode:
        raise Problem(last_line(done), "Correct it, and run `python3 install.py uninstall` again.")
    return [Path(line) for line in done.stdout.splitlines() if line]


def check_plugin(package: str, folder: Path) -> list[str]:
    """What is wrong with a plug-in in a profile, one sentence each."""
    done = plugin_tool(package, "check", folder, python_of(VENV))
    return (done.stdout + done.stderr).strip().splitlines() if done.returncode else []


def plugin_row(name: str, find: Callable[[Host], list[Profile]], package: str) -> Editor:
    """The row of an editor whose plug-in is `package`."""
    return Editor(
        name, find, partial(place_plugin, package), partial(remove_plugin, package), partial(check_plugin, package)
    )


EDITORS = (plugin_row("GIMP", gimp_profiles, "plugin_gimp"), plugin_row("Krita", krita_profiles, "plugin_krita"))


def install_plugins(host: Host, editors: tuple[Editor, ...] = EDITORS) -> list[str]:
    """Install each editor's plug-in into each of its profiles; return one sentence for each."""
    told = []
    for editor in editors:
        for profile in editor.find(host):
            if profile.refusal:
                told.append(f"{profile.name} in {profile.folder}: left alone, {profile.refusal}")
            else:
                editor.install(profile.folder)
                told.append(f"{profile.name} in {profile.folder}: plug-in installed; restart {editor.name}")
    return told or [NO_PROFILE]


# ---------------------------------------------------------------- commands


def write_launch(host: Host) -> Path:
    """Tell the clients how to start the server (docs/protocol.md, launch.json)."""
    from server.private import write_private  # too new for the Pythons refused above

    path = state_folder(host) / "launch.json"
    write_private(path, {"command": [str(python_of(VENV)), "-m", "server"], "cwd": str(ROOT)})
    return path


def in_venv(module: str, *arguments: str) -> int:
    """Run a module with the environment's Python; its output goes to the user."""
    return call(str(python_of(VENV)), "-m", module, *arguments)


def dgfnet(*arguments: str) -> int:
    """Run the installed command `dgfnet`."""
    return call(str(python_of(VENV).parent / "dgfnet"), *arguments)


def call(*command: str) -> int:
    """Run a program in the checkout; return its exit code."""
    sys.stdout.flush()
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode


def prepare(cpu_only: bool | None, test: bool) -> None:
    """Check this Python, choose a PyTorch build and bring .venv up to date; `cpu_only` None is as the last time."""
    if sys.version_info[:2] > NEWEST:
        newest = f"{NEWEST[0]}.{NEWEST[1]}"
        raise Problem(
            f"The pinned PyTorch is not built for Python {sys.version.split()[0]}.", f"Use Python {newest} or older."
        )
    settle(VENV)
    stamp = read_stamp(VENV) or {}
    if cpu_only is None:
        cpu_only = bool(stamp.get("cpu_only"))
    build, reason = choose_build(find_gpus(), sys.platform, cpu_only, str(stamp.get("build", "")))
    print(f"PyTorch build: {build or 'standard'} ({reason})", flush=True)
    began = time.monotonic()
    with Progress() as progress:
        step = set_up(VENV, wanted_stamp(build, test, cpu_only), progress)
    words = {"keep": "is up to date", "update": "updated", "rebuild": "made"}[step]
    print(f"{VENV} {words}, {time.monotonic() - began:.0f} s", flush=True)


def install(cpu_only: bool | None, editors: bool) -> None:
    """The whole road: packages, launch.json, plug-ins, proof. A server of before would go on with the old code."""
    end_server(this_host())
    prepare(cpu_only, test=False)
    print(f"Editors start the server as {write_launch(this_host())} says")
    if editors:
        for sentence in install_plugins(this_host()):
            print(f"  {sentence}")
    print("Proof: a real photograph through the server", flush=True)
    if in_venv("dgfnet.demo"):
        raise Problem(
            "The installation is in place, but its proof failed (see above).", "Run `python3 install.py doctor`."
        )


def end_server(host: Host) -> None:
    """End the server that runs, if one was started from here."""
    if (state_folder(host) / "connection.json").exists() and is_ours(VENV) and runs(python_of(VENV)):
        dgfnet("stop")


def run_tests(cpu_only: bool | None) -> None:
    """Set up what is missing and run every check; all of them run, whichever fails."""
    prepare(cpu_only, test=True)
    failed = []
    for check in ("ruff check", "ruff format --check", "mypy", "pytest"):
        print(f"\n$ {check}", flush=True)
        if in_venv(*check.split(), *(["."] if check.startswith("ruff") else [])):
            failed.append(check)
    if failed:
        raise Problem(f"Failed: {', '.join(failed)}.", "See the output above.")


class Check(NamedTuple):
    """One line of `doctor`; an empty fix means that all is well."""

    name: str
    detail: str
    fix: str = ""


def doctor_checks(host: Host) -> Iterator[Check]:
    """What can be seen from outside the environment."""
    again = "Run `python3 install.py`."
    yield Check("Python", f"{sys.version.split()[0]} at {sys.executable}")
    gpus = find_gpus()
    silent = "nvidia-smi does not answer" if gpus is None else "no NVIDIA driver"
    yield Check("GPU", f"NVIDIA driver {gpus[0].driver}" if gpus else f"{silent}; the CPU is used")
    python = python_of(VENV)
    stamp = read_stamp(VENV)
    if not runs(python):
        yield Check(".venv", f"{python} is missing or does not start", again)
        return
    if stamp is None:
        yield Check(".venv", "an installation was begun and not finished", again)
        return
    stale = (
        plan(stamp, {**wanted_stamp(str(stamp.get("build", "")), test=False), "python": stamp.get("python")}) != "keep"
    )
    yield Check(
        ".venv", f"{'out of date' if stale else 'complete'}, Python {stamp.get('python')}", again if stale else ""
    )
    packages = subprocess.run([str(python), "-m", "pip", "check"], capture_output=True, text=True)
    yield Check("packages", last_line(packages), again if packages.returncode else "")
    probe = "import torch; c = torch.cuda; print(torch.__version__, c.get_device_name() if c.is_available() else 'CPU')"
    torch = subprocess.run([str(python), "-c", probe], capture_output=True, text=True)
    yield Check("PyTorch", last_line(torch), again if torch.returncode else "")
    if str(stamp.get("build")).startswith("cu") and torch.stdout.strip().endswith("CPU"):
        yield Check(
            "CUDA",
            "the CUDA build does not see the GPU",
            "Update the NVIDIA driver, or run `python3 install.py --cpu`.",
        )
    launch = state_folder(host) / "launch.json"
    try:
        points_here = json.loads(launch.read_text(encoding="utf-8"))["cwd"] == str(ROOT)
    except (OSError, ValueError, KeyError, TypeError):
        points_here = False
    yield Check(
        "launch.json", f"{launch} {'leads here' if points_here else 'does not lead here'}", "" if points_here else again
    )
    yield from editor_checks(host)


def editor_checks(host: Host, editors: tuple[Editor, ...] = EDITORS) -> Iterator[Check]:
    """One line for each profile of each editor."""
    found = [(editor, profile) for editor in editors for profile in editor.find(host)]
    for editor, profile in found:
        where = f"{profile.name} in {profile.folder}"
        if profile.refusal:
            yield Check("editor", f"{where}: left alone, {profile.refusal}")
        else:
            problems = editor.check(profile.folder)
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            detail = f"{problems[0]}{more}" if problems else "plug-in installed"
            yield Check("editor", f"{where}: {detail}", "Run `python3 install.py`." if problems else "")
    if not found:
        yield Check("editor", NO_PROFILE)


def doctor() -> None:
    """Print each check as ok or problem with its fix, then the checks of `dgfnet doctor`."""
    problems = 0
    for check in doctor_checks(this_host()):
        problems += bool(check.fix)
        print(f"{'problem' if check.fix else 'ok':8} {check.name}: {check.detail}")
        if check.fix:
            print(f"{'':8} -> {check.fix}")
    if runs(python_of(VENV)):
        problems += dgfnet("doctor") != 0
    if problems:
        raise Problem("The doctor found a problem.", "The lines marked `problem` say the fix.")


def leftovers(host: Host) -> list[Path]:
    """What install.py and the server made outside the editors, as far as it exists. Pictures are never among it."""
    state = state_folder(host)
    patterns = ("launch.json*", "connection.json*", "server.lock", "*.log*")  # with the halves of interrupted writes
    named = [path for pattern in patterns for path in sorted(state.glob(pattern))]
    venvs = [VENV, *([set_aside(VENV)] if is_ours(set_aside(VENV)) else [])]
    return [path for path in [*venvs, *named, *sorted(ROOT.glob("*.egg-info"))] if path.exists()]


def remove_plugins(host: Host, editors: tuple[Editor, ...] = EDITORS) -> list[Problem]:
    """Take each editor's plug-in out of each of its profiles, naming each piece; what could not be removed."""
    problems = []
    for editor in editors:
        for profile in editor.find(host):
            try:
                for path in editor.remove(profile.folder):
                    print(f"removed {path}")
            except Problem as problem:
                problems.append(problem)
    return problems


def uninstall() -> None:
    """Stop the server and remove what install.py made, naming each piece."""
    host = this_host()
    if not is_ours(VENV):
        raise Problem(f"{VENV} was not made by install.py.", "Remove it yourself if it is not needed.")
    end_server(host)
    problems = remove_plugins(host)
    for path in leftovers(host):
        if path in (VENV, set_aside(VENV)):
            remove_venv(path)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        print(f"removed {path}")
    with contextlib.suppress(OSError):
        state_folder(host).rmdir()  # only when nothing else is in it
    print(f"Your pictures, and {ROOT} itself, were not touched.")
    if problems:
        raise Problem(" ".join(problem.sentence for problem in problems), problems[0].action)


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
        print(f"\n{explain_os_error(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. To go on, {RUN_AGAIN}.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
