"""install.py without its long steps: choices, folders, markers, and the sentence for each way to fail."""

from __future__ import annotations

import ast
import contextlib
import errno
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from server.client.discovery import read_launch_command

ROOT = Path(__file__).resolve().parent.parent
INSTALL = ROOT / "install.py"


@pytest.fixture(scope="module")
def install() -> types.ModuleType:
    """install.py as a module."""
    spec = importlib.util.spec_from_file_location("install", INSTALL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def old_pythons() -> list[str]:
    """Pythons 3.6 to 3.9 of this machine that start, pyenv's included."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [f"python3.{minor}" for minor in range(6, 10)]
    candidates += [str(path) for path in sorted(pyenv.glob("3.[6-9].*/bin/python"))]
    found = []
    for python in candidates:
        try:
            done = subprocess.run([python, "--version"], capture_output=True, text=True, timeout=30)
        except OSError:
            continue
        found += [python] if done.returncode == 0 else []
    return found


def run_install(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of install.py in a folder of its own."""
    command = [sys.executable, str(folder / "install.py"), *arguments]
    env = {**os.environ, "DGFNET_HOME": str(folder / "state"), "HOME": str(folder / "home"), **environ}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of a checkout that install.py needs before its first pip command."""
    for name in ("install.py", "requirements.lock", "requirements-test.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    shutil.copytree(ROOT / "server", tmp_path / "server", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


DEAD_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "0",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


class TestOldPython:
    def test_the_grammar_is_that_of_python_3_6(self) -> None:
        ast.parse(INSTALL.read_text(encoding="utf-8"), feature_version=(3, 6))

    def test_an_old_python_says_one_sentence_and_an_action(self) -> None:
        pythons = old_pythons()
        if not pythons:
            pytest.skip("no Python 3.6 to 3.9 on this machine")
        for python in pythons:
            done = subprocess.run([python, str(INSTALL)], capture_output=True, text=True, timeout=30)
            assert done.returncode == 1
            assert done.stdout == ""
            assert re.fullmatch(
                r"DGFNet Inpaint needs Python 3\.10 or newer, and this is Python 3\.\d\. Install .*\n", done.stderr
            )

    def test_a_python_newer_than_the_pinned_pytorch_is_refused(self, install, monkeypatch) -> None:
        monkeypatch.setattr(install, "NEWEST", (3, 9))
        with pytest.raises(install.Problem, match=r"not built for Python .* Use Python 3\.9 or older"):
            install.prepare(cpu_only=True, test=False)


class TestBuildOfPyTorch:
    @pytest.mark.parametrize(
        ("smi", "platform", "cpu_only", "build"),
        [
            ("", "linux", False, "cpu"),
            ("580.82.07, 9.0\n", "linux", False, "cu130"),
            ("580.82.07, 9.0\n", "linux", True, "cpu"),
            ("581.29, 12.0\n", "win32", False, "cu130"),
            ("535.183.01, 8.6\n", "linux", False, "cu126"),  # driver before CUDA 13
            ("580.95.05, 6.1\n", "linux", False, "cu126"),  # Pascal, which CUDA 13 dropped
            ("570.10, 12.0\n", "linux", False, "cpu"),  # Blackwell with a driver before CUDA 13
            ("470.10, 8.6\n", "linux", False, "cpu"),
            ("580.82.07, 6.1\n580.82.07, 8.9\n", "linux", False, "cu130"),  # the best of two
            ("580.82.07, [N/A]\n", "linux", False, "cpu"),
            ("", "darwin", False, ""),
        ],
    )
    def test_follows_driver_and_compute_capability(self, install, smi, platform, cpu_only, build) -> None:
        assert install.choose_build(install.parse_gpus(smi), platform, cpu_only)[0] == build

    def test_a_driver_that_does_not_answer_keeps_the_build_that_is_there(self, install, monkeypatch, tmp_path) -> None:
        """As between the driver's update and a restart."""
        monkeypatch.setattr(install.shutil, "which", lambda _: str(tmp_path / "nvidia-smi"))
        assert install.find_gpus() is None
        assert install.choose_build(None, "linux", False, "cu130")[0] == "cu130"
        assert install.choose_build(None, "linux", False)[0] == "cpu"
        assert install.choose_build(None, "linux", True, "cu130")[0] == "cpu"
        monkeypatch.setattr(install.shutil, "which", lambda _: None)
        assert install.find_gpus() == []
        assert install.choose_build([], "linux", False, "cu130")[0] == "cpu"

    def test_cpu_is_remembered_until_it_is_taken_back(self, install, monkeypatch, tmp_path) -> None:
        asked = []
        monkeypatch.setattr(install, "VENV", tmp_path / ".venv")
        monkeypatch.setattr(install, "find_gpus", lambda: install.parse_gpus("580.82.07, 9.0\n"))
        monkeypatch.setattr(install, "runs", lambda _: True)
        monkeypatch.setattr(install, "make_venv", lambda venv, _: venv.mkdir(exist_ok=True))
        monkeypatch.setattr(install, "require_space", lambda *_: None)
        monkeypatch.setattr(install, "install_packages", lambda venv, build, *_: asked.append(build))
        for cpu_only in (True, None, None, False, None):
            install.prepare(cpu_only, test=False)
        assert asked == ["cpu", "cu130"]
        monkeypatch.setattr(install, "find_gpus", list)
        (tmp_path / ".venv" / install.STAMP).unlink()
        for cpu_only in (False, True):  # the same build: nothing to install, but to remember
            install.prepare(cpu_only, test=False)
        monkeypatch.setattr(install, "find_gpus", lambda: install.parse_gpus("580.82.07, 9.0\n"))
        install.prepare(None, test=False)
        assert asked == ["cpu", "cu130", "cpu"]

    def test_an_error_text_of_nvidia_smi_is_no_gpu(self, install) -> None:
        text = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
        assert install.parse_gpus(text) == []

    def test_names_the_pinned_version_with_its_label(self, install) -> None:
        assert install.torch_requirement("cpu") == install.torch_requirement("") + "+cpu"
        assert install.torch_requirement("").startswith("torch==")


class TestPlan:
    def test_a_matching_stamp_is_kept(self, install) -> None:
        wanted = install.wanted_stamp("cpu", test=False)
        assert install.plan(wanted, wanted) == "keep"
        assert install.plan(install.wanted_stamp("cpu", test=True), wanted) == "keep"

    def test_missing_test_packages_or_a_new_lock_update(self, install) -> None:
        wanted = install.wanted_stamp("cpu", test=False)
        assert install.plan(wanted, install.wanted_stamp("cpu", test=True)) == "update"
        assert install.plan({**wanted, "lock": "older"}, wanted) == "update"

    @pytest.mark.parametrize("key", ["python", "root", "build"])
    def test_another_python_place_or_build_rebuilds(self, install, key) -> None:
        wanted = install.wanted_stamp("cpu", test=False)
        assert install.plan({**wanted, key: "other"}, wanted) == "rebuild"

    def test_no_stamp_rebuilds(self, install) -> None:
        assert install.plan(None, install.wanted_stamp("cpu", test=False)) == "rebuild"

    def test_the_marker_of_an_unfinished_change_outweighs_the_stamp(self, install, tmp_path) -> None:
        (tmp_path / install.STAMP).write_text(json.dumps({"python": "3.11"}))
        assert install.read_stamp(tmp_path) == {"python": "3.11"}
        (tmp_path / install.BUILDING).touch()
        assert install.read_stamp(tmp_path) is None

    @pytest.mark.parametrize("content", ["", "{", "[]", "7"])
    def test_a_damaged_stamp_is_none(self, install, tmp_path, content) -> None:
        (tmp_path / install.STAMP).write_text(content)
        assert install.read_stamp(tmp_path) is None


class TestFailures:
    @pytest.mark.parametrize(
        ("output", "sentence"),
        [
            (
                "WARNING: Retrying ... NewConnectionError ...\nERROR: No matching distribution found for x",
                "not be reached",
            ),
            ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
            ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "No secure connection"),
            ("ERROR: No matching distribution found for numpy==2.4.6", "has no numpy==2.4.6 for this system"),
            ("ERROR: Could not install: [Errno 13] Permission denied: '/x'", "could not be written"),
            ("ERROR: something unheard of.", r"failed \(something unheard of\)"),
        ],
    )
    def test_pip_failures_become_one_sentence_with_an_action(self, install, output, sentence) -> None:
        problem = install.explain_pip(output, "the pinned packages")
        assert re.search(sentence, problem.sentence)
        assert problem.sentence.endswith(".")
        assert "install.py" in problem.action

    def test_a_read_only_file_system(self, install) -> None:
        problem = install.explain_os_error(OSError(errno.EROFS, "Read-only file system", "/disc/.venv"))
        assert str(problem).startswith("A file or folder could not be written at /disc/.venv: Read-only file system.")

    def test_a_full_disk_is_refused_before_anything_is_made(self, install, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(install.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=5e8))
        with install.Progress() as progress, pytest.raises(install.Problem, match=r"0\.5 GB free"):
            install.set_up(tmp_path / ".venv", install.wanted_stamp("cpu", test=False), progress)
        assert list(tmp_path.iterdir()) == []

    def test_no_network_leaves_no_venv_and_exits_1(self, checkout) -> None:
        done = run_install(checkout, "--cpu", **DEAD_INDEX)
        assert done.returncode == 1
        assert "could not be reached" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (checkout / ".venv").exists()

    def test_a_half_made_venv_is_replaced_and_a_strangers_is_not(self, install, tmp_path) -> None:
        venv = tmp_path / ".venv"
        (venv / "bin").mkdir(parents=True)
        assert not install.is_ours(venv)
        with install.Progress() as progress, pytest.raises(install.Problem, match=r"was not made by install\.py"):
            install.make_venv(venv, progress)
        (venv / install.BUILDING).touch()
        (venv / "bin/half-written").touch()
        with install.Progress() as progress:
            install.make_venv(venv, progress)
        assert install.runs(install.python_of(venv))
        assert not (venv / "bin/half-written").exists()

    @pytest.fixture
    def working(self, install, tmp_path, monkeypatch) -> Path:
        """A finished .venv of the build cu130 that starts, as far as anyone looks."""
        monkeypatch.setattr(install, "runs", lambda _: True)
        venv = tmp_path / ".venv"
        (venv / "lib").mkdir(parents=True)
        install.write_stamp(venv, install.wanted_stamp("cu130", test=True))
        return venv

    @pytest.mark.parametrize("failure", [None, RuntimeError, KeyboardInterrupt])
    def test_a_rebuild_that_fails_leaves_the_working_venv(self, install, working, monkeypatch, failure) -> None:
        def install_packages(*_: object) -> None:
            assert not (working / "lib/python").exists()
            if failure:
                raise failure

        monkeypatch.setattr(install, "install_packages", install_packages)
        (working / "lib/python").touch()
        wanted = install.wanted_stamp("cpu", test=False)
        with install.Progress() as progress, pytest.raises(failure) if failure else contextlib.nullcontext():
            assert install.set_up(working, wanted, progress) == "rebuild"
        assert (working / "lib/python").exists() == (failure is not None)
        assert install.read_stamp(working) == (install.wanted_stamp("cu130", test=True) if failure else wanted)
        assert [path.name for path in working.parent.iterdir()] == [".venv"]

    def test_a_rebuild_cut_short_by_a_power_cut_is_undone(self, install, working) -> None:
        stamp = install.read_stamp(working)
        install.clear_place(working)
        for half_made in ((), (install.BUILDING,)):
            working.mkdir()
            for name in half_made:
                (working / name).touch()
            install.settle(working)
            assert install.read_stamp(working) == stamp
            assert not install.set_aside(working).exists()
            install.clear_place(working)
        working.mkdir()
        install.write_stamp(working, {**stamp, "build": "cpu"})  # finished, but the old one not yet deleted
        install.settle(working)
        assert install.read_stamp(working)["build"] == "cpu"
        assert not install.set_aside(working).exists()

    @pytest.mark.parametrize("key", ["install.target", "global.target", "install.prefix", "install.root"])
    def test_a_pip_that_would_install_elsewhere_is_refused(self, install, key) -> None:
        with pytest.raises(install.Problem, match=rf"another folder \({key}='/x'\)\. Take `\w+` out of it"):
            install.refuse_other_places(f"global.index-url='https://host/simple'\n{key}='/x'\n")
        install.refuse_other_places("global.index-url='https://host/target'\n:env:.target='/x'\n")

    def test_a_pip_conf_cannot_move_the_packages(self, install, tmp_path, monkeypatch) -> None:
        settings = tmp_path / "pip.conf"
        monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
        monkeypatch.setattr(install, "python_of", lambda _: Path(sys.executable))
        settings.write_text("[install]\ntarget = /x\n")
        with pytest.raises(install.Problem, match="another folder"):
            install.install_packages(tmp_path, "cpu", False, None)
        assert install.pip_environment()["PIP_USER"] == "0"

    def test_a_deletion_cut_short_is_known_as_ours(self, install, tmp_path, monkeypatch) -> None:
        venv = tmp_path / ".venv"
        (venv / "lib").mkdir(parents=True)
        (venv / install.STAMP).touch()

        def cut_short(_: Path) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(install.shutil, "rmtree", cut_short)
        with pytest.raises(KeyboardInterrupt):
            install.remove_venv(venv)
        monkeypatch.undo()
        assert install.is_ours(venv)
        assert install.read_stamp(venv) is None
        install.remove_venv(venv)
        assert not venv.exists()

    @pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGTERM")
    def test_an_interrupted_build_leaves_no_venv(self, checkout) -> None:
        # A pip that never ends: install.py is interrupted while it waits for it.
        slow = "import pathlib, time; pathlib.Path('waiting').touch(); time.sleep(60)"
        starter = checkout / "starter.py"
        starter.write_text(
            f"import sys, install\ninstall.pip_install = lambda *_: exec({slow!r})\nsys.exit(install.main(['--cpu']))\n"
        )
        child = subprocess.Popen(
            [sys.executable, str(starter)], cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            for _ in range(600):
                if (checkout / "waiting").exists() or child.poll() is not None:
                    break
                time.sleep(0.05)
            assert (checkout / ".venv/dgfnet-building").exists()
            child.send_signal(signal.SIGTERM)
            _, errors = child.communicate(timeout=30)
        finally:
            child.kill()
        assert child.returncode == 130
        assert errors.strip() == "Interrupted. To go on, run install.py again."
        assert not (checkout / ".venv").exists()


class TestProgress:
    @pytest.mark.parametrize(
        ("line", "text"),
        [
            ("  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (16.9 MB)", "numpy 2.4.6 (16.9 MB)"),
            ("  Using cached safetensors-0.8.0-cp38-abi3-linux.whl (516 kB)", "safetensors 0.8.0 (516 kB), cached"),
            (
                "Downloading https://host/whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (191.8 MB)",
                "torch 2.13.0+cpu (191.8 MB)",
            ),
            ("Processing /w/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl", "torch 2.13.0+cpu, from disk"),
            ("  Downloading x-1.0-py3-none-any.whl.metadata (5 kB)", None),
            ("Installing collected packages: a, b", "unpacking 2 packages"),
            ("Collecting numpy==2.4.6", None),
        ],
    )
    def test_one_line_per_package(self, install, line, text) -> None:
        assert install.pip_event(line) == text

    def test_plain_lines_where_there_is_no_terminal(self, install, capsys) -> None:
        with install.Progress() as progress:
            progress.start("one")
            progress.start("two")
        assert capsys.readouterr().out == "  one\n  two\n"


def make(home: Path, *folders: str) -> None:
    for folder in folders:
        (home / folder).mkdir(parents=True)


class TestEditors:
    def test_linux(self, install, tmp_path) -> None:
        make(tmp_path, ".config/GIMP/2.10", ".config/GIMP/3.0", ".config/GIMP/3.2", ".config/GIMP/backup")
        make(
            tmp_path,
            ".var/app/org.gimp.GIMP/config/GIMP/3.0",
            ".local/share/krita",
            ".var/app/org.kde.krita/data/krita",
        )
        host = install.Host("linux", tmp_path, {})
        assert [
            (p.name, str(p.folder.relative_to(tmp_path)), bool(p.refusal)) for p in install.gimp_profiles(host)
        ] == [
            ("GIMP 2.10", ".config/GIMP/2.10", True),
            ("GIMP 3.0", ".config/GIMP/3.0", False),
            ("GIMP 3.2", ".config/GIMP/3.2", False),
            ("GIMP 3.0", ".var/app/org.gimp.GIMP/config/GIMP/3.0", False),
        ]
        assert [p.folder for p in install.krita_profiles(host)] == [
            tmp_path / ".local/share/krita",
            tmp_path / ".var/app/org.kde.krita/data/krita",
        ]

    def test_linux_with_xdg_folders_and_an_own_profile(self, install, tmp_path) -> None:
        make(tmp_path, "conf/GIMP/3.0", "share/krita", "mine")
        variables = {"XDG_CONFIG_HOME": "conf", "XDG_DATA_HOME": "share", "GIMP3_DIRECTORY": "mine"}
        environ = {key: str(tmp_path / name) for key, name in variables.items()}
        host = install.Host("linux", tmp_path / "home", environ)
        assert [p.folder.name for p in install.gimp_profiles(host)] == ["3.0", "mine"]
        assert [p.folder for p in install.krita_profiles(host)] == [tmp_path / "share/krita"]

    def test_windows(self, install, tmp_path) -> None:
        store = "Local/Packages/49800Krita_abc/LocalCache/Roaming/krita"
        make(tmp_path, "Roaming/GIMP/3.0", "Roaming/krita", store)
        environ = {"APPDATA": str(tmp_path / "Roaming"), "LOCALAPPDATA": str(tmp_path / "Local")}
        host = install.Host("win32", tmp_path / "home", environ)
        assert [p.folder for p in install.gimp_profiles(host)] == [tmp_path / "Roaming/GIMP/3.0"]
        assert [p.folder for p in install.krita_profiles(host)] == [tmp_path / "Roaming/krita", tmp_path / store]

    def test_macos(self, install, tmp_path) -> None:
        make(tmp_path, "Library/Application Support/GIMP/3.2", "Library/Application Support/Krita")
        host = install.Host("darwin", tmp_path, {})
        assert [p.name for p in install.gimp_profiles(host)] == ["GIMP 3.2"]
        assert len(install.krita_profiles(host)) == 1

    def test_a_plugin_goes_into_every_profile_that_can_take_it(self, install, tmp_path) -> None:
        make(tmp_path, ".config/GIMP/2.10", ".config/GIMP/3.0", ".local/share/krita")
        placed: list[Path] = []
        editors = (
            install.Editor("GIMP", install.gimp_profiles, placed.append, None, None),
            install.Editor("Krita", install.krita_profiles, placed.append, None, None),
        )
        told = install.install_plugins(install.Host("linux", tmp_path, {}), editors)
        assert placed == [tmp_path / ".config/GIMP/3.0", tmp_path / ".local/share/krita"]
        assert [sentence.rsplit(": ", 1)[1] for sentence in told] == [
            "left alone, the plug-in needs GIMP 3",
            "plug-in installed; restart GIMP",
            "plug-in installed; restart Krita",
        ]

    def test_a_plugin_that_stays_is_told_and_the_rest_goes(self, install, tmp_path, monkeypatch, capsys) -> None:
        make(tmp_path, ".config/GIMP/3.0", ".local/share/krita")

        def tool(package: str, action: str, folder: Path, _: Path) -> subprocess.CompletedProcess[str]:
            failed = package == "plugin_gimp"
            said = ("", f"The plug-in was not removed: {folder}\n") if failed else (f"{folder}/it\n", "")
            return subprocess.CompletedProcess([], int(failed), *said)

        monkeypatch.setattr(install, "plugin_tool", tool)
        (problem,) = install.remove_plugins(install.Host("linux", tmp_path, {}))
        assert problem.sentence == f"The plug-in was not removed: {tmp_path / '.config/GIMP/3.0'}"
        assert "uninstall" in problem.action
        assert capsys.readouterr().out == f"removed {tmp_path / '.local/share/krita/it'}\n"

    @pytest.mark.skipif(os.name != "posix", reason="Windows lets few users make links")
    @pytest.mark.parametrize("package", ["plugin_gimp", "plugin_krita"])
    def test_the_plugins_tool_names_what_it_could_not_do(self, install, tmp_path, package) -> None:
        make(tmp_path, "plug-ins", "pykrita", "elsewhere")
        for link in ("plug-ins/dgfnet-inpaint", "pykrita/dgfnet_inpaint"):
            (tmp_path / link).symlink_to(tmp_path / "elsewhere")  # which rmtree refuses
        done = install.plugin_tool(package, "remove", tmp_path, Path(sys.executable))
        assert done.returncode == 1
        assert done.stderr.startswith("The plug-in was not removed: ")

    def test_no_editor_is_said(self, install, tmp_path) -> None:
        (sentence,) = install.install_plugins(install.Host("linux", tmp_path, {}))
        assert sentence.startswith("no GIMP or Krita profile found")


class TestState:
    @pytest.mark.parametrize(
        ("platform", "environ", "folder"),
        [
            ("linux", {}, "home/.local/state/dgfnet"),
            ("darwin", {}, "home/Library/Application Support/DGFNet"),
            ("win32", {"LOCALAPPDATA": "C"}, "C/DGFNet"),
            ("linux", {"DGFNET_HOME": "own"}, "own"),
        ],
    )
    def test_the_folder_of_the_protocol(self, install, platform, environ, folder) -> None:
        assert install.state_folder(install.Host(platform, Path("home"), environ)) == Path(folder)

    def test_launch_json_starts_this_checkout(self, install, tmp_path) -> None:
        path = install.write_launch(install.Host("linux", tmp_path, {}))
        launch = json.loads(path.read_text())
        assert launch == {"command": [str(install.python_of(ROOT / ".venv")), "-m", "server"], "cwd": str(ROOT)}
        assert sorted(p.name for p in path.parent.iterdir()) == ["launch.json"]

    @pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
    def test_clients_take_launch_json_whatever_the_umask(self, install, tmp_path) -> None:
        before = os.umask(0o002)
        try:
            path = install.write_launch(install.Host("linux", tmp_path, {}))
        finally:
            os.umask(before)
        assert read_launch_command(path.parent).cwd == str(ROOT)
        assert path.parent.stat().st_mode & 0o777 == 0o700

    def test_an_update_ends_the_server_that_runs_the_old_code(self, install, tmp_path, monkeypatch) -> None:
        host, done = install.Host("linux", tmp_path, {}), []
        monkeypatch.setattr(install, "this_host", lambda: host)
        monkeypatch.setattr(install, "dgfnet", lambda *words: done.append(" ".join(words)))
        monkeypatch.setattr(install, "prepare", lambda *_, **__: done.append("prepare"))
        monkeypatch.setattr(install, "in_venv", lambda *_: 0)
        for name in ("is_ours", "runs"):
            monkeypatch.setattr(install, name, lambda _: True)
        install.install(cpu_only=True, editors=False)
        (install.state_folder(host) / "connection.json").touch()
        install.install(cpu_only=True, editors=False)
        assert done == ["prepare", "stop", "prepare"]

    def test_uninstall_names_what_it_removes_and_keeps_the_rest(self, checkout) -> None:
        for name in (".venv", "state", "dgfnet_inpaint.egg-info", "results"):
            (checkout / name).mkdir()
        ours = [".venv/dgfnet-install.json", "state/launch.json", "state/server.log"]
        kept = ["results/picture.png", "state/notes.txt"]
        for name in ours + kept:
            (checkout / name).touch()
        done = run_install(checkout, "uninstall")
        assert done.returncode == 0, done.stderr
        removed = [line.removeprefix("removed ") for line in done.stdout.splitlines() if line.startswith("removed ")]
        names = [".venv", "state/launch.json", "state/server.log", "dgfnet_inpaint.egg-info"]
        assert removed == [str(checkout / name) for name in names]
        assert not any(Path(name).exists() for name in removed)
        assert all((checkout / name).exists() for name in kept)

    def test_doctor_without_an_installation_says_the_fix(self, checkout) -> None:
        done = run_install(checkout, "doctor")
        assert done.returncode == 1
        assert "problem  .venv" in done.stdout
        assert "-> Run `python3 install.py`." in done.stdout


class TestLock:
    @staticmethod
    def pins(*names: str) -> dict[str, str]:
        lines = [line for name in names for line in (ROOT / name).read_text().splitlines() if line and line[0] != "#"]
        assert all(re.match(r"[\w.-]+==[\w.]+( ; .+)?$", line) for line in lines), lines
        return {line.split("==")[0].lower().replace("_", "-"): line.split("==")[1] for line in lines}

    def test_every_declared_dependency_is_pinned(self) -> None:
        tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        declared = project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra]
        names = {re.split(r"[<>=\[ ;]", text)[0].lower() for text in declared} - {project["name"]}
        assert names <= set(self.pins("requirements.lock", "requirements-test.lock"))

    def test_every_import_of_the_product_is_pinned(self) -> None:
        imported = set()
        for path in [*(ROOT / "dgfnet").rglob("*.py"), *(ROOT / "server").rglob("*.py")]:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    imported.add(node.module.split(".")[0])
        packages = {"cv2": "opencv-python-headless", "PIL": "pillow", "skimage": "scikit-image", "zmq": "pyzmq"}
        optional = {"h5py"}  # only `dgfnet evaluate --squeezenet`, which says so, needs it
        third_party = imported - set(sys.stdlib_module_names) - {"dgfnet", "server"} - optional
        assert {packages.get(name, name) for name in third_party} <= set(self.pins("requirements.lock"))
