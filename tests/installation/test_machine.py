"""Folders, GPUs and PyTorch's build for them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from server.installation import machine
from server.installation.machine import Host


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {}, "home/.local/state/dgfnet"),
        ("darwin", {}, "home/Library/Application Support/DGFNet"),
        ("win32", {"LOCALAPPDATA": "C"}, "C/DGFNet"),
        ("linux", {"DGFNET_HOME": "own"}, "own"),
    ],
)
def test_the_folder_of_the_protocol(platform, environ, folder) -> None:
    assert machine.state_folder(Host(platform, Path("home"), environ)) == Path(folder)


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
        ("", "win32", False, ""),  # PyPI's build for Windows has no CUDA
        ("581.29, 12.0\n", "win32", True, ""),
        ("470.10, 8.6\n", "win32", False, ""),
    ],
)
def test_follows_driver_and_compute_capability(smi, platform, cpu_only, build) -> None:
    assert machine.choose_build(machine.parse_gpus(smi), platform, cpu_only)[0] == build


def test_a_driver_that_does_not_answer_keeps_the_build_that_is_there(monkeypatch, tmp_path) -> None:
    """As between the driver's update and a restart."""
    monkeypatch.setattr(shutil, "which", lambda _: str(tmp_path / "nvidia-smi"))
    assert machine.find_gpus() is None
    assert machine.choose_build(None, "linux", False, "cu130")[0] == "cu130"
    assert machine.choose_build(None, "linux", False)[0] == "cpu"
    assert machine.choose_build(None, "linux", True, "cu130")[0] == "cpu"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert machine.find_gpus() == []
    assert machine.choose_build([], "linux", False, "cu130")[0] == "cpu"


def test_an_error_text_of_nvidia_smi_is_no_gpu() -> None:
    text = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    assert machine.parse_gpus(text) == []
