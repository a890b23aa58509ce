"""The wall clock of one agent under the test's control, by libfaketime; its other clocks stay true."""

from __future__ import annotations

from pathlib import Path

from tests.support.needs import LIBFAKETIME


class WallClock:
    """What the processes that were started with `variables` believe the time is."""

    def __init__(self, directory: Path) -> None:
        self._offset = directory / "clock-offset"
        self.set(0)
        self.variables = {
            "LD_PRELOAD": str(LIBFAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    @staticmethod
    def forget(pid: int) -> None:
        """libfaketime shares memory within a process; one that was killed leaves it behind."""
        for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
            Path("/dev/shm", name).unlink(missing_ok=True)

    def set(self, seconds: int) -> None:
        """Let the clock stand this far ahead of the true time (negative: behind); in one step for a reader."""
        written = self._offset.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.replace(self._offset)
