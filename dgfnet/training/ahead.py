"""The next step's input, made while a GPU is still busy with the step before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

from dgfnet.training.replay import tensors

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """Calls `make(step)` once per step: on a GPU beside the step before, on a CPU when it is asked for.

    What is made are thousands of short kernels that fill no GPU, between the long ones of a step. `make` must depend on
    nothing that a step changes.
    """

    def __init__(self, make: Callable[[int], Made], device: torch.device) -> None:
        self._make = make
        self._stream = torch.cuda.Stream(device, priority=-1) if device.type == "cuda" else None
        self._ready: tuple[int, Made] | None = None

    def start(self, step: int) -> None:
        """Begin with what `take(step)` will be asked for; returns before a GPU is done."""
        if self._stream:
            with torch.cuda.stream(self._stream):
                self._ready = step, self._make(step)

    def take(self, step: int) -> Made:
        """What `make(step)` returns: a tuple, of tuples or tensors among other things."""
        if not self._stream:
            return self._make(step)
        if self._ready is None or self._ready[0] != step:
            self._stream.wait_stream(torch.cuda.current_stream())
            self.start(step)
        assert self._ready is not None
        made, self._ready = self._ready[1], None
        here = torch.cuda.current_stream()
        here.wait_stream(self._stream)
        for tensor in tensors(made):
            tensor.record_stream(here)
        return made
