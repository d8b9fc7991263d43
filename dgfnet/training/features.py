"""VGG-16 features up to pool3, the space of the perceptual and style losses (paper eqs. 5-7)."""

from __future__ import annotations

import pathlib
import pickle
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgfnet.errors import UserError

_CONVOLUTIONS = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3))  # (block, convolution) of VGG-16 up to pool3
_CAFFE_MEAN = (123.68, 116.779, 103.939)  # R, G, B of the original ImageNet training
DOWNLOAD = "download"
PUBLISHED = "https://download.pytorch.org/models/vgg16-397923af.pth"
"""torchvision's VGG-16; the end of the name is the start of the file's SHA-256, which is checked."""
_MEAN_ACTIVATION = 0.2
"""Each pool is scaled to this mean activation, so that the paper's loss weights act on features of order one: the
original weights, fed with 0 to 255, answer hundreds of times larger."""


class VGGFeatures(nn.Module):
    """The first three stages of VGG-16, frozen."""

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        widths = {1: 64, 2: 128, 3: 256}
        inputs = 3
        self.convolutions = nn.ModuleList()
        for block, _ in _CONVOLUTIONS:
            self.convolutions.append(nn.Conv2d(inputs, widths[block], 3, padding=1))
            inputs = widths[block]
        self.register_buffer("mean", torch.tensor(_CAFFE_MEAN).view(1, 3, 1, 1) / 255)
        self.register_buffer("scale", torch.ones(3))
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W], 0 to 1 -> pool1, pool2, pool3 at 1/2, 1/4 and 1/8 of the size with 64, 128 and 256 channels."""
        x = image - self.mean
        pools: list[Tensor] = []
        for i, convolution in enumerate(self.convolutions):
            x = F.relu(convolution(x))
            if i in (1, 3, 6):
                x = F.max_pool2d(x, 2)
                pools.append(x * self.scale[len(pools)])
        return pools

    @torch.no_grad()
    def calibrate(self, photographs: Tensor) -> None:
        """Set the scale of each pool from its mean activation on photographs [B, 3, H, W], 0 to 1."""
        self.scale.fill_(1)
        self.scale.copy_(torch.stack([_MEAN_ACTIVATION / pool.mean() for pool in self(photographs)]))


def load_features(source: str | pathlib.Path) -> VGGFeatures:
    """VGG features from a folder of the original weights, or from a torchvision checkpoint.

    Args:
        source: a folder with `blockB_convC_kernel_0.npy` [3, 3, in, out] and `..._bias_0.npy` (BGR, 0 to 255; the
            original VGG-19's first convolutions have VGG-16's topology), or torchvision's `vgg16*.pth`, or
            `DOWNLOAD`: the latter from its publisher (528 MB, kept in torch's cache).

    Raises:
        UserError: the source is absent or incomplete, or cannot be downloaded.
    """
    source = _downloaded() if source == DOWNLOAD else pathlib.Path(source)
    features = VGGFeatures()
    try:
        if source.is_dir():
            _from_arrays(features, source)
        else:
            _from_torchvision(features, source)
    except (OSError, KeyError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise UserError(f"'{source}' does not hold VGG weights ({type(error).__name__}).") from error
    return features


def _downloaded() -> pathlib.Path:
    folder = pathlib.Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / PUBLISHED.rpartition("/")[2]
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        prefix = file.stem.rpartition("-")[2]
        try:
            torch.hub.download_url_to_file(PUBLISHED, str(file), prefix, progress=sys.stderr.isatty())
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"The VGG weights could not be downloaded ({error}); download {PUBLISHED} and give the file."
            ) from error
    return file


def _from_arrays(features: VGGFeatures, folder: pathlib.Path) -> None:
    for (block, number), convolution in zip(_CONVOLUTIONS, features.convolutions, strict=True):
        kernel = torch.from_numpy(np.load(folder / f"block{block}_conv{number}_kernel_0.npy")).permute(3, 2, 0, 1)
        bias = torch.from_numpy(np.load(folder / f"block{block}_conv{number}_bias_0.npy"))
        if (block, number) == (1, 1):
            kernel = kernel.flip(1) * 255  # takes RGB from 0 to 1 instead of BGR from 0 to 255
        convolution.load_state_dict({"weight": kernel, "bias": bias})


def _from_torchvision(features: VGGFeatures, file: pathlib.Path) -> None:
    state = torch.load(file, map_location="cpu", weights_only=True)
    features.mean.copy_(torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    for index, convolution in zip((0, 2, 5, 7, 10, 12, 14), features.convolutions, strict=True):
        kernel, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
        convolution.load_state_dict({"weight": kernel / deviation if index == 0 else kernel, "bias": bias})
