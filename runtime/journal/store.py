"""The one connection to the journal file, on its own thread, and the guard against a second process.

Nothing else opens the file: SQLite's own lock is dropped when a process opens and closes it (7-faults).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiosqlite
import anyio.to_thread

from runtime.errors import EntrepotError, Permanent, StorageFailed, StorageFull
from runtime.journal import header
from runtime.journal.lock import JournalLock

T = TypeVar("T")
Connection = sqlite3.Connection
"""What changes and queries are given; nobody outside the journal names SQLite."""
SQLITE_VERSION = sqlite3.sqlite_version
CACHE_KIB = 8_192
WAL_PAGES = 2_000
_SETTINGS = (
    "page_size=8192",  # rows of about 1 kB: fewer, larger writes drained a backlog a fifth faster than 4,096
    "locking_mode=EXCLUSIVE",  # before the first WAL access: no shared memory, no second connection
    "journal_mode=WAL",
    "synchronous=FULL",
    "mmap_size=0",
    "cell_size_check=ON",
    "foreign_keys=OFF",
    "temp_store=MEMORY",
    f"cache_size=-{CACHE_KIB}",
    f"wal_autocheckpoint={WAL_PAGES}",
)


def describe(error: sqlite3.Error) -> EntrepotError:
    """Full is worth waiting for; anything else the disk says ends every promise."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if not name and isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return Permanent(f"the journal was given a value that it cannot store: {error}")
    if name == "SQLITE_FULL":
        return StorageFull("the disk is full", hint="free space on the journal's disk; the agent resumes alone")
    return StorageFailed(
        f"the journal's disk answered {name or type(error).__name__}: {error}",
        hint="check the disk (dmesg, SMART); on restart the journal is read again from what was flushed",
    )


class Store:
    """Runs functions on the journal's connection, one at a time, in order of arrival."""

    def __init__(self, path: Path, lock: JournalLock | None = None) -> None:
        self.path = path
        self._watched = (path, path.with_name(f"{path.name}-wal"))
        self._connection: aiosqlite.Connection | None = None
        self._lock = lock or JournalLock(path)
        self._files: dict[Path, tuple[int, int]] = {}

    async def open(self) -> None:
        """Take the lock, open the file, apply the settings. Raises `Refused`, `StorageFailed`."""
        await self._lock.take()
        try:
            await anyio.to_thread.run_sync(header.check, self.path)
            connection = await aiosqlite.connect(
                self.path,
                isolation_level=None,
                cached_statements=256,
                check_same_thread=False,  # `copy` hands the connection to its own thread, and waits while that has it
            )
            self._connection = connection
            await self.run(apply_settings)
        except sqlite3.Error as error:
            await self.close()
            raise describe(error) from error
        except BaseException:
            await self.close()
            raise

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run on the journal's thread. aiosqlite has no public call for a whole function: see decision 0002.

        Raises `StorageFull`, `StorageFailed` (also when the file is no longer the one that was opened: SQLite would go
        on writing to what nobody finds again), and what `function` raises.
        """
        if self._connection is None:
            raise StorageFailed("the journal is closed")
        connection = self._connection

        def on_its_thread() -> T:
            answer = function(connection._conn)  # noqa: SLF001
            self._see_files()
            return answer

        try:
            answer: T = await connection._execute(on_its_thread)  # type: ignore[no-untyped-call]  # noqa: SLF001
        except sqlite3.Error as error:
            raise describe(error) from error
        return answer

    def _see_files(self) -> None:
        """Two looks at the directory for each group: before anybody is promised what it holds."""
        for path in self._watched:
            found, known = _identity(path), self._files.get(path)
            if known is None and found is not None:
                self._files[path] = found
            elif found != known:
                raise StorageFailed(
                    f"{path} was removed or replaced, or cannot be seen any more",
                    hint="put the file back where it was, with nothing else changed, then start the agent again",
                )

    async def close(self) -> None:
        """Close the file and give the lock back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        self._files.clear()
        self._lock.give_back()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def apply_settings(connection: sqlite3.Connection) -> None:
    """Apply the settings without which nothing here is promised. Raises `StorageFailed`."""
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        raise StorageFailed(f"the journal's file system does not support WAL (mode {mode!r})")
