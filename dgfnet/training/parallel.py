"""Training in several processes, started by torchrun: which one this is, and what all of them agree on.

Every function also works, and does nothing, where there is one process.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from dgfnet.devices import check_device

_PATIENCE = datetime.timedelta(hours=6)
"""How long processes wait for each other: the first one of a machine decodes all pictures before the others begin."""


def rank() -> int:
    """Number of this process, 0 to `size() - 1`; number 0 alone writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextlib.contextmanager
def joined(device: str) -> Iterator[str]:
    """Meet the other processes where torchrun started this one; yields this process's device, now the current one.

    Raises:
        UsageError: there is no such device.
    """
    together = "TORCHELASTIC_RUN_ID" in os.environ
    if together and device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    check_device(device)
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)
    if not together:
        yield device
        return
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=_PATIENCE)
    try:
        yield device
        dist.barrier()  # a process that leaves while another still talks to it brings that one down
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def first_here() -> Iterator[None]:
    """The first process of each machine runs the block before the others do, so that they find its files."""
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    if size() > 1 and not first:
        dist.barrier()
    yield
    if size() > 1 and first:
        dist.barrier()


def average(tensors: Sequence[Tensor]) -> None:
    """Replace every float tensor by its mean over the processes, in one message."""
    if size() == 1 or not tensors:
        return
    flat = torch.cat([t.detach().flatten() for t in tensors])
    dist.all_reduce(flat)
    flat /= size()
    for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.detach().copy_(mean.view(tensor.shape))


def agreed(number: float, device: torch.device) -> float:
    """The mean of what the processes say."""
    if size() == 1:
        return number
    mean = torch.tensor(number, dtype=torch.float64, device=device)
    average([mean])
    return float(mean)


def anyone(says: bool, device: torch.device) -> bool:
    """Does any process say so?"""
    if size() == 1:
        return says
    flag = torch.tensor(float(says), device=device)
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)
