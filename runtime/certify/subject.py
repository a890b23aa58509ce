"""The process that is tried: a real kernel on the scratch journal that accepts, translates, seals and acknowledges.

`python -m runtime.certify.subject DIRECTORY JOB FIRST COUNT`; each receipt is one line on stdout, written after its commit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec

from runtime.certify import scratch
from runtime.certify.recorder import OK, Recorder, Step, watched
from runtime.errors import StorageFull
from runtime.journal.store import Connection
from runtime.kernel import Kernel, open_kernel
from runtime.pipeline.accept import SourceIntake

REGION = "trial"
TURN = 8
"""Messages between two rounds of translation, sealing and acknowledgement."""
FULL = 13
"""SQLITE_FULL."""


class Filling(Recorder):
    """A disk that says it is full for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.refused = 0

    def answer(self, step: Step) -> int:
        """Refuses writes while it is full."""
        if self.full and step.kind == "write":
            self.refused += 1
            return FULL
        return OK


def say(*words: object) -> None:
    """One line, at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def accept(kernel: Kernel, number: int, told: Callable[[str], None]) -> None:
    """Take one message in; only then say so."""
    intake = SourceIntake(
        kernel.acceptance, kernel.journal, scratch.SOURCE, room=lambda: True, full=kernel.room.disk_is_full
    )
    (receipt,) = await intake.accept([scratch.message(number)])
    told(f"receipt {number} {receipt.intake_seq} {receipt.sha256}")


async def settle(kernel: Kernel) -> None:
    """Translate, seal, and acknowledge as a hub that never fails would."""
    while (tally := await kernel.journal.write(kernel.translate.batch)).facts:
        kernel.moved(tally.positions)
    lane = kernel.lanes[scratch.LANE]
    while rows := await lane.take((await lane.head()).acked, 256):
        await lane.acknowledge(rows[-1].seq)


async def work(kernel: Kernel, first: int, count: int, told: Callable[[str], None]) -> None:
    """Messages first, first + 1, …, with everything that follows from them."""
    for number in range(first, first + count):
        await accept(kernel, number, told)
        if number % TURN == TURN - 1:
            await settle(kernel)
        if number % (4 * TURN) == 0:
            await kernel.journal.read(_checkpoint)


def _checkpoint(connection: Connection) -> None:
    """Move the log into the file, as happens by itself every 2,000 pages."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


async def busy(directory: Path, first: int, count: int) -> None:
    """Until it is killed, or done."""
    async with open_kernel(scratch.configuration(directory, REGION)) as kernel:
        say("ready")
        await work(kernel, first, count, say)


async def recorded(directory: Path, first: int, count: int) -> None:
    """The same, with every write and flush written down in `steps`, from the journal in `before` on.

    Born outside: at its birth SQLite deletes a rollback journal, and deletions are not recorded.
    """
    async with open_kernel(scratch.configuration(directory, REGION)) as kernel:
        path = anyio.Path(kernel.journal.path)
    await anyio.Path(directory / "before").write_bytes(await path.read_bytes())
    with watched(Recorder()) as recorder:
        async with open_kernel(scratch.configuration(directory, REGION)) as kernel:
            await work(kernel, first, count, recorder.mark)
    await anyio.Path(directory / "steps").write_bytes(msgspec.msgpack.encode([tuple(s) for s in recorder.steps]))


async def filled(directory: Path, first: int, count: int) -> None:
    """The disk is full in the middle, and has room again afterwards."""
    with watched(Filling()) as disk:
        async with open_kernel(scratch.configuration(directory, REGION)) as kernel:
            await work(kernel, first, count, say)
            disk.full = True
            for number in range(first + count, first + count + TURN):
                try:
                    await accept(kernel, number, say)
                except StorageFull:
                    say("refused", number)
            disk.full = False
            say("refusals", disk.refused)
            await work(kernel, first + count, count, say)


JOBS = {"busy": busy, "recorded": recorded, "filled": filled}


def main() -> None:
    """Run one job."""
    directory, job, first, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    anyio.run(JOBS[job], directory, first, count)


if __name__ == "__main__":
    main()
