"""How long this disk takes to say that something is safe; too short a time is not believed."""

from __future__ import annotations

import os
import statistics

from runtime.certify.ground import Finding, Ground, judged, now

FLUSHES = 200
FLUSH_BYTES = 8_192
SECONDS_FAST = 0.00005
"""No disk flushes in 50 µs: something between says that it did, or keeps its own battery."""
SHOWS_NOT = "How long a flush takes does not show that it is one. Cache batteries and virtual disks have the last word."


def run(ground: Ground) -> Finding:
    """Write and flush, as a commit does."""
    path = ground.folder / "flush"
    times: list[float] = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for number in range(FLUSHES):
            before = now()
            os.pwrite(handle, os.urandom(FLUSH_BYTES), number * FLUSH_BYTES)
            os.fdatasync(handle)
            times.append(now() - before)
    finally:
        os.close(handle)
    times.sort()
    middle = statistics.median(times)
    figures: dict[str, int | float | str] = {
        "flushes": FLUSHES,
        "median_ms": round(middle * 1_000, 3),
        "p99_ms": round(times[FLUSHES * 99 // 100] * 1_000, 3),
        "slowest_ms": round(times[-1] * 1_000, 3),
    }
    told = f"a flush takes {figures['median_ms']} ms (99 of 100 at most {figures['p99_ms']} ms)"
    wrong = [f"{told}: nothing that turns or wears out is so fast, so this disk may confirm before it writes"]
    return judged("flush", wrong if middle < SECONDS_FAST else [], told, figures=figures, shows_not=SHOWS_NOT)
