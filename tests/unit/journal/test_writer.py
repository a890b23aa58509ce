"""Group commit: who waits together is flushed together, only the guilty fail, and after a disk error all is over."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from runtime.errors import StorageFailed, StorageFull
from runtime.journal.store import Store
from runtime.journal.writer import GROUP_CHANGES_MAX, Writer

pytestmark = pytest.mark.anyio
Connection = sqlite3.Connection


class Spoiled(sqlite3.Connection):
    """Fails, as a disk would, at the statements a test names; counts what is asked of it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fails: dict[str, str] = {}
        self.seen: list[str] = []

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self.seen.append(sql)
        name = self.fails.get(sql)
        if name is None:
            return super().execute(sql, *parameters)
        error = sqlite3.OperationalError(f"{name} at {sql}")
        error.sqlite_errorname = name
        raise error


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **o: plain(*a, factory=Spoiled, **o))
    store = Store(tmp_path / "journal.db")
    await store.open()
    await store.run(lambda c: c.execute("CREATE TABLE said (word TEXT UNIQUE)"))
    yield store
    await store.close()


@asynccontextmanager
async def running(writer: Writer) -> AsyncIterator[Writer]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        yield writer
        await writer.stop()


def say(word: str) -> Callable[[Connection], str]:
    def change(connection: Connection) -> str:
        connection.execute("INSERT INTO said VALUES (?)", (word,))
        return word

    return change


def failing(word: str) -> Callable[[Connection], str]:
    def change(connection: Connection) -> str:
        say(word)(connection)
        raise ValueError(word)

    return change


async def words(store: Store) -> list[str]:
    return await store.run(lambda c: [row[0] for row in c.execute("SELECT word FROM said ORDER BY rowid").fetchall()])


async def spoil(store: Store, **fails: str) -> Spoiled:
    def prepare(connection: Connection) -> Spoiled:
        assert isinstance(connection, Spoiled)
        connection.fails, connection.seen = fails, []
        return connection

    return await store.run(prepare)


async def test_changes_that_wait_are_committed_together_in_order(store: Store) -> None:
    groups: list[int] = []
    writer = Writer(store, lambda seconds, changes: groups.append(changes))
    futures = [writer.submit(say(str(n))) for n in range(5)]
    connection = await spoil(store)
    async with running(writer):
        assert [await future for future in futures] == list("01234")
    assert groups == [5]
    assert connection.seen.count("COMMIT") == 1
    assert await words(store) == list("01234")


async def test_one_group_has_a_bounded_number_of_changes(store: Store) -> None:
    groups: list[int] = []
    writer = Writer(store, lambda seconds, changes: groups.append(changes))
    futures = [writer.submit(say(str(n))) for n in range(GROUP_CHANGES_MAX + 1)]
    async with running(writer):
        for future in futures:
            await future
    assert groups == [GROUP_CHANGES_MAX, 1]


async def test_a_failing_change_fails_alone_and_leaves_nothing(store: Store) -> None:
    writer = Writer(store)
    good, bad, last = writer.submit(say("good")), writer.submit(failing("bad")), writer.submit(say("last"))
    async with running(writer):
        assert (await good, await last) == ("good", "last")
        with pytest.raises(ValueError, match="bad"):
            await bad
        assert await words(store) == ["good", "last"]
        assert await writer.write(say("next")) == "next"


async def test_an_answer_comes_only_after_the_commit(store: Store) -> None:
    writer = Writer(store)
    inside, go = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        inside.set()
        go.wait(10)

    async with running(writer):
        future = writer.submit(slow)
        await anyio.to_thread.run_sync(inside.wait, 10)
        assert not future.done()
        go.set()
        await future
        connection = await spoil(store)
        assert not connection.in_transaction


async def test_a_cancelled_caller_does_not_cancel_the_commit(store: Store) -> None:
    writer = Writer(store)
    inside, go = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        inside.set()
        go.wait(10)
        say("cancelled")(connection)

    async with running(writer):
        async with anyio.create_task_group() as callers:
            callers.start_soon(writer.write, slow)
            await anyio.to_thread.run_sync(inside.wait, 10)
            with_it = writer.submit(say("neighbour"))
            callers.cancel_scope.cancel()
        go.set()
        await with_it
    assert await words(store) == ["cancelled", "neighbour"]


async def test_the_writer_itself_is_never_cancelled_inside_a_commit(store: Store) -> None:
    writer = Writer(store)
    inside, go = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        say("finished")(connection)
        inside.set()
        go.wait(10)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        future = writer.submit(slow)
        await anyio.to_thread.run_sync(inside.wait, 10)
        tasks.cancel_scope.cancel()
        go.set()
    assert future.done()
    assert await words(store) == ["finished"]


async def test_stop_commits_what_waits_and_takes_no_more(store: Store) -> None:
    writer = Writer(store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        waiting = [writer.submit(say(str(n))) for n in range(GROUP_CHANGES_MAX + 3)]
        await writer.stop()
        assert all(future.done() for future in waiting)
        with pytest.raises(StorageFailed, match="no more writes"):
            await writer.write(say("late"))
    assert len(await words(store)) == GROUP_CHANGES_MAX + 3


@pytest.mark.parametrize("error", ["SQLITE_IOERR_FSYNC", "SQLITE_IOERR_WRITE", "SQLITE_CORRUPT", "SQLITE_READONLY"])
@pytest.mark.parametrize("statement", ["COMMIT", "BEGIN IMMEDIATE"])
async def test_after_a_disk_error_nothing_is_tried_again(error: str, statement: str, store: Store) -> None:
    """The kernel may report the next flush as good although pages were lost."""
    writer = Writer(store)
    connection = await spoil(store, **{statement: error})
    futures = [writer.submit(say(str(n))) for n in range(3)]
    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
    assert caught.group_contains(StorageFailed, match=error)
    for future in futures:
        with pytest.raises(StorageFailed, match=error):
            await future
    assert connection.seen.count(statement) == 1, "tried again on the same connection"
    with pytest.raises(StorageFailed):
        await writer.write(say("after"))
    assert isinstance(writer.failure, StorageFailed)
    assert connection.seen.count("BEGIN IMMEDIATE") == 1
    await writer.stop()
    await spoil(store)
    assert await words(store) == []


async def test_those_who_wait_for_the_next_group_hear_of_a_disk_error_too(store: Store) -> None:
    writer = Writer(store)
    await spoil(store, COMMIT="SQLITE_IOERR_FSYNC")
    futures = [writer.submit(say(str(n))) for n in range(GROUP_CHANGES_MAX + 1)]
    with pytest.raises(ExceptionGroup):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
    for future in futures:
        with pytest.raises(StorageFailed):
            await future


async def test_a_full_disk_leaves_nothing_and_the_writer_goes_on(store: Store) -> None:
    writer = Writer(store)
    await spoil(store, COMMIT="SQLITE_FULL")
    async with running(writer):
        futures = [writer.submit(say("one")), writer.submit(say("two"))]
        for future in futures:
            with pytest.raises(StorageFull):
                await future
        assert await words(store) == []
        await spoil(store)
        assert await writer.write(say("room again")) == "room again"
    assert writer.failure is None


async def test_a_file_that_may_not_grow_is_full_and_keeps_no_part_of_a_change(store: Store) -> None:
    """SQLite's own limit instead of a simulated error."""
    writer = Writer(store)

    def fill(connection: Connection) -> None:
        say("first part")(connection)
        connection.execute("CREATE TABLE big AS SELECT zeroblob(10000000) AS b")

    async with running(writer):
        pages = await store.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
        await store.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 4}").fetchone())
        good = writer.submit(say("small"))
        with pytest.raises(StorageFull):
            await writer.write(fill)
        assert await good == "small"
    assert await words(store) == ["small"]
