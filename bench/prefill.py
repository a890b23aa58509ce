"""Fills a journal, while no agent runs, with facts whose idempotency keys must still be known.

Uses the journal's own table and its own hash, and books the rows as ignored, so that the books go on to balance.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from runtime.journal.keys import key_hash

BODY = b'{"prefilled":true}'
ROWS_A_TRANSACTION = 200_000
REASON = "prefilled"
INSERT = """
INSERT INTO intake (seq, epoch, source, key_hash, key, sha256, content_type, received_us, committed_us, correlation)
VALUES (?, 1, ?, ?, ?, ?, 'application/json', ?, ?, ?)"""


def key(number: int) -> str:
    return f"prefilled-{number:012d}"


def fill(journal: Path, source: str, rows: int) -> None:
    """Adds `rows` facts after the last one. The table of keys is filled at the end: hours become a minute."""
    connection = sqlite3.connect(journal, isolation_level=None)
    for pragma in ("locking_mode=EXCLUSIVE", "synchronous=OFF", "cache_size=-500000"):
        connection.execute(f"PRAGMA {pragma}")
    _insert(connection, source, rows)
    connection.execute("INSERT OR IGNORE INTO keys SELECT key_hash, seq FROM intake WHERE key_hash NOT NULL ORDER BY 1")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _insert(connection: sqlite3.Connection, source: str, rows: int) -> None:
    connection.execute("INSERT OR IGNORE INTO names (kind, name) VALUES ('source', ?)", (source,))
    (source_id,) = connection.execute("SELECT id FROM names WHERE kind = 'source' AND name = ?", (source,)).fetchone()
    (facts,) = connection.execute("SELECT facts FROM books").fetchone()
    for start in range(1, rows + 1, ROWS_A_TRANSACTION):
        end = min(rows, start + ROWS_A_TRANSACTION - 1)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, _facts(source, source_id, facts, range(start, end + 1)))
        connection.execute("COMMIT")
    connection.execute("INSERT INTO ignored (reason, count) VALUES (?, ?)", (REASON, rows))
    connection.execute(
        "UPDATE books SET accepted = accepted + ?1, ignored = ignored + ?1, facts = facts + ?1, keyed = facts + ?1,"
        " translated = translated + ?1",
        (rows,),
    )


def _facts(source: str, source_id: int, facts: int, numbers: range) -> Iterator[tuple[object, ...]]:
    digest, now, correlation = sha256(BODY).digest(), time.time_ns() // 1000, os.urandom(16)
    for number in numbers:
        name = key(number)
        yield (facts + number, source_id, key_hash(source, name), name, digest, now, now, correlation)
