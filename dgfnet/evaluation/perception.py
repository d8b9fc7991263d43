"""Pictures as other networks see them: features that no loss of ours was trained on.

A perception names its figures itself, after the network and weights that it really uses: FID and LPIPS are names of two
published measures, and only their own weights earn them (`inception.py`, `lpips.py`). Definitions: docs/evaluation.md.
"""

from __future__ import annotations

import pathlib
import pickle
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dgfnet.errors import UserError

_MEAN = (123.68, 116.779, 103.939)  # R, G, B of the ImageNet training
_FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
_POOL_BEFORE = (2, 4, 6)  # fire modules with a maximum pooling in front
_COMPARED = (3, 5, 6, 7, 8, 9)  # fire modules whose answers the distance compares, beside the first convolution's


class Comparison(NamedTuple):
    """What a perception says of a truth and B results."""

    features: Tensor | None  # [1 + B, D], the truth's first; for a Frechet distance over many pictures
    distances: Tensor | None  # [B], between the truth and each result


class Perception(Protocol):
    """A network that compares pictures; a name is empty where it has no such figure."""

    frechet: str
    distance: str

    def compare(self, pictures: Tensor) -> Comparison:
        """[1 + B, 3, H, W], sRGB, 0 to 1, the truth first; at least 32 x 32 px."""
        ...


def feature_distance(layers: list[Tensor], weights: list[Tensor] | None = None) -> Tensor:
    """Zhang et al. 2018, eq. (1): layers of [1 + B, C, H, W] each, the truth first -> [B].

    Features are scaled to length 1 over the channels of each position; squared differences are summed over channels
    (times `weights`, [C] per layer, where given), averaged over positions and summed over layers.
    """
    total = torch.zeros(len(layers[0]) - 1, device=layers[0].device)
    for index, layer in enumerate(layers):
        unit = layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)
        difference = (unit[1:] - unit[:1]).square()
        if weights is not None:
            difference = difference * weights[index].view(1, -1, 1, 1)
        total += difference.sum(1).mean((1, 2))
    return total


def read_state(file: pathlib.Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, or of a PyTorch checkpoint (nothing in it is executed).

    Raises:
        UserError: the file is absent or neither.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
        return {str(key): value for key, value in state.items()}
    except (OSError, SafetensorError, RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        raise UserError(f"'{file}' cannot be read as a network's weights ({type(error).__name__}).") from error


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 (Iandola et al. 2016) without its classifier, convolutions as published: no padding at the first.

    Its Frechet distance is taken between means over positions of the last fire module's answer (512 values); its
    feature distance over the first convolution and the fire modules 3 and 5 to 9, unweighted.
    """

    frechet = "Frechet (SqueezeNet)"
    distance = "features (SqueezeNet)"

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2)
        inputs = 64
        for number, (squeeze, expand) in _FIRES.items():
            self.add_module(f"fire{number}", _Fire(inputs, squeeze, expand))
            inputs = 2 * expand
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """[B, 3, H, W], 0 to 1 -> the compared answers, from 64 channels at 1/2 to 512 at 1/16 of the size."""
        x = (pictures * 255 - self.get_buffer("mean")).flip(1)
        x = F.relu(self.conv1(x))
        answers = [x]
        for number in _FIRES:
            if number in _POOL_BEFORE:
                x = F.max_pool2d(x, 3, 2)
            x = self.get_submodule(f"fire{number}")(x)
            if number in _COMPARED:
                answers.append(x)
        return answers

    @torch.no_grad()
    def compare(self, pictures: Tensor) -> Comparison:
        """As `Perception.compare`."""
        answers = self(pictures)
        return Comparison(answers[-1].mean((2, 3)), feature_distance(answers))


class _Fire(nn.Module):
    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze1x1(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


def load_squeezenet(file: str | pathlib.Path) -> SqueezeNet:
    """SqueezeNet 1.1 from a Keras file (HDF5, BGR, 0 to 255 less the mean; kernels [h, w, in, out]).

    Raises:
        UserError: h5py is not installed, or the file does not hold these weights.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError("Reading Keras weights needs h5py; install it with `.venv/bin/pip install h5py`.") from error
    network = SqueezeNet()
    try:
        with h5py.File(file) as data:
            for name, module in network.named_modules():
                if isinstance(module, nn.Conv2d):
                    kernel, bias = sorted(_arrays(data[name.replace(".", "/")]), key=np.ndim, reverse=True)
                    weight = torch.from_numpy(kernel).permute(3, 2, 0, 1)
                    module.load_state_dict({"weight": weight, "bias": torch.from_numpy(bias)})
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"'{file}' does not hold SqueezeNet 1.1 in the Keras layout.") from error
    return network


def _arrays(group: Any) -> list[np.ndarray]:
    """All arrays of an HDF5 group, however deep."""
    found: list[np.ndarray] = []
    group.visititems(lambda _, item: found.append(item[()]) if hasattr(item, "shape") else None)
    return found
