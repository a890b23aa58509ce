"""Takes turns: whoever brings much waits for its own things, not others for theirs (deficit round robin).

Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit Round Robin", 1995. Pure; order within a queue is kept.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
TURN_WEIGHT = 64
"""What one queue may take in a turn before the next one is asked."""


class FairQueue(Generic[T]):
    """Items with a weight (at least 1) in named queues."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[tuple[int, T]]] = {}
        """Only those that hold something; the first one is asked next."""
        self._credit: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, name: str, item: T, weight: int) -> None:
        """At the end of its queue."""
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = deque()
        queue.append((weight, item))

    def take(self, weight_max: int) -> list[T]:
        """Items in turn until together they reach `weight_max`; at least one if there is one."""
        taken: list[T] = []
        weight = 0
        while self._queues and weight < weight_max:
            name = next(iter(self._queues))
            queue = self._queues.pop(name)
            credit = self._credit.pop(name, 0) + TURN_WEIGHT
            if not self._queues:
                credit = max(credit, queue[0][0])  # nobody else waits: saving up would only cost turns
            while queue and queue[0][0] <= credit and weight < weight_max:
                spent, item = queue.popleft()
                taken.append(item)
                credit -= spent
                weight += spent
            if queue:
                self._queues[name] = queue  # to the end of the row
                self._credit[name] = credit
        return taken

    def drain(self) -> list[T]:
        """Everything, in no promised order."""
        found = [item for queue in self._queues.values() for _, item in queue]
        self._queues.clear()
        self._credit.clear()
        return found
