"""Whose turn it is: sessions take turns, each session's own jobs stay in order."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)
Item = TypeVar("Item")


class FairQueue(Generic[Owner, Item]):
    """Round robin over owners. The owner served goes to the end of the line."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Owner, deque[Item]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def push(self, owner: Owner, item: Item) -> int:
        """Append; returns how many queued items will come before this one as things stand."""
        line = self._lines.setdefault(owner, deque())
        line.append(item)
        rounds = len(line)
        owners = list(self._lines)
        turn = owners.index(owner)
        others = (
            min(len(self._lines[other]), rounds if index < turn else rounds - 1)
            for index, other in enumerate(owners)
            if index != turn
        )
        return rounds - 1 + sum(others)

    def pop(self) -> Item | None:
        """Take the next item, or None where nothing waits."""
        if not self._lines:
            return None
        owner, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[owner] = line
        return item

    def remove(self, owner: Owner, item: Item) -> bool:
        """Take out one item; False where it does not wait."""
        line = self._lines.get(owner)
        if line is None or item not in line:
            return False
        line.remove(item)
        if not line:
            del self._lines[owner]
        return True

    def drop(self, owner: Owner) -> list[Item]:
        """Take out all that an owner has waiting."""
        return list(self._lines.pop(owner, ()))
