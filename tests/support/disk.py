"""A disk that records what SQLite does to it, and answers one kind of call with an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.certify.recorder import OK, Recorder, Step, watched

FULL, IOERR_WRITE, IOERR_FSYNC = 13, 778, 1034


class Disk(Recorder):
    """What SQLite did to its files, and what the disk will answer."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: int = OK
        self.faults_left = 0
        self.fault_on: tuple[str, ...] = ()
        self.calls_before_fault = 0
        self.failed: list[Step] = []

    def fail(self, code: int, *on: str, after: int = 0, times: int = 10**9) -> None:
        """Answer `code` to the next calls of these kinds, once `after` of them have passed."""
        self.fault, self.fault_on, self.calls_before_fault, self.faults_left = code, on, after, times

    def heal(self) -> None:
        self.faults_left = 0

    def answer(self, step: Step) -> int:
        """OK if the call may go on; what passes is recorded."""
        if self.faults_left and step.kind in self.fault_on:
            if self.calls_before_fault == 0:
                self.faults_left -= 1
                self.failed.append(step)
                return self.fault
            self.calls_before_fault -= 1
        return super().answer(step)


@contextmanager
def watched_disk() -> Iterator[Disk]:
    """Every SQLite file that is opened inside, and closed inside, is watched."""
    with watched(Disk()) as disk:
        yield disk
