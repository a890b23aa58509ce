"""Group commit: every change that waits is made in one transaction, with one flush, in order of arrival.

A change is a function of the connection and may run twice: if one of a group fails, the group is
rolled back and each runs alone, so that only the guilty one fails.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import anyio

from runtime import clock
from runtime.errors import StorageFailed
from runtime.journal.store import Store, describe

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], Any]
GROUP_CHANGES_MAX = 256
"""Changes in one commit: bounds how long one caller waits for the others."""


class Writer:
    """The only one that commits. Callers await a future; the writer is never cancelled inside a commit."""

    def __init__(self, store: Store, observe: Callable[[float, int], None] = lambda seconds, changes: None) -> None:
        self._store = store
        self._observe = observe
        self._waiting: deque[tuple[Change, asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._failure: Exception | None = None
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def failure(self) -> Exception | None:
        """What stopped the writer for good, if anything."""
        return self._failure

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `change` returned, once it is committed and flushed.

        Raises `StorageFull` (nothing was written), `StorageFailed` (nothing more will be), or what `change` raises.
        """
        return await self.submit(change)

    def submit(self, change: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """`write` for a caller that does not wait: the future is settled after the flush."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._failure is not None or self._closing:
            future.set_exception(
                StorageFailed("the journal takes no more writes", hint="see the first error in the log")
            )
            return future
        self._waiting.append((change, future))
        self._idle.clear()
        self._wake.set()
        return future

    async def run(self) -> None:
        """Commit groups until `stop`; raises `StorageFailed` when the disk can no longer be trusted."""
        while self._waiting or not self._closing:  # a stop may come before this task had its first turn
            await self._wake.wait()
            self._wake.clear()
            try:
                if self._failure is not None:
                    raise self._failure
                while self._waiting:
                    await self._commit_group()
            finally:
                self._idle.set()

    async def stop(self) -> None:
        """Take no more changes; return when those that wait are committed (or failed)."""
        self._closing = True
        self._wake.set()
        await self._idle.wait()

    async def _commit_group(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_CHANGES_MAX))]
        started = clock.monotonic()
        outcomes = await self._run(group)
        finished = clock.monotonic()
        self._observe(finished - started, len(group))
        for (_, future), outcome in zip(group, outcomes, strict=True):
            _settle(future, outcome)
        fatal = next((o for o in outcomes if isinstance(o, StorageFailed)), None)
        if fatal is not None:
            self.fail(fatal)
            raise fatal

    async def _run(self, group: list[tuple[Change, asyncio.Future[Any]]]) -> list[Any]:
        outcomes: list[Any] = []
        with anyio.CancelScope(shield=True):
            try:
                outcomes = await self._store.run(lambda connection: _apply(connection, [c for c, _ in group]))
            except Exception as error:  # noqa: BLE001 - whatever it was, every caller of the group must hear it
                outcomes = [error] * len(group)
        return outcomes

    def fail(self, error: StorageFailed) -> None:
        """Take no more changes, for good: those that wait hear why, and `run` raises it."""
        self._failure = error
        self._wake.set()
        while self._waiting:
            _settle(self._waiting.popleft()[1], error)


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _apply(connection: sqlite3.Connection, changes: list[Change]) -> list[Any]:
    try:
        return _transaction(connection, changes)
    except Exception as error:  # noqa: BLE001 - the guilty change is found below and its caller told
        found = _mapped(error)
        if len(changes) == 1 or isinstance(found, StorageFailed):
            # After a failed flush the kernel may report the next one as good although pages were lost: never retry.
            return [found] * len(changes)
    outcomes: list[Any] = []
    for change in changes:
        outcomes.append(_alone(connection, change))
        if isinstance(outcomes[-1], StorageFailed):
            return outcomes + [outcomes[-1]] * (len(changes) - len(outcomes))
    return outcomes


def _alone(connection: sqlite3.Connection, change: Change) -> Any:
    try:
        return _transaction(connection, [change])[0]
    except Exception as error:  # noqa: BLE001 - handed to the caller of this change
        return _mapped(error)


def _transaction(connection: sqlite3.Connection, changes: list[Change]) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        results = [change(connection) for change in changes]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results


def _mapped(error: Exception) -> Exception:
    return describe(error) if isinstance(error, sqlite3.Error) else error
