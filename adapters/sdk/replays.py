"""Remembers signed bytes while their timestamp is still fresh, so that nobody sends them again under another key.

Bounded: two generations, each as long as the tolerance. The same bytes under the same key are a retry and may pass.
"""

from __future__ import annotations

REMEMBERED_MAX = 200_000
"""Digests kept in one generation: about 30 MB at worst. Beyond that the older generation goes early."""


class Replays:
    """One memory for one source."""

    def __init__(self, tolerance_seconds: int) -> None:
        self._span = 2 * tolerance_seconds
        """A timestamp may lie as far ahead as behind."""
        self._young: dict[bytes, str | None] = {}
        self._old: dict[bytes, str | None] = {}
        self._began = 0

    def under_another_key(self, digest: bytes, key: str | None, now_seconds: int) -> bool:
        """Whether these signed bytes came before with another idempotency key; otherwise they are remembered."""
        if not 0 <= now_seconds - self._began < self._span or len(self._young) >= REMEMBERED_MAX:
            self._old = self._young if now_seconds - self._began < 2 * self._span else {}
            self._young, self._began = {}, now_seconds
        for memory in (self._young, self._old):
            if digest in memory:
                return memory[digest] != key
        self._young[digest] = key
        return False
