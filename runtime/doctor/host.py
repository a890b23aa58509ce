"""What this machine brings along: SQLite, the XML parser, the clock."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from runtime import clock
from runtime.ports import Finding

WAL_RESET_FIXED = (3, 51, 3)
"""https://sqlite.org/wal.html, section 'The WAL-Reset Bug': 3.7.0 to 3.51.2, fixed in 3.51.3."""
EXPAT_MIN = (2, 4, 1)
"""Limits the growth of entities ("billion laughs", CVE-2013-0340)."""
EXPAT_ADVISED = (2, 7, 2)
"""Bounds memory for small documents (CVE-2025-59375)."""
YEAR_2026_US = 1_767_225_600_000_000
TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
TIMEX_BYTES = 512
"""struct timex has 208 bytes; room to spare for other architectures."""


def numbers(version: str) -> tuple[int, int, int]:
    """`3.46.1` → (3, 46, 1)."""
    parts = [int(part) for part in version.split(".")] + [0, 0, 0]
    return parts[0], parts[1], parts[2]


def sqlite() -> Iterator[Finding]:
    """The version, and why the bug of older ones cannot strike here."""
    from runtime.journal.store import SQLITE_VERSION

    if numbers(SQLITE_VERSION) >= WAL_RESET_FIXED:
        yield Finding("SQLite", "ok", SQLITE_VERSION)
        return
    note = "has the WAL-reset bug; it needs two connections, and the journal has exactly one, so it cannot strike here"
    yield Finding("SQLite", "ok", f"{SQLITE_VERSION} {note}")


def expat() -> Iterator[Finding]:
    """The XML parser, which foreign bytes reach."""
    import pyexpat

    yield judge_expat(pyexpat.EXPAT_VERSION.removeprefix("expat_"))


def judge_expat(version: str) -> Finding:
    """A version alone does not show what a distribution has mended."""
    if numbers(version) < EXPAT_MIN:
        step = "install a newer libexpat, or a Python that brings one: a small XML message can use up all memory"
        return Finding("Expat", "warning", f"{version} does not stop XML bombs", step)
    if numbers(version) < EXPAT_ADVISED:
        advised = ".".join(map(str, EXPAT_ADVISED))
        return Finding(
            "Expat", "ok", f"{version} stops XML bombs; {advised}, or your distribution's security updates, is better"
        )
    return Finding("Expat", "ok", f"{version} stops XML bombs")


def time() -> Iterator[Finding]:
    """Whether the clock can be believed, and whether somebody keeps it right."""
    now = clock.now_us()
    shown = clock.rfc3339(now)[:19]
    if now < YEAR_2026_US:
        step = "set it, and switch time synchronisation on"
        yield Finding("clock", "critical", f"it says {shown} UTC, which cannot be", step)
    elif _unsynchronised():
        step = "switch time synchronisation on (chrony, systemd-timesyncd): receipts and checkpoints carry this time"
        yield Finding("clock", "warning", f"{shown} UTC, and nobody keeps it right", step)
    else:
        yield Finding("clock", "ok", f"{shown} UTC, synchronised")


def _unsynchronised() -> bool:
    """What the kernel of the operating system says; False where it cannot be asked."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    return adjtimex is not None and adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)) == TIME_ERROR
