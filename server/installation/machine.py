"""The machine that the installation is for: its folders, its GPUs, and PyTorch's build for them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from server.client import discovery

INSTALL_LOG = "install.log"  # in the state folder


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
    return discovery.state_folder(host.environ, host.platform, host.home)


def log_path() -> Path:
    """The file that keeps all of pip's output."""
    return state_folder(this_host()) / INSTALL_LOG


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
    """PyTorch's build for this machine and the reason: "cpu", "cu126", "cu130", or "" for PyPI's own.

    PyPI's is the only one for macOS and has no CUDA on Windows; on Linux it brings gigabytes of CUDA libraries.
    `held` is the build that is installed; it stays while the driver does not answer. CUDA 13 asks for driver 580 and
    compute capability 7.5 (Turing); CUDA 12.6 for driver 525 and 5.0 to 9.0.
    """
    if platform == "darwin":
        return "", "macOS has one build"
    without_cuda = "" if platform == "win32" else "cpu"
    if cpu_only:
        return without_cuda, "asked for with --cpu; --no-cpu takes that back"
    if gpus is None and held:
        return held, "kept, since nvidia-smi does not answer"
    if not gpus:
        return without_cuda, "no NVIDIA driver answers"
    best = max(gpus, key=lambda gpu: gpu.capability)
    if best.driver >= 580 and best.capability >= 7.5:
        return "cu130", f"NVIDIA driver {best.driver}"
    if best.driver >= 525 and 5.0 <= best.capability < 10:
        return "cu126", f"NVIDIA driver {best.driver}, compute capability {best.capability}"
    return (
        without_cuda,
        f"NVIDIA driver {best.driver} is too old for this GPU or the GPU too old for CUDA 12; a newer driver may help",
    )
