"""A device that is the CPU under another name and as strict as a GPU, for machines that have none.

    python elsewhere.py refuse|fill|train FOLDER

Every operation on its tensors is done by the CPU on the tensors inside of them, but refused where another operand lies
on the CPU, as CUDA refuses it. That finds what was left behind there, not what CUDA's own kernels would do. To be run
in a process of its own: PyTorch takes one device of this kind, and parts of PyTorch are replaced.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo.variables.functions  # keeps a reference to the true torch.Generator
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "elsewhere"
_ops = torch.ops.aten
_MAY_MIX = (_ops.copy_.default, _ops._to_copy.default, _ops.index.Tensor, _ops.index_put_.default)


class Elsewhere(torch.Tensor):
    """A tensor of the device; `inside` is one of the CPU."""

    inside: torch.Tensor

    @staticmethod
    def __new__(cls, inside: torch.Tensor) -> Elsewhere:
        """Like the tensor inside, but for the device."""
        shape, stride, offset = inside.shape, inside.stride(), inside.storage_offset()
        return torch.Tensor._make_wrapper_subclass(
            cls, shape, strides=stride, storage_offset=offset, dtype=inside.dtype, device=f"{NAME}:0"
        )

    def __init__(self, inside: torch.Tensor) -> None:
        self.inside = inside

    def tolist(self) -> Any:
        """By way of the CPU."""
        return self.detach().cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation."""
        return perform(operation, args, kwargs or {})


class Making(TorchDispatchMode):
    """Operations that make tensors without being given one."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation."""
        kwargs = kwargs or {}
        concerned = _is_elsewhere(kwargs.get("device")) or any(issubclass(each, Elsewhere) for each in types)
        return perform(operation, args, kwargs) if concerned else operation(*args, **kwargs)


def perform(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do it on the CPU, if a GPU would do it; the answer is elsewhere if it would be.

    Raises:
        RuntimeError: operands lie on two devices.
    """
    operands = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    ours = [each for each in operands if isinstance(each, Elsewhere)]
    left = [each for each in operands if not isinstance(each, Elsewhere) and each.dim()]
    into_cpu = bool(operands) and not isinstance(operands[0], Elsewhere)
    is_copy = operation in (_ops.copy_.default, _ops._to_copy.default)
    if ours and ((left and operation not in _MAY_MIX) or (into_cpu and not is_copy)):
        raise RuntimeError(f"{operation}: on the CPU are {[tuple(each.shape) for each in left]}")
    wanted = kwargs.get("device")
    if _is_elsewhere(wanted):
        kwargs = {**kwargs, "device": "cpu"}
    args, kwargs = tree_map(lambda each: each.inside if isinstance(each, Elsewhere) else each, (args, kwargs))
    answer = operation(*args, **kwargs)
    stays = _is_elsewhere(wanted) or (wanted is None and ours and not (into_cpu and is_copy))
    if not stays:
        return answer
    known = {id(each.inside): each for each in ours}

    def wrapped(each: Any) -> Any:
        if not isinstance(each, torch.Tensor):
            return each
        return known[id(each)] if id(each) in known else Elsewhere(each)

    return tree_map(wrapped, answer)


def _is_elsewhere(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def establish() -> None:
    """Make the device known, and replace what PyTorch has for devices in C++ alone."""

    class Module(backend_registration._DummyBackendModule):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.bfloat16]

    backend_registration._setup_privateuseone_for_python_backend(NAME, Module())
    library = torch.library.Library("aten", "IMPL")

    def empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> Elsewhere:
        return Elsewhere(torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))

    def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Elsewhere:
        return Elsewhere(torch.empty_strided(size, stride, dtype=dtype))

    library.impl("empty.memory_format", empty, "PrivateUse1")
    library.impl("empty_strided", empty_strided, "PrivateUse1")
    establish.library = library  # type: ignore[attr-defined]  # as long as it is kept, the two are known

    true_generator, true_autocast = torch.Generator, torch.autocast

    class Generator(true_generator):
        device = property(lambda self: torch.device(NAME, 0))

    torch.Generator = lambda device="cpu": (Generator if _is_elsewhere(device) else true_generator)("cpu")
    torch.autocast = lambda kind, *a, **k: contextlib.nullcontext() if kind == NAME else true_autocast(kind, *a, **k)
    torch.inference_mode = torch.no_grad  # which shows composite operations in their parts
    torch.__future__.set_overwrite_module_params_on_conversion(True)


def refuse(_: Path) -> None:
    """What two devices have no part in is done, and lies on the device; what mixes them is refused."""
    there, here = torch.arange(3.0, device=f"{NAME}:0"), torch.arange(3.0)
    assert (there * 2 + here[1]).tolist() == [1, 3, 5], "a single number of the CPU's may take part"
    assert there.sqrt().device.type == (here.to(there.device) + there).device.type == NAME
    assert there.cpu().device.type == "cpu"
    for mixed in (lambda: there + here, lambda: here.add_(there), lambda: torch.where(there > 1, here, there)):
        with pytest.raises(RuntimeError, match=r"on the CPU are \[\(3,\)\]"):
            mixed()


def fill(_: Path) -> None:
    """A whole fill, refinement and patches included: the CPU's but for rounding, since only there blurs are sums."""
    from skimage import data

    from dgfnet.inpainting import Inpainter
    from dgfnet.model import DGFNet, DGFNetConfig

    torch.manual_seed(1)
    config = DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2, membrane=True, finer=True)
    state = DGFNet(config).state_dict()
    picture = data.astronaut()[::4, ::4]
    hole = np.zeros(picture.shape[:2], bool)
    hole[50:80, 40:72] = True
    fills = []
    for device in ("cpu", f"{NAME}:0"):
        network = DGFNet(config)
        network.load_state_dict(state)
        inpainter = Inpainter(network.eval(), device, max_side=64)
        inpainter.bfloat16 = False
        fills.append(inpainter.fill(picture, hole).fill)
    np.testing.assert_allclose(*fills, atol=1e-5)


def train(folder: Path) -> None:
    """Six steps of the full recipe with all its parts, in small; the run's weights are finite."""
    from PIL import Image
    from skimage import data

    from dgfnet import cli, model
    from dgfnet.training import command, recipes
    from dgfnet.training.features import VGGFeatures

    command.load_features = lambda source: VGGFeatures()
    command._TELL_SECONDS = 0
    stages = tuple(replace(stage, size=32, batch=2) for stage in recipes.FULL.stages)
    network = replace(recipes.FULL.network, width=0.125, detail_width=0.125)
    small = replace(recipes.FULL, name="small", network=network, stages=stages, short_sides=(48, 64))
    recipes.RECIPES["small"] = small
    (folder / "pictures").mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(data, name)()[:256:2, :256:2]).save(folder / "pictures" / f"{name}.png")
    (folder / "masks").mkdir()
    Image.fromarray(np.pad(np.full((20, 30), 255, np.uint8), 20)).save(folder / "masks" / "one.png")
    words = ["train", str(folder / "pictures"), "--recipe", "small", "--features", "random", "--sheet-every", "3"]
    words += ["--masks", str(folder / "masks"), "--holes-are", "white", "--out", str(folder / "run")]
    assert cli.main([*words, "--steps", "6", "--device", f"{NAME}:0"]) == 0
    weights = model.load(folder / "run" / "weights.safetensors", "cpu").state_dict()
    assert all(values.isfinite().all() for values in weights.values())


if __name__ == "__main__":
    torch.set_num_threads(1)
    establish()
    with Making():
        {"refuse": refuse, "fill": fill, "train": train}[sys.argv[1]](Path(sys.argv[2]))
    print("fine")
