"""Keeps the journal inside its disk budget and says how long the room will last; frees the ballast when it must."""

from __future__ import annotations

import os
import shutil
from collections import deque
from pathlib import Path

import anyio
import anyio.to_thread

from runtime import clock
from runtime.journal import retention
from runtime.journal.journal import Journal
from runtime.journal.retention import Limits

BALLAST = "ballast"
"""Name of the file in the data directory."""
PRESSED_SHARE = 0.90
"""Above this share of the budget acknowledged rows go whatever their age."""
FULL_SHARE = 0.98
"""Above this share senders get 507; the rest is for what was accepted already."""
RATE_SECONDS = 600
RATE_SECONDS_MIN = 20
"""Shorter than this a burst would look like a rate."""
SLICES_MAX = 40
RESERVE_BYTES = 1024 * 1024
"""Free bytes on the file system below which the disk counts as full."""


class Room:
    """How much room there is, and for how long."""

    def __init__(self, journal: Journal, limits: Limits, budget_bytes: int, ballast_bytes: int) -> None:
        self._journal = journal
        self._limits = limits
        self._budget = budget_bytes
        self._ballast_bytes = ballast_bytes
        self._ballast = journal.directory / BALLAST
        self._samples: deque[tuple[float, int]] = deque()
        self._aged_at = clock.monotonic()
        self.used_bytes = 0
        self.budget_bytes = budget_bytes
        self.buffer_seconds_left: int | None = None
        self.full = False
        self.pressed = False

    def use(self, limits: Limits, budget_bytes: int, ballast_bytes: int) -> None:
        """Other limits from the next round on."""
        if ballast_bytes != self._ballast_bytes:
            self._ballast.unlink(missing_ok=True)  # the next round makes it in its new size
        self._limits, self._budget, self._ballast_bytes = limits, budget_bytes, ballast_bytes

    async def tend(self) -> None:
        """One round: measure, age, prune, keep the ballast. Called every second or so."""
        await self.measure()
        await self._grow_older()
        for _ in range(SLICES_MAX):
            deleted = await self._journal.write(
                lambda connection: retention.prune(connection, self._limits, pressed=self.pressed)
            )
            if deleted < retention.SLICE_ROWS_MAX:
                break
        await anyio.to_thread.run_sync(self._keep_ballast)

    def disk_is_full(self) -> None:
        """The disk said so: refuse intake until there is room again, and give the ballast back."""
        self.full = True
        give_ballast_back(self._journal.directory)

    async def measure(self) -> None:
        """Look how much room there is; changes nothing."""
        usage = await self._journal.read(retention.usage)
        free = shutil.disk_usage(self._journal.directory).free + usage.free
        # The file system may be smaller than the budget: what really fits counts.
        self.budget_bytes = min(self._budget, usage.used + max(0, free - RESERVE_BYTES))
        self.used_bytes = usage.used
        share = usage.used / max(1, self.budget_bytes)
        self.pressed = share >= PRESSED_SHARE
        self.full = share >= FULL_SHARE
        self.buffer_seconds_left = self._seconds_left(clock.monotonic())

    def _seconds_left(self, now: float) -> int | None:
        """None while the journal does not grow."""
        self._samples.append((now, self.used_bytes))
        while now - self._samples[0][0] > RATE_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        grown = self.used_bytes - before
        if grown <= 0 or now - since < RATE_SECONDS_MIN:
            return None
        left = max(0.0, self.budget_bytes * FULL_SHARE - self.used_bytes)
        return int(left * (now - since) / grown)

    async def _grow_older(self) -> None:
        seconds = int(clock.monotonic() - self._aged_at)
        if seconds >= 10:
            self._aged_at += seconds
            await self._journal.write(lambda connection: retention.grow_older(connection, seconds))

    def _keep_ballast(self) -> None:
        if self._ballast_bytes and not self.pressed and not self._ballast.exists():
            _allocate(self._ballast, self._ballast_bytes)


def give_ballast_back(directory: Path) -> bool:
    """Make room for what must go on though the disk is full; False if that was done already."""
    try:
        (directory / BALLAST).unlink()
    except FileNotFoundError:
        return False
    return True


def _allocate(path: Path, size: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError:
        os.unlink(path)
    finally:
        os.close(handle)
