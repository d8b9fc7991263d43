"""The network of FID (Heusel et al. 2017): Inception v3 as exported from TensorFlow in 2015.

It differs from torchvision's: 1008 classes, averages that leave padding out, a maximum in the last block's pool branch.
Names are those of the widely used PyTorch conversion (pt_inception-2015-12-05-6726825d.pth).
"""

from __future__ import annotations

import functools
import pathlib
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgfnet.errors import UserError
from dgfnet.evaluation.perception import Comparison, read_state

_SIZE = 299
_CLASSES = 1008


class _Conv(NamedTuple):
    """A convolution of a chain; stride 2 goes without padding."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


_AVERAGE = functools.partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
_MAXIMUM = functools.partial(F.max_pool2d, kernel_size=3, stride=1, padding=1)
_HALVING = functools.partial(F.max_pool2d, kernel_size=3, stride=2)


class _Unit(nn.Module):
    """Convolution, BatchNorm, ReLU."""

    def __init__(self, inputs: int, width: int, kernel: tuple[int, int], stride: int = 1, padded: bool = True) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(inputs, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Branches side by side. A branch is a chain; the convolutions named in `forks` end it side by side."""

    def __init__(
        self,
        inputs: int,
        *chains: tuple[_Conv, ...],
        forks: dict[str, tuple[_Conv, ...]] | None = None,
        pool: functools.partial[Tensor] = _AVERAGE,
        pooled: int = 0,
    ) -> None:
        """`pooled`: width of the convolution after the pool branch; 0 for none."""
        super().__init__()
        self.chains, self.forks, self.pool, self.pooled = chains, forks or {}, pool, pooled
        for chain in chains:
            width = inputs
            for conv in chain:
                self.add_module(conv.name, _Unit(width, conv.width, conv.kernel, conv.stride, conv.stride == 1))
                width = conv.width
            ends = self.forks.get(chain[-1].name, ())
            for conv in ends:
                self.add_module(conv.name, _Unit(width, conv.width, conv.kernel))
        if pooled:
            self.branch_pool = _Unit(inputs, pooled, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        branches = []
        for chain in self.chains:
            y = x
            for conv in chain:
                y = self.get_submodule(conv.name)(y)
            ends = self.forks.get(chain[-1].name, ())
            branches += [self.get_submodule(conv.name)(y) for conv in ends] or [y]
        y = self.pool(x)
        return torch.cat([*branches, self.branch_pool(y) if self.pooled else y], dim=1)


def _chain(prefix: str, *steps: tuple[int, tuple[int, int]], halving: bool = False) -> tuple[_Conv, ...]:
    """Convolutions `prefix_1`, `prefix_2`, ...; a single one is called `prefix`."""
    names = [prefix] if len(steps) == 1 else [f"{prefix}_{i + 1}" for i in range(len(steps))]
    strides = [1] * (len(steps) - 1) + [2 if halving else 1]
    return tuple(_Conv(name, *step, stride) for name, step, stride in zip(names, steps, strides, strict=True))


_ONE, _THREE, _FIVE, _ROW, _COLUMN = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)


def _block_a(inputs: int, pooled: int) -> _Mixed:
    return _Mixed(
        inputs,
        _chain("branch1x1", (64, _ONE)),
        _chain("branch5x5", (48, _ONE), (64, _FIVE)),
        _chain("branch3x3dbl", (64, _ONE), (96, _THREE), (96, _THREE)),
        pooled=pooled,
    )


def _block_b(inputs: int) -> _Mixed:
    return _Mixed(
        inputs,
        _chain("branch3x3", (384, _THREE), halving=True),
        _chain("branch3x3dbl", (64, _ONE), (96, _THREE), (96, _THREE), halving=True),
        pool=_HALVING,
    )


def _block_c(inputs: int, width: int) -> _Mixed:
    w = width
    return _Mixed(
        inputs,
        _chain("branch1x1", (192, _ONE)),
        _chain("branch7x7", (w, _ONE), (w, _ROW), (192, _COLUMN)),
        _chain("branch7x7dbl", (w, _ONE), (w, _COLUMN), (w, _ROW), (w, _COLUMN), (192, _ROW)),
        pooled=192,
    )


def _block_d(inputs: int) -> _Mixed:
    return _Mixed(
        inputs,
        _chain("branch3x3", (192, _ONE), (320, _THREE), halving=True),
        _chain("branch7x7x3", (192, _ONE), (192, _ROW), (192, _COLUMN), (192, _THREE), halving=True),
        pool=_HALVING,
    )


def _block_e(inputs: int, pool: functools.partial[Tensor]) -> _Mixed:
    def fork(name: str) -> tuple[_Conv, ...]:
        return _Conv(f"{name}a", 384, (1, 3)), _Conv(f"{name}b", 384, (3, 1))

    return _Mixed(
        inputs,
        _chain("branch1x1", (320, _ONE)),
        (_Conv("branch3x3_1", 384),),
        _chain("branch3x3dbl", (448, _ONE), (384, _THREE)),
        forks={"branch3x3_1": fork("branch3x3_2"), "branch3x3dbl_2": fork("branch3x3dbl_3")},
        pool=pool,
        pooled=192,
    )


class Inception(nn.Module):
    """Pictures to the 2048 features that FID is defined on."""

    frechet = "FID"
    distance = ""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Unit(3, 32, _THREE, 2, padded=False)
        self.Conv2d_2a_3x3 = _Unit(32, 32, _THREE, padded=False)
        self.Conv2d_2b_3x3 = _Unit(32, 64, _THREE)
        self.Conv2d_3b_1x1 = _Unit(64, 80, _ONE)
        self.Conv2d_4a_3x3 = _Unit(80, 192, _THREE, padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _block_a(192, 32), _block_a(256, 64), _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b, self.Mixed_6c = _block_c(768, 128), _block_c(768, 160)
        self.Mixed_6d, self.Mixed_6e = _block_c(768, 160), _block_c(768, 192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b, self.Mixed_7c = _block_e(1280, _AVERAGE), _block_e(2048, _MAXIMUM)
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W], 0 to 1, of any size -> [B, 2048]."""
        x = F.interpolate(pictures, (_SIZE, _SIZE), mode="bilinear", align_corners=False) * 2 - 1
        for name, module in self.named_children():
            if name in ("Conv2d_3b_1x1", "Mixed_5b"):
                x = _HALVING(x)
            x = module(x)
        return x.mean((2, 3))

    @torch.no_grad()
    def compare(self, pictures: Tensor) -> Comparison:
        """As `Perception.compare`."""
        return Comparison(self(pictures), None)


def load_inception(file: str | pathlib.Path) -> Inception:
    """FID's Inception from its PyTorch conversion, or the same tensors as safetensors, with or without the classifier.

    Raises:
        UserError: the file does not hold exactly that network; torchvision's Inception is another one.
    """
    state = read_state(pathlib.Path(file))
    network = Inception()
    classifier, _ = (state.pop(key, None) for key in ("fc.weight", "fc.bias"))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"'{file}' is not the Inception of FID.") from error
    if classifier is not None and len(classifier) != _CLASSES:
        raise UserError(f"'{file}' is not the Inception of FID: it has no {_CLASSES} classes.")
    if classifier is None and any((unit.bn.weight != 1).any() for unit in network.modules() if isinstance(unit, _Unit)):
        raise UserError(f"'{file}' is not the Inception of FID: that one's BatchNorms do not scale.")
    return network
