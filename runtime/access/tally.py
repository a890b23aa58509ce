"""Counts what happens often, so that the log holds one line for each of them and hour. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
KEYS_MAX = 10_000
"""Beyond it new ones are left out: a provider's subjects are as many as it likes."""
HOUR_SECONDS = 3_600


class Tally(Generic[Key]):
    """The first of each hour is told at once, with how many there were since it was told before."""

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[int, int]] = {}
        """Key → (hour when told, how many since)."""
        self._hour = -1

    def count(self, key: Key, now_seconds: float) -> int | None:
        """How many to tell, this one included; None when there is nothing to tell now."""
        hour = int(now_seconds // HOUR_SECONDS)
        told = self._seen.get(key)
        if told is not None and told[0] == hour:
            self._seen[key] = (hour, told[1] + 1)
            return None
        if told is None and len(self._seen) >= KEYS_MAX:
            return None
        self._seen[key] = (hour, 0)
        return 1 + (told[1] if told is not None else 0)

    def overdue(self, now_seconds: float) -> list[tuple[Key, int]]:
        """What was not told of hours that are over, and forget them: whoever comes no more is told too, and makes room."""
        hour = int(now_seconds // HOUR_SECONDS)
        if hour == self._hour:
            return []
        self._hour = hour
        over = {key: untold for key, (told, untold) in self._seen.items() if told != hour}
        for key in over:
            del self._seen[key]
        return [(key, untold) for key, untold in over.items() if untold]

    def rest(self) -> Iterator[tuple[Key, int]]:
        """What was not told yet, and forget everything."""
        seen, self._seen = self._seen, {}
        return ((key, untold) for key, (_, untold) in seen.items() if untold)
