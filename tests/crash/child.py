"""The process that is killed: a region that accepts, translates, seals, acknowledges, signs and forgets, in rounds.

`python -m tests.crash.child DIRECTORY POINT NTH FIRST`: SIGKILL at the n-th passage of a point; says what it has done.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from runtime import record
from runtime.config.model import RetrySettings, TargetSettings
from runtime.envelope import Message
from runtime.journal import retention, store
from runtime.kernel import Kernel
from runtime.pipeline.deliver import TargetStep
from runtime.pipeline.inbox import InboxStep
from runtime.pipeline.quarantine import Careful
from runtime.ports import Delivered, Delivery
from tests.support import kernel as support
from tests.support.headquarters import Sealing
from tests.support.kernel import StockTranslator
from tests.support.probes import MemoryTarget

ROUNDS = 8
COMMANDS = 12
DELIVERING = frozenset({"in_inbox", "in_look", "in_deliver", "after_deliver"})
CALLERS = 3
STATEMENTS = {
    "before_begin": "BEGIN IMMEDIATE",
    "before_commit": "COMMIT",
    "after_commit": "COMMIT",
    "in_migration": "CREATE TABLE fences",
    "in_migration_end": "PRAGMA user_version = ",
    "in_accept": "INSERT INTO intake ",
    "in_translate": "INSERT INTO events ",
    "in_seal": "INSERT INTO outbox ",
    "in_acknowledge": "UPDATE lanes SET acked = ",
    "in_checkpoint": "INSERT INTO checkpoints ",
    "in_prune": "DELETE FROM outbox ",
    "in_inbox": "INSERT INTO inbox ",
    "in_look": "INSERT INTO deliveries ",
    "in_deliver": "UPDATE deliveries SET state = ",
    "after_deliver": "COMMIT",
}
"""Where to die: after the statement that begins so ran, or (`before_…`) instead of it."""
ARMED: dict[str, str] = {"after_deliver": STATEMENTS["in_deliver"]}
"""Point → the statement that must have run in the same transaction."""


class Deadly(sqlite3.Connection):
    """Dies at the n-th passage of its point."""

    point = ""
    left = 0
    armed = False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        needed = ARMED.get(self.point, "")
        here = sql.lstrip().startswith(STATEMENTS.get(self.point, "\0")) and (self.armed or not needed)
        self.armed = not sql.startswith("COMMIT") and (self.armed or (needed != "" and sql.startswith(needed)))
        if here and self.point.startswith("before_"):
            self.pass_by()
        cursor = super().execute(sql, *parameters)
        if here:
            self.pass_by()
        return cursor

    @classmethod
    def pass_by(cls) -> None:
        cls.left -= 1
        if cls.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Poison(StockTranslator):
    """Ends the process, as a broken C extension would, when it meets one sku."""

    def translate(self, envelope: Any) -> Any:
        if b'"poison"' in envelope.body:
            os.abort()
        return super().translate(envelope)


def say(*words: object) -> None:
    """One line, at once: what was said before the kill was said."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def numbered(number: int) -> Message:
    """The n-th message; every third names the bulk lane, every fourth is withheld."""
    more = {"withhold": True} if number % 4 == 0 else {}
    return support.message("b1" if number % 3 == 0 else "A", number, key=f"k{number}", **more)


async def accept(kernel: Kernel, number: int) -> None:
    (receipt,) = await support.accept(kernel, numbered(number))
    wal = kernel.journal.path.with_name(kernel.journal.path.name + "-wal")
    say("receipt", number, receipt.intake_seq, receipt.sha256, wal.stat().st_size)


async def ship(kernel: Kernel, lane: str) -> None:
    step = kernel.lanes[lane]
    while rows := await step.take((await step.head()).acked, 2):
        for row in rows:
            say("stored", lane, row.seq, record.parse_header_block(row.headers)[record.ORIGIN_HEADER], row.chain.hex())
        await step.acknowledge(rows[-1].seq)


async def work(directory: Path, first: int) -> None:
    async with support.region(directory) as kernel:
        for start in range(first, first + ROUNDS * CALLERS, CALLERS):
            async with anyio.create_task_group() as callers:
                for number in range(start, start + CALLERS):
                    callers.start_soon(accept, kernel, number)
            await support.translate(kernel)
            for lane in kernel.lanes:
                await ship(kernel, lane)
            await kernel.checkpoints.write()
            if start % 2:
                limits = retention.Limits(refill_seconds=3_600, key_seconds=3_600)
                await kernel.journal.write(partial(retention.prune, limits=limits, pressed=True))


async def deliver(directory: Path, _: int) -> None:
    """Takes in what headquarters sealed, a few records at a time, and brings it to a file; each line is an effect."""
    sealing = Sealing()
    stream = [sealing.command("AB"[number % 2]) for number in range(COMMANDS)]
    async with support.region(directory) as kernel:
        inbox = InboxStep(
            kernel.journal, "hq", public_key=None, poll_seconds=1.0, full=lambda: False, arrived=kernel.arrived
        )
        settings = TargetSettings(adapter="file", retry=RetrySettings(seconds_min=0.05, seconds_max=0.05))
        step = TargetStep(kernel.journal, "file", settings, FileTarget(), log=lambda *_, **__: None)
        kernel.delivering["file"] = step
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step.run)
            while (seq := (await inbox.head()).seq) < COMMANDS:
                await inbox.take(stream[seq : seq + 3])
            while not await kernel.journal.read(_all_delivered):  # noqa: ASYNC110 - bounded by the parent
                await anyio.sleep(0.01)
            async with step.at_rest():
                tasks.cancel_scope.cancel()
    say("done")


def _all_delivered(connection: sqlite3.Connection) -> bool:
    row = connection.execute("SELECT delivered FROM targets").fetchone()
    return row is not None and row[0] == COMMANDS


class FileTarget(MemoryTarget):
    """Says every effect aloud: the parent keeps the account."""

    async def deliver(self, delivery: Delivery) -> Delivered:
        say("effect", delivery.id, delivery.key)
        return await super().deliver(delivery)


async def accept_only(directory: Path, first: int) -> None:
    """Leaves a log of commits behind and no orderly end."""
    async with support.region(directory) as kernel:
        for start in range(first, first + ROUNDS * CALLERS, CALLERS):
            async with anyio.create_task_group() as callers:
                for number in range(start, start + CALLERS):
                    callers.start_soon(accept, kernel, number)
        os.kill(os.getpid(), signal.SIGKILL)


async def poisoned(directory: Path, _: int) -> None:
    """Translates what waits, carefully after a crash."""
    async with support.region(directory, Poison()) as kernel:
        careful = Careful(kernel)
        while (await careful.batch()).facts:
            pass
        say("done")


def main() -> None:
    """Arm the point and run."""
    directory, point, nth, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    Deadly.point, Deadly.left = point, nth
    store.aiosqlite.connect = partial(aiosqlite.connect, factory=Deadly)  # type: ignore[assignment]
    jobs = {"accept_only": accept_only, "poisoned": poisoned}
    job = jobs.get(point, deliver if point in DELIVERING or sys.argv[5:] == ["deliver"] else work)
    anyio.run(job, directory, first)


if __name__ == "__main__":
    main()
