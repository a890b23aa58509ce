"""Where each source that fetches by itself stands: text of its own, written in the transaction of what it took."""

from __future__ import annotations

import sqlite3

from runtime.journal.names import Names


def put(connection: sqlite3.Connection, source: int, value: str, at_us: int) -> None:
    """A source (by the number of its name) stands here now."""
    connection.execute(
        """INSERT INTO source_cursors (source, value, at_us) VALUES (?, ?, ?)
           ON CONFLICT (source) DO UPDATE SET value = excluded.value, at_us = excluded.at_us""",
        (source, value, at_us),
    )


def get(connection: sqlite3.Connection, names: Names, source: str) -> str | None:
    """Where a source stands; None if it has never said."""
    number = names.id(connection, "source", source)
    row = connection.execute("SELECT value FROM source_cursors WHERE source = ?", (number,)).fetchone()
    return None if row is None else row[0]
