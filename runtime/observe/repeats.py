"""How often a repeated failure may speak: the first time, then once per 30 s, then "recovered after N errors".

Pure: the caller passes the time (seconds on a clock that never jumps). Memory is bounded by `keys_max`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Episode:
    errors: int
    silenced: int
    spoke_at: float
    context: Any


class Repeats:
    """Failures by key. A key forgotten for lack of room speaks again at its next failure: louder, never quieter."""

    def __init__(self, every_seconds: float = 30.0, keys_max: int = 1024) -> None:
        self._every_seconds = every_seconds
        self._keys_max = keys_max
        self._episodes: OrderedDict[Hashable, _Episode] = OrderedDict()

    def failed(self, key: Hashable, at: float, context: Any = None) -> int | None:
        """None: stay silent. A number: speak now, and say that so many like it were not shown since the last time.

        `context` is given back by `overdue` with the newest silent failure.
        """
        episode = self._episodes.get(key)
        if episode is None:
            self._episodes[key] = _Episode(errors=1, silenced=0, spoke_at=at, context=None)
            if len(self._episodes) > self._keys_max:
                self._episodes.popitem(last=False)
            return 0
        self._episodes.move_to_end(key)
        episode.errors += 1
        if at - episode.spoke_at < self._every_seconds:
            episode.silenced += 1
            episode.context = context
            return None
        return self._spoken(episode, at)

    def recovered(self, key: Hashable) -> int:
        """How many errors there were since all was well; 0 when there is nothing to report."""
        episode = self._episodes.pop(key, None)
        return episode.errors if episode else 0

    def overdue(self, at: float) -> list[tuple[Hashable, int, Any]]:
        """(key, silenced, context) of failures that fell silent within their 30 s and came no more: nothing stays unsaid."""
        said: list[tuple[Hashable, int, Any]] = []
        for key, episode in self._episodes.items():
            if episode.silenced and at - episode.spoke_at >= self._every_seconds:
                context = episode.context
                said.append((key, self._spoken(episode, at), context))
        return said

    @staticmethod
    def _spoken(episode: _Episode, at: float) -> int:
        silenced, episode.silenced = episode.silenced, 0
        episode.spoke_at, episode.context = at, None
        return silenced
