"""How fast training runs, and what share of the device's matrix peak that is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from dgfnet.training.trainer import Trainer


def seconds(work: Callable[[], object], times: int, device: torch.device) -> float:
    """Mean seconds of one call, the device's work included."""
    wait(device)
    started = time.perf_counter()
    for _ in range(times):
        work()
    wait(device)
    return (time.perf_counter() - started) / times


def wait(device: torch.device) -> None:
    """Until the device has done everything it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_peak(device: torch.device) -> float:
    """Operations per second of bfloat16 matrix products, 8192 (on a CPU 1024) squared, the best of five rounds."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    torch.mm(a, b)
    return max(2 * size**3 / seconds(lambda: torch.mm(a, b), 10, device) for _ in range(5))


def operations(trainer: Trainer) -> float:
    """Floating-point operations of a step of the present stage, forward and backward, the mean over recurrences.

    Convolutions and matrix products; RTV and other elementwise work count as nothing. Counted on a trainer of its own
    with a batch of one picture, at the fewest and the most recurrences: operations grow evenly with both.
    """
    stage = replace(trainer.stage, share=1.0, batch=1)
    recipe = replace(trainer.recipe, stages=(stage,))
    other = Trainer(recipe, trainer.bank, trainer.features, trainer.device, graphs=False)
    counted = []
    for recurrences in recipe.recurrences:
        with FlopCounterMode(display=False) as counter:
            other.gradients(other.ahead.take(0)._replace(recurrences=recurrences))
        counted.append(counter.get_total_flops())
    return trainer.stage.batch * sum(counted) / len(counted)
