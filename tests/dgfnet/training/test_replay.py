"""What is recorded when, on a machine without a GPU: recordings are played back by calling the function again."""

from typing import NamedTuple

import pytest
import torch

from dgfnet.training.replay import Recording, Replay, mapped, tensors


class Pair(NamedTuple):
    a: torch.Tensor
    name: str


class Graph:
    def __init__(self, function, given, result):
        self.function, self.given, self.result = function, given, result

    def replay(self):
        for memory, value in zip(tensors(self.result), tensors(self.function(self.given)), strict=True):
            memory.copy_(value)


class OnPaper(Replay):
    """Notes the lengths of what it records."""

    def _record(self, given):
        self.noted = [*getattr(self, "noted", []), len(self._recordings)]
        memory = mapped(torch.Tensor.clone, given)
        result = self._function(memory)
        return Recording(Graph(self._function, memory, result), memory, result)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    return torch.device("cuda")


def doubled(pair):
    return {"twice": 2 * pair.a}, pair.name


def test_later_calls_are_played_back(gpu):
    replay = OnPaper(doubled, gpu)
    answers = [float(replay("kind", 0, Pair(torch.tensor(x), "x"))[0]["twice"]) for x in (1.0, 2.0, 3.0)]
    assert answers == [2.0, 4.0, 6.0]
    assert replay.noted == [0]


def test_longer_calls_and_other_kinds_are_made_as_they_are_first(gpu):
    replay = OnPaper(doubled, gpu)
    made = []
    for kind, length in [("a", 2), ("a", 1), ("a", 3), ("a", 3), ("b", 1), ("b", 1), ("a", 1)]:
        before = len(getattr(replay, "noted", []))
        replay(kind, length, Pair(torch.tensor(1.0), "x"))
        made.append(len(getattr(replay, "noted", [])) > before)
    assert made == [False, True, False, True, False, True, False]


@pytest.mark.parametrize("copies", [False, True])
def test_results_are_overwritten_unless_copied(gpu, copies):
    replay = OnPaper(doubled, gpu, copies=copies)
    first, second, _ = (replay("kind", 0, Pair(torch.tensor(x), "x"))[0]["twice"] for x in (1.0, 2.0, 3.0))
    assert float(first) == 2.0
    assert float(second) == (4.0 if copies else 6.0)


def test_a_cpu_records_nothing():
    replay = OnPaper(doubled, torch.device("cpu"))
    for x in (1.0, 2.0, 3.0):
        assert float(replay("kind", 0, Pair(torch.tensor(x), "x"))[0]["twice"]) == 2 * x
    assert not hasattr(replay, "noted")


def test_tensors_are_found_in_order_and_replaced():
    values = Pair(torch.tensor(1.0), "x"), [torch.tensor(2.0), None], {"b": torch.tensor(3.0)}
    assert [float(t) for t in tensors(values)] == [1.0, 2.0, 3.0]
    pair, some, named = mapped(lambda t: 10 * t, values)
    assert isinstance(pair, Pair)
    assert (float(pair.a), pair.name, float(some[0]), some[1], float(named["b"])) == (10.0, "x", 20.0, None, 30.0)
