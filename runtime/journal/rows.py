"""Writes many rows with few statements.

Each statement gives the interpreter lock away and has to win it back; under load that costs more than the row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain

CHUNK = 64
"""Rows of one statement: 64 × 12 columns stay far below SQLite's limit of 32,766 parameters."""


def insert(
    connection: sqlite3.Connection, into: str, columns: int, rows: Sequence[tuple[object, ...]], tail: str = ""
) -> None:
    """`INSERT INTO {into} VALUES … {tail}` for all rows, in order. `into`: table and column list."""
    whole = len(rows) - len(rows) % CHUNK
    for start in range(0, whole, CHUNK):
        connection.execute(_statement(into, columns, CHUNK, tail), [*chain.from_iterable(rows[start : start + CHUNK])])
    if whole < len(rows):
        connection.execute(_statement(into, columns, len(rows) - whole, tail), [*chain.from_iterable(rows[whole:])])


@cache
def within(head: str, count: int) -> str:
    """`{head} IN (?, …)` for so many values."""
    return f"{head} IN ({', '.join('?' * count)})"


@cache
def _statement(into: str, columns: int, count: int, tail: str) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {into} VALUES {', '.join([row] * count)}{tail}"
