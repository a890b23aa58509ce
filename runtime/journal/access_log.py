"""The access log: every decision about who may do what, chained, append-only by triggers of the file itself.

The newest hash also stands in `meta`, so that a log which lost its end is noticed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from runtime import clock
from runtime.access import ledger
from runtime.journal import meta

HEAD = "access_log_head"


def append(connection: sqlite3.Connection, entries: Sequence[dict[str, Any]]) -> None:
    """Add entries; `at` is added to each. Values must be ours: names from grants, counts, reasons; never a secret."""
    if not entries:
        return
    row = connection.execute("SELECT number, chain FROM access_log ORDER BY number DESC LIMIT 1").fetchone()
    number, chain = row or (0, ledger.START)
    at = clock.rfc3339(clock.now_us())
    for said in entries:
        number += 1
        entry = msgspec.json.encode({"at": at, **said}).decode()
        chain = ledger.link(chain, number, entry)
        connection.execute("INSERT INTO access_log (number, entry, chain) VALUES (?, ?, ?)", (number, entry, chain))
    meta.put(connection, **{HEAD: f"{number} {chain.hex()}"})


def page(connection: sqlite3.Connection, *, after: int, rows_max: int) -> list[tuple[int, str, bytes]]:
    """(number, entry, chain hash) in order."""
    query = "SELECT number, entry, chain FROM access_log WHERE number > ? ORDER BY number LIMIT ?"
    return connection.execute(query, (after, rows_max)).fetchall()


def last(connection: sqlite3.Connection) -> int:
    """Number of the newest entry."""
    number: int = connection.execute("SELECT coalesce(max(number), 0) FROM access_log").fetchone()[0]
    return number


def head(connection: sqlite3.Connection) -> str:
    """What `meta` says the newest entry is; empty before the first."""
    return str(meta.get(connection, HEAD, ""))
