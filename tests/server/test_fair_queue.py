"""Turns between sessions."""

from __future__ import annotations

import random

from server.fair_queue import FairQueue


def drained(queue):
    items = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


def test_owners_take_turns_and_keep_their_own_order():
    queue = FairQueue()
    for owner, item in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")]:
        queue.push(owner, item)
    assert len(queue) == 6
    assert drained(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert len(queue) == 0


def test_push_says_how_many_come_before():
    rng = random.Random(0)
    for _ in range(50):
        queue = FairQueue()
        for number in range(rng.randrange(8)):
            queue.push(rng.choice("abc"), number)
        for _ in range(rng.randrange(3)):
            queue.pop()
        ahead = queue.push(rng.choice("abc"), "new")
        assert drained(queue).index("new") == ahead


def test_remove_and_drop():
    queue = FairQueue()
    for owner, item in [("a", 1), ("a", 2), ("b", 3)]:
        queue.push(owner, item)
    assert queue.remove("a", 1)
    assert not queue.remove("a", 1)
    assert not queue.remove("z", 1)
    assert queue.drop("b") == [3]
    assert queue.drop("b") == []
    assert drained(queue) == [2]
