"""How long a verified record must have stood at the hub before a region may forget its own copy. Pure.

A hub acknowledges before its disks are synced (every two minutes by default): what was read a moment ago can still be lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from runtime.ports import Position

SETTLE_SECONDS = 300
"""Longer than nats-server's default `sync_interval` of two minutes."""
NOTES_MAX = 20
"""Notes kept within one settling time: the watermark moves in steps of a twentieth of it."""


class Settling:
    """The positions of one region as they were verified, oldest first."""

    def __init__(self, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._seconds = settle_seconds
        self._notes: deque[tuple[float, dict[str, Position]]] = deque()

    def note(self, now: float, lanes: Mapping[str, Position]) -> None:
        """These were verified just now (monotonic seconds)."""
        if self._notes and (self._notes[-1][1] == lanes or now - self._notes[-1][0] < self._seconds / NOTES_MAX):
            return
        self._notes.append((now, dict(lanes)))

    def due(self, now: float) -> dict[str, Position]:
        """The newest positions that are old enough; empty when none are. They are given once."""
        found: dict[str, Position] = {}
        while self._notes and now - self._notes[0][0] >= self._seconds:
            found = self._notes.popleft()[1]
        return found

    def forget(self) -> None:
        """The hub has lost something: what was noted must stand there anew."""
        self._notes.clear()
