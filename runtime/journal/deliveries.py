"""What targets are to get, one row each: open until the target has answered, then its number, or a letter."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct

from runtime.errors import Permanent
from runtime.journal import meta, rows, targets
from runtime.journal.words import storable

OPEN, LETTER, DELIVERED, EXPIRED, DISCARDED = "open", "letter", "delivered", "expired", "discarded"
STATES = (OPEN, LETTER, DELIVERED, EXPIRED, DISCARDED)
REFERENCE_MAX = 200
"""Characters kept of a target's own number."""


class NewDelivery(Struct, frozen=True, kw_only=True):
    """One that a target wants. `reason`: why it is a letter at once; empty: it is not."""

    id: str
    type: str
    key: str | None
    first_us: int
    expires_us: int | None
    headers: bytes
    data: bytes
    reason: str = ""


class DeliveryRow(Struct, frozen=True, kw_only=True):
    """One delivery; `headers` and `data` are empty once it is finished."""

    number: int
    target: str
    state: str
    id: str
    type: str
    key: str | None
    attempts: int
    first_us: int
    next_us: int
    last_us: int
    expires_us: int | None
    reason: str
    hint: str
    reference: str
    headers: bytes
    data: bytes


class OpenRow(Struct, frozen=True):
    """What deciding needs of an open delivery, or of a letter that holds its key."""

    number: int
    state: str
    key: str | None
    attempts: int
    next_us: int
    first_us: int
    expires_us: int | None


_LAST = "deliveries_last"
"""In `meta`: the highest number given; a number is never given twice."""
_INSERT = "deliveries (number, target, state, id, type, key, first_us, next_us, expires_us, reason, headers, data)"
_SELECT = f"""SELECT d.number, t.name, {", ".join(f"d.{name}" for name in DeliveryRow.__struct_fields__[2:])}
FROM deliveries d JOIN targets t ON t.id = d.target"""


def add(connection: sqlite3.Connection, target: int, new: Sequence[NewDelivery]) -> None:
    """Write down what a target wants, in order, in the books too."""
    first = last(connection) + 1
    rows.insert(
        connection,
        _INSERT,
        12,
        [
            (
                first + index,
                target,
                LETTER if each.reason else OPEN,
                each.id,
                each.type,
                each.key,
                each.first_us,
                each.first_us,
            )
            + (each.expires_us, each.reason, each.headers, each.data)
            for index, each in enumerate(new)
        ],
    )
    meta.put(connection, **{_LAST: first + len(new) - 1})
    letters = sum(bool(each.reason) for each in new)
    if letters:
        targets.move(connection, target, pending=-letters, dead_lettered=letters, letters=letters)


def last(connection: sqlite3.Connection) -> int:
    """The highest number given."""
    return meta.number(connection, _LAST)


def opened(connection: sqlite3.Connection, target: int, after: int, rows_max: int) -> list[OpenRow]:
    """Open deliveries and letters of one target after a number, in order."""
    found = connection.execute(
        """SELECT number, state, key, attempts, next_us, first_us, expires_us FROM
           (SELECT * FROM (SELECT * FROM deliveries WHERE target = ?1 AND state = 'open' AND number > ?2
                           ORDER BY number LIMIT ?3)
            UNION ALL
            SELECT * FROM (SELECT * FROM deliveries WHERE target = ?1 AND state = 'letter' AND number > ?2
                           ORDER BY number LIMIT ?3))
           ORDER BY number LIMIT ?3""",
        (target, after, rows_max),
    )
    return [OpenRow(*row) for row in found]


def get(connection: sqlite3.Connection, number: int) -> DeliveryRow:
    """Raises `Permanent` when there is no such delivery."""
    found = _rows(connection.execute(f"{_SELECT} WHERE d.number = ?", (number,)))
    if not found:
        raise Permanent(f"there is no delivery {number}", hint="`entrepot deliveries list` shows them")
    return found[0]


def page(connection: sqlite3.Connection, *, state: str, after: int = 0, rows_max: int = 100) -> list[DeliveryRow]:
    """Deliveries in one state in order of their number, after a number."""
    query = f"{_SELECT} WHERE d.state = ? AND d.number > ? ORDER BY d.number LIMIT ?"
    return _rows(connection.execute(query, (state, after, rows_max)))


def _rows(found: sqlite3.Cursor) -> list[DeliveryRow]:
    return [DeliveryRow(**dict(zip(DeliveryRow.__struct_fields__, row, strict=True))) for row in found]


def _state(connection: sqlite3.Connection, number: int) -> tuple[int, str]:
    found = connection.execute("SELECT target, state FROM deliveries WHERE number = ?", (number,)).fetchone()
    if found is None:
        raise Permanent(f"there is no delivery {number}", hint="`entrepot deliveries list` shows them")
    target, state = found
    return target, state


def finish(connection: sqlite3.Connection, number: int, state: str, *, now_us: int, reference: str = "") -> bool:
    """It was delivered, or has expired: the content goes. False when it was not open any more."""
    target, before = _state(connection, number)
    if before != OPEN:
        return False
    _close(connection, number, state, now_us)
    kept = storable(reference)[:REFERENCE_MAX]
    connection.execute("UPDATE deliveries SET reference = ? WHERE number = ?", (kept, number))
    targets.move(connection, target, pending=-1, **{state: 1})
    return True


def _close(connection: sqlite3.Connection, number: int, state: str, now_us: int) -> None:
    connection.execute(
        """UPDATE deliveries SET state = ?, last_us = ?, headers = x'', data = x'',
                                 attempts = attempts + ? WHERE number = ?""",
        (state, now_us, state == DELIVERED, number),
    )


def postpone(connection: sqlite3.Connection, number: int, *, next_us: int, now_us: int, reason: str, hint: str) -> None:
    """One more failed attempt; it stays open."""
    connection.execute(
        """UPDATE deliveries SET attempts = attempts + 1, next_us = ?, last_us = ?, reason = ?, hint = ?
           WHERE number = ? AND state = 'open'""",
        (next_us, now_us, storable(reason), storable(hint), number),
    )


def reject(connection: sqlite3.Connection, number: int, *, now_us: int, reason: str, hint: str) -> None:
    """It becomes a letter: a person decides."""
    target, before = _state(connection, number)
    if before == OPEN:
        connection.execute(
            """UPDATE deliveries SET state = 'letter', attempts = attempts + 1, last_us = ?, reason = ?, hint = ?
               WHERE number = ?""",
            (now_us, storable(reason), storable(hint), number),
        )
        targets.move(connection, target, pending=-1, dead_lettered=1, letters=1)


def reopen(connection: sqlite3.Connection, number: int, now_us: int) -> str:
    """Deliver a letter after all, or an open one at once, however old it is; returns the target's name.

    Raises `Permanent` for a finished one.
    """
    target, before = _state(connection, number)
    if before not in {LETTER, OPEN}:
        raise Permanent(f"delivery {number} is {before}: there is nothing to try again")
    connection.execute(
        "UPDATE deliveries SET state = 'open', next_us = ?, expires_us = NULL WHERE number = ?", (now_us, number)
    )
    if before == LETTER:
        targets.move(connection, target, pending=1, dead_lettered=-1, letters=-1)
    return get(connection, number).target


def discard(connection: sqlite3.Connection, number: int, now_us: int) -> str:
    """A person decided that it shall not be delivered; it stays counted as a dead letter. Returns the target's name."""
    target, before = _state(connection, number)
    if before not in {LETTER, OPEN}:
        raise Permanent(f"delivery {number} is {before}: there is nothing to discard")
    _close(connection, number, DISCARDED, now_us)
    if before == OPEN:
        targets.move(connection, target, pending=-1, dead_lettered=1)
    else:
        targets.move(connection, target, letters=-1)
    return get(connection, number).target


def prune(connection: sqlite3.Connection, through: int, rows_max: int) -> int:
    """Forget finished ones up to a number; returns how many."""
    deleted = 0
    for state in (DELIVERED, EXPIRED, DISCARDED):
        deleted += connection.execute(
            """DELETE FROM deliveries WHERE number IN
               (SELECT number FROM deliveries WHERE state = ? AND number <= ? ORDER BY number LIMIT ?)""",
            (state, through, rows_max - deleted),
        ).rowcount
    return deleted
