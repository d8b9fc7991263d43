"""A function's work on a GPU as one launch: recorded as a CUDA graph, then played back."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


class Recording(NamedTuple):
    """A graph, and the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    given: Any
    result: Any


class Replay(Generic[Result]):
    """Calls a function whose launches are the same for every call of the same kind and length.

    The first call of a kind, and each that is longer than those before, is made as it is: libraries choose their
    kernels then. Later ones are recorded, once for each length, and played back: thousands of launches become one. A
    call of another kind drops what was recorded. Where `records` is false, and on a CPU, calls are made as they are.
    """

    def __init__(
        self, function: Callable[[Any], Result], device: torch.device, records: bool = True, copies: bool = False
    ) -> None:
        """`copies` the results, which the next call would overwrite."""
        self._function, self._copies = function, copies
        self._records = records and device.type == "cuda"
        self._kind: Hashable = None
        self._warm = -1
        self._recordings: dict[int, Recording] = {}
        self._pool: Any = None

    def __call__(self, kind: Hashable, length: int, given: Any) -> Result:
        """The function's result for `given`: tensors in tuples, among other things that kind and length determine."""
        if not self._records:
            return self._function(given)
        if kind != self._kind:
            self._recordings.clear()
            self._kind, self._warm, self._pool = kind, -1, torch.cuda.graph_pool_handle()
        if length > self._warm:
            self._warm = length
            return self._function(given)
        if length not in self._recordings:
            self._recordings[length] = self._record(given)
        recording = self._recordings[length]
        for memory, value in zip(tensors(recording.given), tensors(given), strict=True):
            memory.copy_(value)
        recording.graph.replay()
        return mapped(Tensor.clone, recording.result) if self._copies else recording.result

    def _record(self, given: Any) -> Recording:
        graph, memory = torch.cuda.CUDAGraph(), mapped(Tensor.clone, given)
        with torch.cuda.graph(graph, pool=self._pool):
            result = self._function(memory)
        return Recording(graph, memory, result)


def mapped(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The same tuples, lists and dictionaries with every tensor replaced by the function's result."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {name: mapped(function, part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [mapped(function, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def tensors(value: Any) -> list[Tensor]:
    """Every tensor in tuples, lists and dictionaries, in order."""
    found: list[Tensor] = []

    def take(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(take, value)
    return found
