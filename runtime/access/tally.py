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

    def rest(self) -> Iterator[tuple[Key, int]]:
        """What was not told yet, and forget everything."""
        seen, self._seen = self._seen, {}
        return ((key, untold) for key, (_, untold) in seen.items() if untold)
