"""Dead letters: facts that could not be translated, why, and what waits behind them."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from runtime.errors import Permanent, Untranslatable
from runtime.journal.names import Names
from runtime.journal.words import storable

WHOLE_SOURCE = "*"


class Letter(Struct, frozen=True, kw_only=True):
    """One rejected message. Its raw fact stays in the journal."""

    id: int
    intake_seq: int
    source: str
    state: str
    reason: str
    position: str
    hint: str
    mapping: str
    attempts: int
    created_us: int
    last_us: int
    park_key: str | None = None


_SELECT = """
SELECT l.id, l.intake_seq, n.name, l.state, l.reason, l.position, l.hint, l.mapping, l.attempts, l.created_us,
       l.last_us, l.park_key
FROM letters l JOIN names n ON n.id = l.source"""


def _letters(rows: sqlite3.Cursor) -> list[Letter]:
    return [Letter(**dict(zip(Letter.__struct_fields__, row, strict=True))) for row in rows]


def write(
    connection: sqlite3.Connection,
    names: Names,
    seq: int,
    source: str,
    error: Untranslatable,
    *,
    mapping: str,
    now_us: int,
    park_key: str | None,
) -> None:
    """Turn a fact into a letter; a second failure of the same fact counts an attempt and keeps the newest reason."""
    source_id = names.id(connection, "source", source)
    (attempts,) = connection.execute(
        """INSERT INTO letters (intake_seq, source, state, reason, position, hint, mapping, attempts,
                                created_us, last_us, park_key)
           VALUES (?, ?, 'open', ?, ?, ?, ?, 1, ?, ?, ?)
           ON CONFLICT (intake_seq) DO UPDATE SET
               reason = excluded.reason, position = excluded.position, hint = excluded.hint,
               mapping = excluded.mapping, attempts = attempts + 1, last_us = excluded.last_us
           RETURNING attempts""",
        (seq, source_id, *map(storable, (error, error.position, error.hint)), mapping, now_us, now_us, park_key),
    ).fetchone()
    if attempts == 1:
        connection.execute(
            "INSERT INTO letters_open (source, count) VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            (source_id,),
        )


def get(connection: sqlite3.Connection, number: int) -> Letter:
    """Raises `Permanent` when there is no such letter."""
    found = _letters(connection.execute(f"{_SELECT} WHERE l.id = ?", (number,)))
    if not found:
        raise Permanent(f"there is no letter {number}", hint="`entrepot letters list` shows those that wait")
    return found[0]


def page(connection: sqlite3.Connection, *, after: int = 0, rows_max: int = 100, state: str = "open") -> list[Letter]:
    """Letters in order of their number, after a number."""
    return _letters(
        connection.execute(f"{_SELECT} WHERE l.id > ? AND l.state = ? ORDER BY l.id LIMIT ?", (after, state, rows_max))
    )


def draining(connection: sqlite3.Connection, *, after: int, rows_max: int) -> list[int]:
    """Translated letters whose successors have not all gone yet, in order of their number, after a number."""
    query = "SELECT id FROM letters WHERE state = 'draining' AND id > ? ORDER BY id LIMIT ?"
    return [row[0] for row in connection.execute(query, (after, rows_max))]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Open letters per source: a figure that is kept, for it is looked at every second."""
    rows = connection.execute(
        "SELECT n.name, count FROM letters_open open JOIN names n ON n.id = open.source WHERE count"
    )
    return dict(rows.fetchall())


def holding(connection: sqlite3.Connection, source_id: int, keys: list[str], before: int, *, behind: int) -> int | None:
    """The letter, other than `behind`, that a fact with these keys must wait for.

    Either it holds one of the keys itself, or an older fact with one of the keys waits for it already.
    """
    marks = ", ".join("?" * (len(keys) + 1))
    held = connection.execute(
        f"""SELECT id FROM letters WHERE source = ? AND park_key IN ({marks}) AND intake_seq < ? AND id <> ?
            ORDER BY intake_seq LIMIT 1""",
        (source_id, WHOLE_SOURCE, *keys, before, behind),
    ).fetchone()
    if held is None and keys:
        held = connection.execute(
            f"""SELECT p.letter FROM parked_keys k JOIN parked p USING (intake_seq)
                WHERE k.source = ? AND k.key IN ({marks[3:]}) AND k.intake_seq < ? AND p.letter <> ?
                ORDER BY k.intake_seq LIMIT 1""",
            (source_id, *keys, before, behind),
        ).fetchone()
    return None if held is None else held[0]


def park(connection: sqlite3.Connection, seq: int, source_id: int, keys: list[str], letter: int) -> None:
    """A fact waits, still pending, until its letter is settled; younger facts that share a key wait behind it."""
    connection.execute("INSERT INTO parked (intake_seq, letter) VALUES (?, ?)", (seq, letter))
    connection.executemany(
        "INSERT INTO parked_keys (source, key, intake_seq) VALUES (?, ?, ?)", [(source_id, key, seq) for key in keys]
    )


def parked(connection: sqlite3.Connection, letter: int, rows_max: int) -> list[int]:
    """Facts that wait for this letter, in order of acceptance."""
    rows = connection.execute(
        "SELECT intake_seq FROM parked WHERE letter = ? ORDER BY intake_seq LIMIT ?", (letter, rows_max)
    )
    return [row[0] for row in rows]


def parked_behind(connection: sqlite3.Connection, seq: int) -> int | None:
    """The letter that a fact waits for, if it waits."""
    row = connection.execute("SELECT letter FROM parked WHERE intake_seq = ?", (seq,)).fetchone()
    return None if row is None else row[0]


def unpark(connection: sqlite3.Connection, seqs: list[int]) -> None:
    """These facts wait no longer."""
    for table in ("parked", "parked_keys"):
        connection.executemany(f"DELETE FROM {table} WHERE intake_seq = ?", [(seq,) for seq in seqs])


def drain(connection: sqlite3.Connection, number: int) -> None:
    """The fact has been translated after all; it holds its key until those behind it have gone."""
    _close(connection, number)
    connection.execute("UPDATE letters SET state = 'draining' WHERE id = ?", (number,))


def finish(connection: sqlite3.Connection, number: int) -> None:
    """Nobody waits any more: a translated letter goes, a released one no longer holds its key."""
    connection.execute("DELETE FROM letters WHERE id = ? AND state = 'draining'", (number,))
    connection.execute("UPDATE letters SET park_key = NULL WHERE id = ?", (number,))


def of_fact(connection: sqlite3.Connection, intake_seq: int) -> int | None:
    """The letter of a fact, if it became one."""
    row = connection.execute("SELECT id FROM letters WHERE intake_seq = ?", (intake_seq,)).fetchone()
    return None if row is None else row[0]


def discard(connection: sqlite3.Connection, number: int, now_us: int) -> None:
    """A person decided that this fact says nothing; it stays counted as a dead letter."""
    _close(connection, number)
    connection.execute(
        "UPDATE letters SET state = 'discarded', last_us = ?, park_key = NULL WHERE id = ?", (now_us, number)
    )


def _close(connection: sqlite3.Connection, number: int) -> None:
    """Count a letter off that will be open no longer."""
    connection.execute(
        """UPDATE letters_open SET count = count - 1
           WHERE source = (SELECT source FROM letters WHERE id = ? AND state = 'open')""",
        (number,),
    )
