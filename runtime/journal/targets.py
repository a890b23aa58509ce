"""The targets: what each reads, how far it has looked, and its own books.

received = delivered + not_wanted + dead_lettered + expired + pending, at every commit, for each target.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from msgspec import Struct

from runtime.downlink import INBOX
from runtime.errors import Permanent, Refused
from runtime.journal import inbox, lanes, meta
from runtime.journal.words import storable

COLUMNS = ("received", "delivered", "not_wanted", "dead_lettered", "expired", "pending")
_CLAIMED = "inbox_claimed"
"""In `meta`: rows of the inbox up to here have had a target; younger ones wait for the first that comes."""


class TargetRow(Struct, frozen=True, kw_only=True):
    """One target. Row numbers are those of the inbox, or sequences of the lane that it reads."""

    id: int
    name: str
    reads: str
    active: bool
    looked: int
    counted: int
    received: int
    delivered: int
    not_wanted: int
    dead_lettered: int
    expired: int
    pending: int
    letters: int
    """Of the dead-lettered: those that wait for a decision."""
    disabled: str | None

    @property
    def balanced(self) -> bool:
        """Whether nothing is missing and nothing is invented."""
        settled = self.delivered + self.not_wanted + self.dead_lettered + self.expired
        return self.received == settled + self.pending

    def account(self) -> dict[str, int]:
        """The six figures."""
        return {name: getattr(self, name) for name in COLUMNS}


_FIELDS = TargetRow.__struct_fields__
_SELECT = f"SELECT {', '.join(_FIELDS)} FROM targets"


def _rows(found: sqlite3.Cursor) -> list[TargetRow]:
    pairs = [dict(zip(_FIELDS, row, strict=True)) for row in found]
    return [TargetRow(**{**pair, "active": bool(pair["active"])}) for pair in pairs]


def everyone(connection: sqlite3.Connection) -> list[TargetRow]:
    """All targets that ever were, configured today or not."""
    return _rows(connection.execute(f"{_SELECT} ORDER BY id"))


def get(connection: sqlite3.Connection, name: str) -> TargetRow:
    """Raises `Permanent` when there is no such target."""
    found = _rows(connection.execute(f"{_SELECT} WHERE name = ?", (name,)))
    if not found:
        raise Permanent(f"there is no target {name!r} in the journal", hint="`entrepot deliveries targets` names them")
    return found[0]


def refuse_leaving(connection: sqlite3.Connection, configured: Mapping[str, str]) -> None:
    """`configured`: name → what it reads. Raises `Refused` when one that is gone still has something to deliver."""
    for row in _leaving(connection, configured):
        if row.pending:
            raise Refused(
                f"target {row.name} still has {row.pending} deliveries to make",
                hint="put it back until they are made (`entrepot deliveries list`), or discard them there",
            )


def let_go(connection: sqlite3.Connection, configured: Mapping[str, str]) -> list[TargetRow]:
    """Targets that are no longer configured so, and have nothing left to deliver, get nothing more; which."""
    gone = [row for row in _leaving(connection, configured) if not row.pending]
    for row in gone:
        _release(connection, row)
    return gone


def take_back(connection: sqlite3.Connection, gone: Sequence[TargetRow]) -> None:
    """They were not to go after all: what has come since is theirs."""
    for row in gone:
        connection.execute("UPDATE targets SET active = 1 WHERE id = ?", (row.id,))
        if row.reads == INBOX:
            count(connection, INBOX, meta.number(connection, inbox.LAST))


def _leaving(connection: sqlite3.Connection, configured: Mapping[str, str]) -> list[TargetRow]:
    return [row for row in everyone(connection) if row.active and configured.get(row.name) != row.reads]


def _release(connection: sqlite3.Connection, row: TargetRow) -> None:
    connection.execute("UPDATE targets SET active = 0 WHERE id = ?", (row.id,))
    left = connection.execute("SELECT count(*) FROM targets WHERE reads = ? AND active", (INBOX,)).fetchone()[0]
    if row.reads == INBOX and not left:
        meta.put(connection, **{_CLAIMED: row.counted})


def enter(connection: sqlite3.Connection, name: str, reads: str) -> TargetRow:
    """A new target begins with what comes from now on; the first of the inbox with what nobody has had.

    Raises `Refused` when it has read something else and is not done with that.
    """
    known = next((row for row in everyone(connection) if row.name == name), None)
    if known is not None and known.active:
        if known.reads == reads:
            return known
        refuse_leaving(connection, {row.name: row.reads for row in everyone(connection)} | {name: reads})
        _release(connection, known)
    start = _start(connection, reads)
    connection.execute(
        """INSERT INTO targets (name, reads, active, looked, counted) VALUES (?1, ?2, 1, ?3, ?3)
           ON CONFLICT (name) DO UPDATE SET reads = ?2, active = 1, looked = ?3, counted = ?3""",
        (name, reads, start),
    )
    if reads == INBOX:
        count(connection, INBOX, meta.number(connection, inbox.LAST))
    return get(connection, name)


def _start(connection: sqlite3.Connection, reads: str) -> int:
    if reads != INBOX:
        lane = next((row for row in lanes.everyone(connection) if row.name == reads), None)
        return 0 if lane is None else lane.acked
    others = connection.execute("SELECT count(*) FROM targets WHERE reads = ? AND active", (INBOX,)).fetchone()[0]
    return meta.number(connection, inbox.LAST) if others else meta.number(connection, _CLAIMED)


def count(connection: sqlite3.Connection, reads: str, through: int) -> None:
    """Rows up to a number are there: whoever reads them has received them. Rows are numbered without a gap."""
    connection.execute(
        """UPDATE targets SET received = received + (?1 - counted), pending = pending + (?1 - counted), counted = ?1
           WHERE reads = ?2 AND active AND counted < ?1""",
        (through, reads),
    )


def fall_back(connection: sqlite3.Connection, lane: str, to: int) -> None:
    """`adopt` has taken back rows of a lane after `to`: those that follow are others."""
    connection.execute(
        """UPDATE targets SET received = received - (counted - max(looked, ?1)),
                              pending = pending - (counted - max(looked, ?1)),
                              looked = min(looked, ?1), counted = ?1
           WHERE reads = ?2 AND active AND counted > ?1""",
        (to, lane),
    )


def look(connection: sqlite3.Connection, target: int, *, through: int, not_wanted: int) -> None:
    """Rows up to a number have been looked at; what is wanted of them is among the deliveries now."""
    connection.execute(
        "UPDATE targets SET looked = ?1, not_wanted = not_wanted + ?2, pending = pending - ?2 WHERE id = ?3",
        (through, not_wanted, target),
    )


def move(connection: sqlite3.Connection, target: int, **deltas: int) -> None:
    """Add to the books of one target, e.g. `move(c, 1, pending=-1, delivered=1)`."""
    sets = ", ".join(f"{name} = {name} + :{name}" for name in deltas)
    connection.execute(f"UPDATE targets SET {sets} WHERE id = :id", {**deltas, "id": target})


def disable(connection: sqlite3.Connection, target: int, reason: str | None) -> None:
    """Give it nothing until a person enables it; None: enabled."""
    kept = None if reason is None else storable(reason)
    connection.execute("UPDATE targets SET disabled = ? WHERE id = ?", (kept, target))


def needed(connection: sqlite3.Connection, reads: str) -> int | None:
    """Rows up to here have been looked at by everybody who reads them; None: nobody does."""
    found: int | None = connection.execute(
        "SELECT min(looked) FROM targets WHERE reads = ? AND active", (reads,)
    ).fetchone()[0]
    return found


def claimed(connection: sqlite3.Connection) -> int:
    """Rows of the inbox up to here may go once they are old enough."""
    found = needed(connection, INBOX)
    return meta.number(connection, _CLAIMED) if found is None else found
