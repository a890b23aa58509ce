"""Peer: rows inserted straight into SQLite in groups of 100, flushed per group. The disk's and SQLite's ceiling."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from bench.payloads import EVENT_BYTES

GROUP_ROWS = 100
SCHEMA = """
CREATE TABLE intake (seq INTEGER PRIMARY KEY, source TEXT NOT NULL, key TEXT, body BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX intake_key ON intake (source, key);
"""
INSERT = "INSERT INTO intake (source, key, body) VALUES (?, ?, ?)"


def rate(directory: Path, rows: int) -> float:
    """Rows per second: WAL, synchronous=FULL, one connection, locking_mode=EXCLUSIVE, unique (source, key)."""
    connection = sqlite3.connect(directory / "peer.db", isolation_level=None)
    for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.executescript(SCHEMA)
    body = b"x" * EVENT_BYTES
    groups = [
        [("wms", f"key-{n:012d}", body) for n in range(start, start + GROUP_ROWS)]
        for start in range(0, rows, GROUP_ROWS)
    ]
    begin = time.perf_counter()
    for group in groups:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, group)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - begin
    connection.close()
    return rows / seconds
