"""Which device to use, and whether it works. Imports torch."""

from __future__ import annotations

import torch

from dgfnet.errors import UsageError, UserError, is_out_of_memory


def default_device() -> str:
    """The GPU where CUDA (or ROCm) has one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def fault_of(device: str | torch.device) -> Exception | None:
    """What comes of the smallest computation on a device instead of its result; None where that comes."""
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as fault:
        return fault
    return None


def reason_of(fault: Exception) -> str:
    """What a fault says of a device, in a clause: PyTorch can go on for a page."""
    return str(fault).partition("\n")[0].partition(". ")[0].rstrip(".")


def check_device(name: str) -> None:
    """Have the device that a command works on answer.

    Raises:
        UsageError: there is no such device here.
        UserError: it is there and does not work.
    """
    fault = fault_of(name)
    if fault is None:
        return
    if is_out_of_memory(fault):  # it is there, and full
        raise fault
    if name == default_device():  # so PyTorch sees it
        raise UserError(f"The GPU does not work ({reason_of(fault)}). `--device cpu` uses the CPU.") from fault
    raise UsageError(f"There is no device '{name}' here; leave --device out to use what there is.") from fault
