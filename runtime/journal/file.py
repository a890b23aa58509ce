"""A journal file that no agent has open: what it says of itself, how it is fenced, how it takes the other's place.

Whoever changes anything here holds the journal's lock (`held`), so no agent starts meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.errors import Permanent, Refused
from runtime.journal import books, inbox, lanes, meta, migrate
from runtime.journal.books import Books
from runtime.journal.lanes import LaneRow
from runtime.journal.lock import JournalLock
from runtime.journal.store import Connection, apply_settings, describe
from runtime.ports import Fence

FILE = "journal.db"
LOG = "journal.db-wal"
EXCHANGE = "journal.exchange"
"""Lies in the data folder while one journal takes the other's place; a start that finds it refuses."""
PROBLEMS_MAX = 20


class Standing(Struct, frozen=True, kw_only=True):
    """Where a journal stands, read from its file."""

    region: str
    environment: str
    schema: int
    epoch: int
    books: Books
    lanes: list[LaneRow]
    checkpoint: int
    problems: list[str]
    """What SQLite's own check found; empty when the file is whole."""


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold the lock of a data folder's journal. Raises `Refused` while an agent or a command has it open."""
    lock = JournalLock(directory / FILE, "command")
    if not lock.try_take():
        lock.refuse()
    try:
        yield
    finally:
        lock.give_back()


def standing(path: Path) -> Standing:
    """Read a file that nobody changes, without leaving anything beside it. Raises `Permanent` for what is no journal."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return _standing(connection)
    except sqlite3.Error as error:
        raise Permanent(f"{path} cannot be read as a journal: {error}") from error


def _standing(connection: sqlite3.Connection) -> Standing:
    if connection.execute("PRAGMA application_id").fetchone()[0] != migrate.APPLICATION_ID:
        raise Permanent("this file is not a journal of Entrepot")
    found = [row[0] for row in connection.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})")]
    return Standing(
        region=str(meta.get(connection, "region", "")),
        environment=str(meta.get(connection, "environment", "")),
        schema=connection.execute("PRAGMA user_version").fetchone()[0],
        epoch=meta.number(connection, "epoch", 1),
        books=books.read(connection),
        lanes=lanes.everyone(connection),
        checkpoint=connection.execute("SELECT coalesce(max(number), 0) FROM checkpoints").fetchone()[0],
        problems=[p for p in found if p != "ok"],
    )


@contextmanager
def newborn(path: Path) -> Iterator[Connection]:
    """An empty journal under a name that no agent looks for; flushed as a whole at the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        apply_settings(connection)
        connection.execute("PRAGMA synchronous=OFF")
        migrate.migrate(connection)
        yield connection
    flush(path)


@contextmanager
def change(connection: Connection) -> Iterator[None]:
    """One transaction on a connection of `newborn`."""
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def fence_all(path: Path, fence: Fence, *, incident: str, now_us: int) -> None:
    """Stop every lane of this file's journal, and note why: after this only `adopt` makes it send again."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            migrate.migrate(connection)
            connection.execute("BEGIN IMMEDIATE")
            for lane in lanes.everyone(connection):
                lanes.lift_fence(connection, lane.id)
                lanes.set_fence(connection, lane.id, fence, now_us)
            for downlink in inbox.downlinks(connection):
                inbox.lift_fence(connection, downlink.region)
                inbox.set_fence(connection, downlink.region, msgspec.structs.replace(fence, since_us=now_us))
            connection.execute(
                "INSERT INTO incidents (at_us, kind, lane, text) VALUES (?, ?, '', ?)", (now_us, incident, fence.reason)
            )
            # It did stop in order: no fact of it has to be handled with care because of a crash.
            meta.put(connection, clean=1)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise describe(error) from error
    flush(path)


def exchange(directory: Path, new: Path, *, why: str, now_us: int) -> Path | None:
    """Put `new` in the journal's place and the former one aside; returns where that lies now, None if there was none."""
    former = [directory / name for name in (FILE, LOG) if (directory / name).exists()]
    (directory / EXCHANGE).write_text(f"{why} {stamp(now_us)}\n", "utf-8")
    flush(directory)
    aside = unused(directory / f"journal-before-{why}-{stamp(now_us)}") if former else None
    if aside is not None:
        aside.mkdir(mode=0o700)
        for path in former:
            path.rename(aside / path.name)
        flush(aside)
    os.chmod(new, 0o640)
    new.rename(directory / FILE)
    give_to_owner_of(directory, directory / FILE, *([aside, *aside.iterdir()] if aside else []))
    flush(directory)
    (directory / EXCHANGE).unlink()
    flush(directory)
    return aside


def refuse_half_exchanged(directory: Path) -> None:
    """Raises `Refused` where a restore or a repair was interrupted: a new, empty journal must not take the place."""
    marker = directory / EXCHANGE
    if marker.exists():
        why = marker.read_text("utf-8").partition(" ")[0] or "restore"
        raise Refused(
            f"a {why} of this journal was interrupted: {directory}",
            hint=f"run `entrepot journal {why}` again; the former journal lies in {directory}/journal-before-…",
        )


def unused(path: Path) -> Path:
    """The path, or with a number behind it when there is something of that name: nothing is ever overwritten."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def stamp(now_us: int) -> str:
    """`20261123T093000Z`, for names of files."""
    return datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")


def flush(path: Path) -> None:
    """Wait until a file or a folder is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def give_to_owner_of(directory: Path, *paths: Path) -> None:
    """What root has made in the agent's folder belongs to the agent."""
    if os.geteuid() == 0:
        owner = directory.stat()
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid)
