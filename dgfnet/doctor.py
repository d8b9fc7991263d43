"""`dgfnet doctor`: what works, what does not, and what to do about it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from typing import TYPE_CHECKING

from dgfnet import __version__
from dgfnet.errors import UsageError, UserError
from server.client.errors import INSTALL
from server.installation.checks import REINSTALL, Check

if TYPE_CHECKING:
    from dgfnet.model import DGFNet

PACKAGES = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "pillow": "PIL",
    "opencv-python-headless": "cv2",
    "pyzmq": "zmq",
    "msgpack": "msgpack",
    "safetensors": "safetensors",
    "tifffile": "tifffile",
    "tqdm": "tqdm",
}
"""What is installed, and by what name it is imported: by nothing at this module's head, or it could not be missed."""


def checks(weights: str | None, load: Callable[[], tuple[DGFNet, str]]) -> Iterator[Check]:
    """All checks but the server's, cheap ones first. `load` gives the network with `weights`, and its device."""
    yield Check("dgfnet", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    broken = False
    for package, module in PACKAGES.items():
        try:
            import_module(module)
            yield Check(package, metadata.version(package))
        except (ImportError, OSError) as fault:
            broken = True
            yield Check(package, f"cannot be imported ({fault})", REINSTALL)
    if broken:
        return
    from dgfnet.model import WeightsError, load_info
    from dgfnet.trial import small_fill

    try:
        info = load_info(weights)
        yield Check("weights", f"{info.name}, sha256 {info.sha256[:16]}")
        network, device = load()
        yield Check("device", _described(device))
    except WeightsError as fault:
        yield Check("weights", str(fault), _fix_of_weights(weights))
    except UsageError:
        raise
    except UserError as fault:
        fix = f"Restart the computer or update the GPU's driver; `{INSTALL} --cpu` does without the GPU from now on."
        yield Check("device", str(fault), fix)
    else:
        yield Check("fill", *small_fill(network, device))


def _fix_of_weights(asked: str | None) -> str:
    from dgfnet.model import DEFAULT
    from dgfnet.settings import chosen_weights, overruling_weights

    if asked:
        return "Correct the name or the path."
    if overruling_weights():
        return "Correct $DGFNET_WEIGHTS, or unset it."
    return f"Choose others with `dgfnet weights use {DEFAULT}`." if chosen_weights() else REINSTALL


def _described(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return f"CPU, {torch.get_num_threads()} threads" if device == "cpu" else device
