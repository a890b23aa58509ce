"""What headquarters has asked for, by id: begun before it is done, with its answer afterwards, until the hub has that."""

from __future__ import annotations

import sqlite3

KEPT_MAX = 10_000
"""Answered actions that are remembered; older ones have long expired and are refused for that."""


def is_settled(connection: sqlite3.Connection, identifier: str) -> bool:
    """Whether this id has its answer already."""
    row = connection.execute("SELECT result IS NOT NULL FROM actions WHERE id = ?", (identifier,)).fetchone()
    return row is not None and bool(row[0])


def begin(connection: sqlite3.Connection, identifier: str, now_us: int) -> None:
    """From here on this id is ours to finish, also after a crash."""
    connection.execute("INSERT OR IGNORE INTO actions (id, at_us) VALUES (?, ?)", (identifier, now_us))


def settle(connection: sqlite3.Connection, identifier: str, result: bytes, now_us: int) -> None:
    """The answer, signed; a second one for the same id changes nothing."""
    begin(connection, identifier, now_us)
    connection.execute("UPDATE actions SET result = ? WHERE id = ? AND result IS NULL", (result, identifier))
    connection.execute(
        "DELETE FROM actions WHERE sent = 1 AND at_us <"
        " (SELECT min(at_us) FROM (SELECT at_us FROM actions ORDER BY at_us DESC LIMIT ?))",
        (KEPT_MAX,),
    )


def unsent(connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
    """Answers that the hub does not have yet, oldest first."""
    return connection.execute(
        "SELECT id, result FROM actions WHERE sent = 0 AND result IS NOT NULL ORDER BY at_us"
    ).fetchall()


def sent(connection: sqlite3.Connection, identifier: str) -> None:
    """The hub has it."""
    connection.execute("UPDATE actions SET sent = 1 WHERE id = ?", (identifier,))
