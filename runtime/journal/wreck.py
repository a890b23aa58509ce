"""Reads what SQLite can still read of a damaged journal, from a copy, key by key where a page is broken.

Nothing that comes out of here is believed: `runtime.salvage` takes only what proves right.
"""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from runtime.errors import Permanent
from runtime.journal import migrate
from runtime.journal.file import FILE, LOG

BLOCK_KEYS = 500
ROW_BYTES_MIN = 32
"""No row of ours is smaller: bounds how many keys a file of some size may hold."""
PAGE_BYTES = 8_192
LOG_HEADER_BYTES = 32
FRAME_BYTES = 24 + PAGE_BYTES
LOG_BYTES_MAX = 64 * 1024 * 1024
"""Looked at; the log is moved into the file every 2,000 pages (16 MiB)."""
Row = tuple[Any, ...]


class Block(NamedTuple):
    """Rows of a range of keys, rising, and the keys whose place in the file cannot be read."""

    rows: list[Row]
    unreadable: frozenset[int]


class Wreck:
    """The readable remains. Methods never raise for damage; `torn` names the tables that showed some."""

    def __init__(self, connection: sqlite3.Connection, size: int, *, log_frames: int | None, grafted: bool) -> None:
        self._connection = connection
        self._size = size
        self.log_frames = log_frames
        """Frames of the log that no commit vouches for; None when there is no log."""
        self.grafted = grafted
        """The schema itself was damaged and taken from a newborn journal."""
        self.torn: set[str] = set()

    def survey(self, tables: Sequence[str]) -> None:
        """Let SQLite look for damage that a read would not meet: a page that says it holds fewer rows than it does."""
        for table in tables:
            found = self.one(table, f"PRAGMA integrity_check({table})")
            if found is None or found[0] != "ok":
                self.torn.add(table)

    def has(self, table: str) -> bool:
        """Whether the file knows such a table; an older one need not."""
        return self.one("sqlite_master", "SELECT 1 FROM sqlite_master WHERE name = ?", table) is not None

    def one(self, table: str, query: str, *parameters: Any) -> Row | None:
        """The first row of a query, None if there is none or it cannot be read."""
        try:
            row: Row | None = self._connection.execute(query, parameters).fetchone()
        except (sqlite3.Error, OverflowError):
            self.torn.add(table)
            return None
        return row

    def everything(self, table: str, query: str) -> list[Row]:
        """All rows of a small table: from its beginning up to the damage, and from its end back to it."""
        found: list[Row] = []
        for direction in ("ASC", "DESC"):
            rows: list[Row] = []
            with suppress(sqlite3.Error):
                rows.extend(self._connection.execute(query.format(direction=direction)))
                return rows
            self.torn.add(table)
            # `extend` keeps nothing of an iterator that fails.
            found += self._until_damage(query.format(direction=direction))
        return list(dict.fromkeys(found))

    def _until_damage(self, query: str) -> list[Row]:
        rows: list[Row] = []
        with suppress(sqlite3.Error):
            for row in self._connection.execute(query):
                rows.append(row)  # noqa: PERF402 - what came before the damage must be kept
        return rows

    def last_key(self, table: str, key: str, low: int, high: int, claimed: int | None) -> tuple[int, bool]:
        """The highest key between two bounds, and whether that is certain. `claimed`: what another table says."""
        row = self.one(table, f"SELECT max({key}) FROM {table} WHERE {key} BETWEEN ? AND ?", low, high)
        seen = row[0] if row and isinstance(row[0], int) and low <= row[0] <= high else None
        room = self._size // ROW_BYTES_MIN
        believed = claimed if claimed is not None and low <= claimed <= min(high, (seen or low) + room) else low
        if row is not None and table not in self.torn:
            return max(seen or low, believed), True
        # What another table says carries no proof: where the rows themselves cannot be asked, it is a guess.
        if believed > low:
            return max(believed, seen or low), False
        return min(high, low + room) if seen is None else seen, False

    def blocks(self, table: str, key: str, columns: str, low: int, high: int) -> Iterator[Block]:
        """What can be read of a range of keys, some hundred keys at a time; the key is the first column."""
        query = f"SELECT {key}, {columns} FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key}"
        for first in range(low, high + 1, BLOCK_KEYS):
            last = min(first + BLOCK_KEYS - 1, high)
            rows: list[Row] = []
            try:
                rows = self._connection.execute(query, (first, last)).fetchall()
            except sqlite3.Error:
                self.torn.add(table)
            yield self._one_by_one(query, rows, first, last) if table in self.torn else Block(rows, frozenset())

    def _one_by_one(self, query: str, rows: list[Row], first: int, last: int) -> Block:
        known = {row[0]: row for row in rows}
        unreadable = set[int]()
        for key in range(first, last + 1):
            if key in known:
                continue
            try:
                row = self._connection.execute(query, (key, key)).fetchone()
            except sqlite3.Error:
                unreadable.add(key)
                continue
            if row is not None and row[0] == key:
                known[key] = row
        return Block([known[key] for key in sorted(known)], frozenset(unreadable))


@contextmanager
def opened(directory: Path, work: Path) -> Iterator[Wreck]:
    """A damaged journal by a copy of it in `work`; the original is only read. Raises `Permanent` if nothing opens."""
    for name in (FILE, LOG):
        if (directory / name).exists():
            shutil.copyfile(directory / name, work / name)
    path = work / FILE
    log = _read(work / LOG)
    _pad(path)
    newborn = work / "newborn.db"
    _give_birth(newborn)
    grafted = not _has_schema(path)
    if grafted:
        _graft(path, newborn)
        if not _has_schema(path):
            (work / LOG).unlink(missing_ok=True)  # the log may carry the damage itself
            shutil.copyfile(directory / FILE, path)
            _pad(path)
            _graft(path, newborn)
    try:
        connection = _open(path)
    except sqlite3.Error as error:
        raise Permanent(f"nothing can be read of {directory / FILE}: {error}", hint="restore a backup") from error
    with closing(connection):
        yield Wreck(connection, path.stat().st_size, log_frames=_uncommitted(log), grafted=grafted)


def _read(log: Path) -> bytes:
    """The beginning of the log; nothing when there is none."""
    if not log.exists():
        return b""
    with log.open("rb") as file:
        return file.read(LOG_BYTES_MAX)


def _uncommitted(log: bytes) -> int | None:
    """Frames of this generation behind the last whole commit: a commit that a stop cut off, or damage (fileformat2, 4)."""
    if len(log) <= LOG_HEADER_BYTES:
        return None
    order = "big" if int.from_bytes(log[:4], "big") & 1 else "little"
    salt, sums = log[16:24], (int.from_bytes(log[24:28], "big"), int.from_bytes(log[28:32], "big"))
    intact, behind = True, 0
    for at in range(LOG_HEADER_BYTES, len(log) - FRAME_BYTES + 1, FRAME_BYTES):
        head, page = log[at : at + 24], log[at + 24 : at + FRAME_BYTES]
        if head[8:16] != salt:
            if intact:
                break  # what an older generation left
            continue
        sums = _checksum(head[:8] + page, sums, order)
        intact = intact and sums == (int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"))
        behind = 0 if intact and any(head[4:8]) else behind + 1
    return behind


def _checksum(content: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{'>' if order == 'big' else '<'}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    # A file that is shorter than it says is read as far as it goes.
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute("PRAGMA cell_size_check=ON")
    return connection


def _pad(path: Path) -> None:
    """Fill the last page up: a file cut inside a page would not be read at all."""
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.truncate(-(-max(size, PAGE_BYTES) // PAGE_BYTES) * PAGE_BYTES)


def _give_birth(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        migrate.migrate(connection)


def _has_schema(path: Path) -> bool:
    """Whether the tables are there without which nothing can be told; those that a later schema added need not be."""
    try:
        with closing(_open(path)) as connection:
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            connection.execute("SELECT 1 FROM intake LIMIT 0").fetchall()
    except sqlite3.Error:
        return False
    return {"intake", "bodies", "outbox", "lanes", "meta", "names"} <= names


def _graft(path: Path, newborn: Path) -> None:
    """Give it the schema pages of a newborn journal: every journal is born the same, page by page."""
    with closing(sqlite3.connect(newborn)) as connection:
        roots = {row[0] for row in connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0")}
    source = newborn.read_bytes()
    with path.open("r+b") as file:
        for page in set(range(1, len(source) // PAGE_BYTES + 1)) - roots:
            file.seek((page - 1) * PAGE_BYTES)
            file.write(source[(page - 1) * PAGE_BYTES : page * PAGE_BYTES])
        # The size in the header is the newborn's: without it SQLite goes by the file's.
        file.seek(28)
        file.write(bytes(4))
