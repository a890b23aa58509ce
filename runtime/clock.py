"""The only file that asks the time. Everything else is told.

Instants are microseconds since 1970 (UTC); durations are seconds on a clock that never jumps.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from functools import lru_cache


def now_us() -> int:
    """Wall clock, microseconds since 1970 (UTC). May jump: never measure durations with it."""
    return time.time_ns() // 1_000


def monotonic() -> float:
    """Seconds on a clock that only goes forward."""
    return time.monotonic()


def since_boot() -> float:
    """Seconds on a clock that only goes forward and counts a suspended host."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def today() -> date:
    """The date in UTC."""
    return datetime.now(UTC).date()


@lru_cache(maxsize=64)
def rfc3339(at_us: int) -> str:
    """`2026-11-23T09:30:00.123456+00:00`. Remembers a few: all receipts of one commit name the same instant."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="microseconds")
