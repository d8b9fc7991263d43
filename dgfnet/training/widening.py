"""A trained network as the beginning of a wider one, which computes the same at first (after Chen et al. 2016).

Old channels keep their weights and read nothing of the new ones; new channels begin with random weights and read all.
So nothing that was learnt is lost, and what is new is not a copy that would learn the same again.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from dgfnet.model import DGFNet, DGFNetConfig

_FAINT = 0.1
"""New channels in front of attention begin so faint: its scores are made of all channels together."""
_BEFORE_ATTENTION = "coarse.reason.up3.1.weight"


def widest(a: DGFNetConfig, b: DGFNetConfig) -> DGFNetConfig:
    """The first with the larger of both widths."""
    return dataclasses.replace(a, width=max(a.width, b.width), detail_width=max(a.detail_width, b.detail_width))


def completed(a: DGFNetConfig, b: DGFNetConfig) -> DGFNetConfig:
    """The first; with the second's texture branch and fusion where it has none."""
    return a if a.fusion != "none" else dataclasses.replace(a, fusion=b.fusion, detail_width=b.detail_width)


@torch.no_grad()
def widened(network: DGFNet, config: DGFNetConfig, seed: int = 0) -> DGFNet:
    """A network of `config`, no narrower than `network` and otherwise like it, that begins where that is.

    Texture branch and fusion compute the same for the same input, and are random where the network has none; the coarse
    branch nearly so, because attention and the blend of picture and features count channels.
    """
    torch.manual_seed(seed)
    wide = DGFNet(config)
    before, after = _inputs(network.config), _inputs(config)
    old, new = network.state_dict(), wide.state_dict()
    for name, source in old.items():
        value = new[name]
        if value.ndim == 4:
            layer = name.removesuffix(".weight")
            outputs, inputs = (1, 0) if _is_transposed(wide, layer) else (0, 1)
            olds = _outputs(layer, source.shape[outputs]), before.get(layer, [source.shape[inputs]])
            news = _outputs(layer, value.shape[outputs]), after.get(layer, [value.shape[inputs]])
            rows, columns = (_places(o, n) for o, n in zip(olds, news, strict=True))
            kernel, trained = (t.movedim((outputs, inputs), (0, 1)) for t in (value, source))
            kernel[rows] = 0
            kernel[rows[:, None], columns] = trained
        elif value.ndim == 1:
            if name == _BEFORE_ATTENTION:
                value.fill_(_FAINT)
            layer = name.rpartition(".")[0]
            value[_places(_outputs(layer, len(source)), _outputs(layer, len(value)))] = source
        else:
            value.copy_(source)
    return wide


def _is_transposed(network: DGFNet, layer: str) -> bool:
    return isinstance(network.get_submodule(layer), torch.nn.ConvTranspose2d)


def _places(old: Sequence[int], new: Sequence[int]) -> Tensor:
    """Where each channel of groups of `old` sizes is in groups of `new` sizes: at the beginning of its group."""
    starts = itertools.accumulate(new, initial=0)
    return torch.cat([torch.arange(start, start + size) for start, size in zip(starts, old, strict=False)])


def _outputs(layer: str, channels: int) -> list[int]:
    """Groups of what a layer puts out: two halves where it makes the gates of both streams, else one."""
    return [channels // 2] * 2 if ".gates." in layer else [channels]


def _inputs(config: DGFNetConfig) -> dict[str, list[int]]:
    """Channels of each part that is concatenated before a layer, for all layers that read more than one."""
    c, d = round(64 * config.width), round(32 * config.detail_width)
    sizes = [d, 2 * d, 4 * d, 8 * d, 8 * d]
    coarse = {
        "coarse.reason.merge5.0": [8 * c] * 2,
        "coarse.reason.merge4.0": [8 * c] * 2,
        "coarse.reason.up3.0": [8 * c] * 2,
        "coarse.reason.attention.combiner": [8 * c] * 2,
        "coarse.reason.up2.0": [8 * c, 4 * c],
        "coarse.reason.up1.0": [4 * c, 2 * c],
        "coarse.blend": [3, c],
        "coarse.out": [c // 2] * 2,
    }
    texture = {
        "texture.up2.0": [8 * d, 4 * d],
        "texture.up1.0": [4 * d, 2 * d],
        "texture.up0.0": [2 * d, d],
    }
    fusion = {
        **{f"fusion.merge.{i}.gates.0": [size] * 2 for i, size in enumerate(sizes[:-1])},
        "fusion.bottom.0": [sizes[4]] * 3,
        **{f"fusion.decode.{i}.0": [sizes[4 - i], *[sizes[3 - i]] * 3] for i in range(3)},
        "fusion.top.0": [sizes[1], d, d],
    }
    return coarse | texture | fusion
