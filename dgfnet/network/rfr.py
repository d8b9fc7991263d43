"""Import of a published RFR checkpoint into the coarse branch: names only, the tensors are taken as they are."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from dgfnet.errors import UserError
from dgfnet.network.coarse import CoarseBranch

_NAMES = {
    "Pconv1": "entry",
    "bn1": "entry_norm",
    "Pconv2": "widen",
    "bn20": "widen_norm",
    "Pconv21": "grow1",
    "Pconv22": "grow2",
    "bn2": "grow_norm",
    "RFRModule.att.att.ratio": "reason.attention.ratio",
    "RFRModule.att.combiner": "reason.attention.combiner",
    "Tconv": "up",
    "bn3": "up_norm",
    "tail1": "blend",
    "tail2.conv1": "refine.reduce.0",
    "tail2.bn1": "refine.reduce.1",
    "tail2.conv2": "refine.filter.0",
    "tail2.bn2": "refine.filter.1",
    "tail2.conv3": "refine.expand.0",
    "tail2.bn3": "refine.expand.1",
    "out": "out",
    **{f"RFRModule.enc_{i}": f"reason.down{i}" for i in (1, 2, 3)},
    **{f"RFRModule.enc_{i}": f"reason.wide{i}" for i in (4, 5, 6)},
    **{f"RFRModule.dec_{i}": f"reason.merge{i}" for i in (5, 4)},
    **{f"RFRModule.dec_{i}": f"reason.up{i}" for i in (3, 2, 1)},
}
_PREFIX = re.compile("|".join(rf"{re.escape(name)}(?=\.|$)" for name in sorted(_NAMES, key=len, reverse=True)))


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict (114 entries) -> ours.

    Raises:
        UserError: an entry is unknown, missing or has another shape than RFR's.
    """
    ours: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key.removeprefix("module.")
        match = _PREFIX.match(name)
        if match is None:
            raise UserError(f"This is not an RFR checkpoint: it has an entry '{key}' that RFR does not have.")
        ours[_NAMES[match.group()] + name[match.end() :]] = value
    expected = CoarseBranch().state_dict()
    missing = sorted(expected.keys() - ours.keys())
    if missing:
        raise UserError(
            f"This is not a complete RFR checkpoint: {len(missing)} entries such as '{missing[0]}' are missing."
        )
    for name, value in ours.items():
        if name not in expected or value.shape != expected[name].shape:
            raise UserError(f"The entry for '{name}' has shape {tuple(value.shape)}, which is not RFR's.")
    return ours


def coarse_branch(state: Mapping[str, Tensor]) -> CoarseBranch:
    """Coarse branch with the authors' weights, in eval mode."""
    branch = CoarseBranch()
    branch.load_state_dict(rename(state))
    return branch.eval()


def read_checkpoint(path: str | pathlib.Path) -> CoarseBranch:
    """Coarse branch from the authors' `.pth` file; only tensors are unpickled, never code.

    Raises:
        UserError: the file cannot be read, or is not an RFR checkpoint.
    """
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"'{path}' cannot be read as a PyTorch checkpoint ({type(error).__name__}).") from error
    for key in ("generator", "state_dict", "model"):
        if isinstance(data, Mapping) and isinstance(data.get(key), Mapping):
            data = data[key]
    if not isinstance(data, Mapping) or not all(isinstance(v, Tensor) for v in data.values()):
        kept = {k: v for k, v in data.items() if isinstance(v, Tensor)} if isinstance(data, Mapping) else {}
        if not kept:
            raise UserError(f"'{path}' holds no network weights.")
        data = kept
    return coarse_branch(data)
