"""Which device a command works on. Imports torch."""

from __future__ import annotations

import torch

from dgfnet.errors import UsageError, is_out_of_memory


def check_device(name: str) -> None:
    """Have the device answer.

    Raises:
        UsageError: there is no such device here.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as fault:
        if is_out_of_memory(fault):  # it is there, and full
            raise
        raise UsageError(f"There is no device '{name}' here; leave --device out to use what there is.") from fault
