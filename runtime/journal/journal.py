"""The journal as the rest of the kernel sees it: open it, change it, read it, close it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import anyio

from runtime import clock
from runtime.errors import StorageFailed, StorageFull
from runtime.journal import lanes, meta
from runtime.journal.file import FILE, refuse_half_exchanged
from runtime.journal.keys import Keys
from runtime.journal.lanes import LaneRow
from runtime.journal.lock import JournalLock
from runtime.journal.migrate import migrate
from runtime.journal.names import Names
from runtime.journal.store import Store
from runtime.journal.writer import Writer

T = TypeVar("T")


class Journal:
    """One SQLite file, one connection, one writer. `Writer.run` must be running for `write` to return."""

    def __init__(
        self,
        directory: Path,
        observe: Callable[[float, int], None] = lambda seconds, changes: None,
        *,
        lock: Callable[[Path], JournalLock] = JournalLock,
        progress: Callable[[], None] | None = None,
    ) -> None:
        self.directory = directory
        self.path = directory / FILE
        self.store = Store(self.path, lock(self.path))
        self.writer = Writer(self.store, observe)
        self._progress = progress
        self.names = Names()
        self.keys = Keys()
        self.region = ""
        self.epoch = 1
        self.lanes: dict[str, LaneRow] = {}
        self.stopped_cleanly = True
        self.is_new = True

    async def open(
        self, region: str, environment: str, lane_names: Sequence[str], names: Mapping[str, Sequence[str]]
    ) -> None:
        """Lock, migrate, claim; `names` (kind → names) get their numbers now. Raises `Refused` (another process, region or newer schema), `StorageFailed`."""
        self.region = region
        self.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        refuse_half_exchanged(self.directory)
        await self.store.open()
        try:
            os.chmod(self.path, 0o640)
            await self.store.run(lambda c: self._open(c, environment, list(lane_names), names))
        except BaseException:
            await self.store.close()
            raise

    def _open(
        self,
        connection: sqlite3.Connection,
        environment: str,
        lane_names: list[str],
        names: Mapping[str, Sequence[str]],
    ) -> None:
        migrate(connection, self._progress)
        connection.execute("BEGIN IMMEDIATE")
        self.is_new = _holds_nothing(connection)
        self.epoch = meta.claim(connection, self.region, environment, clock.now_us())
        self.stopped_cleanly = bool(meta.number(connection, "clean", 1))
        meta.put(connection, clean=0)
        self.lanes = lanes.ensure(connection, lane_names)
        for kind, known in names.items():
            self.names.register(connection, kind, known)
        connection.execute("COMMIT")
        self.names.load(connection)

    async def extend(self, lane_names: Sequence[str], names: Mapping[str, Sequence[str]]) -> None:
        """Lanes and names of another configuration get their rows and numbers; nothing is taken away."""

        def add(connection: sqlite3.Connection) -> None:
            lanes.ensure(connection, list(lane_names))
            for kind, known in names.items():
                self.names.register(connection, kind, known)

        def learn(connection: sqlite3.Connection) -> None:
            self.names.load(connection)
            self.lanes = {row.name: row for row in lanes.everyone(connection)}

        await self.write(add)
        await self.read(learn)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Commit a change together with whatever else waits; see `Writer.write`."""
        return await self.writer.write(change)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a short query (≤ 5 ms) between two commits."""
        try:
            return await self.store.run(query)
        except StorageFailed as error:
            self.writer.fail(error)  # what cannot be read must not be written to either
            raise

    async def close(self) -> None:
        """Commit what waits, note the orderly stop, close. After a failure: just close."""
        with anyio.CancelScope(shield=True):
            await self.writer.stop()
            try:
                if self.writer.failure is None:
                    await self.store.run(_note_clean_stop)
            except StorageFull:
                pass  # the next start is merely a careful one
            finally:
                await self.store.close()


def _holds_nothing(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever accepted or signed: a first start that was killed half-way may begin again."""
    used: int = connection.execute(
        """SELECT (SELECT facts FROM books) + (SELECT coalesce(sum(sealed), 0) FROM lanes)
                  + (SELECT coalesce(max(number), 0) FROM checkpoints)"""
    ).fetchone()[0]
    return used == 0


def _note_clean_stop(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    meta.put(connection, clean=1)
    connection.execute("COMMIT")
