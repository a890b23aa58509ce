"""A copy of the open journal by SQLite's backup API, made in slices between two commits.

Python's `Connection.backup` does not come back before its end, so it runs on a thread of its own. That thread moves
only while the journal's thread stands still inside `slice`: never two of them use the connection.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Semaphore, Thread

import anyio.lowlevel
import anyio.to_thread

from runtime.errors import Permanent, Retryable
from runtime.journal.journal import Journal
from runtime.journal.store import describe

SLICE_PAGES = 32
"""A quarter MiB: half a millisecond as a rule. A commit waits for one slice at most."""


class _Abandoned(Exception):
    """Ends the copy from inside SQLite's progress callback."""


class SlicedCopy:
    """One copy under way. What the journal commits meanwhile, SQLite writes into the copy too: it ends up to date."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._turn = Semaphore(0)
        self._back = Semaphore(0)
        self._thread: Thread | None = None
        self._abandoned = False
        self.pages = 0
        self.pages_left = 0
        self.finished = False
        self.failure: Exception | None = None

    def slice(self, connection: sqlite3.Connection) -> bool:
        """Copy the next pages; True at the end. Call it on the journal's thread, outside a transaction."""
        if self._thread is None:
            self._thread = Thread(target=self._work, args=(connection,), name="entrepot-copy", daemon=True)
            self._thread.start()
        self._turn.release()
        self._back.acquire()
        # Not raised here: a disk that cannot take the copy is no reason to give the journal up.
        return self.finished or self.failure is not None

    def abandon(self) -> None:
        """Give up a copy that is not finished; its thread ends by itself."""
        self._abandoned = True
        self._turn.release()

    def end(self) -> None:
        """Wait until the copy's file is closed; a copy that is not finished is given up."""
        self.abandon()
        if self._thread is not None:
            self._thread.join()

    def _work(self, connection: sqlite3.Connection) -> None:
        self._turn.acquire()
        try:
            target = sqlite3.connect(self._target, isolation_level=None)
            try:
                # The copy is flushed once, as a whole, before anybody is told of it.
                target.execute("PRAGMA journal_mode=OFF")
                target.execute("PRAGMA synchronous=OFF")
                connection.backup(target, pages=SLICE_PAGES, progress=self._pause, sleep=0.001)
                self.finished = True
            finally:
                self._back.release()
                target.close()
        except (_Abandoned, sqlite3.Error, OSError) as error:
            self.failure = error
            self._back.release()

    def _pause(self, status: int, left: int, pages: int) -> None:
        self.pages, self.pages_left = pages, left
        if left:
            self._back.release()
            self._turn.acquire()
            if self._abandoned:
                raise _Abandoned


async def copy(journal: Journal, target: Path, work: SlicedCopy | None = None) -> SlicedCopy:
    """Write a consistent copy of a running journal to `target`; flushing it is the caller's business.

    Raises `Retryable` (no room for the copy), `Permanent` (the copy cannot be written), `StorageFailed` (the journal).
    """
    work = work or SlicedCopy(target)
    try:
        while not await journal.read(work.slice):
            await anyio.lowlevel.checkpoint()
    except BaseException:
        work.abandon()
        raise
    await anyio.to_thread.run_sync(work.end)
    if work.failure is not None:
        raise _told(work.failure, target) from work.failure
    return work


def _told(failure: Exception, target: Path) -> Exception:
    hint = "name another place, or make room; the journal itself is not touched by this"
    if isinstance(failure, sqlite3.Error) and isinstance(describe(failure), Retryable):
        return Retryable(f"there is no room for the copy in {target.parent}", hint=hint)
    return Permanent(f"the copy cannot be written to {target.parent}: {failure}", hint=hint)
