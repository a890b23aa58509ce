"""Facts that only say where to look: pending until their document is in, or until they are letters."""

from __future__ import annotations

import sqlite3


def add(connection: sqlite3.Connection, seq: int, source: int) -> None:
    """A fact waits for its document from now on."""
    connection.execute("INSERT OR REPLACE INTO following (intake_seq, source) VALUES (?, ?)", (seq, source))


def waiting(connection: sqlite3.Connection, source: int, rows_max: int) -> list[tuple[int, int]]:
    """(intake sequence, failed attempts) of a source's facts that wait, in order of acceptance."""
    query = "SELECT intake_seq, attempts FROM following WHERE source = ? ORDER BY intake_seq LIMIT ?"
    return connection.execute(query, (source, rows_max)).fetchall()


def of_others(connection: sqlite3.Connection, sources: list[int], rows_max: int) -> list[int]:
    """Facts that wait, of any source but these."""
    marks = ", ".join("?" * len(sources))
    query = f"SELECT intake_seq FROM following WHERE source NOT IN ({marks}) ORDER BY intake_seq LIMIT ?"
    return [row[0] for row in connection.execute(query, (*sources, rows_max))]


def waits(connection: sqlite3.Connection, seq: int) -> bool:
    """Whether a fact still waits for its document."""
    return connection.execute("SELECT 1 FROM following WHERE intake_seq = ?", (seq,)).fetchone() is not None


def count_attempt(connection: sqlite3.Connection, seq: int) -> None:
    """One more attempt has failed."""
    connection.execute("UPDATE following SET attempts = attempts + 1 WHERE intake_seq = ?", (seq,))


def end(connection: sqlite3.Connection, seq: int) -> bool:
    """A fact waits no longer; False if it did not."""
    return connection.execute("DELETE FROM following WHERE intake_seq = ?", (seq,)).rowcount == 1
