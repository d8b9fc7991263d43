"""`dgfnet doctor`: what works, what does not, and what to do about it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from dgfnet import __version__
from dgfnet.inpainting import FillOptions, Inpainter
from dgfnet.model import WeightsError, load_info

if TYPE_CHECKING:
    from dgfnet.model import DGFNet

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pillow",
    "opencv-python-headless",
    "pyzmq",
    "msgpack",
    "safetensors",
    "tifffile",
)
SEAM_LIMIT = 0.05
"""Largest mean colour step across the border of the small fill below; a broken fill steps by several times that."""
_REINSTALL = "Run `python3 install.py`."


class Check(NamedTuple):
    """One line; an empty fix means that all is well."""

    name: str
    detail: str
    fix: str = ""


def report(found: Iterable[Check]) -> int:
    """Print each check as it is made; the number of problems."""
    problems = 0
    for check in found:
        problems += bool(check.fix)
        print(f"{'problem' if check.fix else 'ok':8} {check.name}: {check.detail}", flush=True)
        if check.fix:
            print(f"{'':8} -> {check.fix}")
    return problems


def checks(weights: str | None, load: Callable[[], tuple[DGFNet, str]]) -> Iterator[Check]:
    """All checks but the server's, cheap ones first. `load` gives the network with `weights`, and its device."""
    yield Check("dgfnet", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in PACKAGES:
        try:
            yield Check(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Check(package, "not installed", _REINSTALL)
    yield Check("device", _device())
    try:
        info = load_info(weights)
        yield Check("weights", f"{info.name}, sha256 {info.sha256[:16]}")
        network, device = load()
    except WeightsError as fault:
        yield Check("weights", str(fault), _REINSTALL)
    else:
        yield small_fill(network, device)


def _device() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return f"CPU, {torch.get_num_threads()} threads"


def small_fill(network: DGFNet, device: str) -> Check:
    """Fill a hole in a small picture: finite, all of it, the same twice, and without a step at the border."""
    y, x = np.mgrid[:128, :160].astype(np.float32)
    image = np.stack([0.3 + x / 400, 0.7 - y / 300, 0.5 + 0.1 * np.sin(x / 9)], axis=-1)
    mask = (x - 80) ** 2 + (y - 64) ** 2 < 20**2
    try:
        inpainter = Inpainter(network, device)
        first, second = (inpainter.fill(image, mask, FillOptions()) for _ in range(2))
    except (RuntimeError, ValueError) as fault:
        return Check("fill", str(fault), "Try `dgfnet doctor --device cpu`.")
    result = first.compose(image)
    step = seam_step(result, mask)
    detail = f"{1000 * sum(second.seconds.values()):.0f} ms on {device}, colour step at the border {step:.3f}"
    if not np.array_equal(result[~mask], image[~mask]):
        return Check("fill", f"{detail}; pixels outside the mask changed", "Please report this.")
    if not np.allclose(first.fill, second.fill, atol=1e-4):
        return Check(
            "fill", f"{detail}; two runs differ", "Try `dgfnet doctor --device cpu`; the driver may be at fault."
        )
    if step > SEAM_LIMIT:
        return Check("fill", f"{detail}, above {SEAM_LIMIT}", f"Other weights may help. {_REINSTALL}")
    return Check("fill", detail)


def seam_step(picture: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute step between neighbouring pixels on either side of a mask's border; picture float [H, W, C]."""
    across = mask[:, 1:] != mask[:, :-1]
    down = mask[1:] != mask[:-1]
    steps = [np.abs(np.diff(picture, axis=1))[across], np.abs(np.diff(picture, axis=0))[down]]
    return float(np.concatenate(steps).mean())
