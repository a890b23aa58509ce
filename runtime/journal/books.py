"""The books: one row of counters, moved in the same transaction as what they count.

accepted = delivered + withheld + dead_lettered + ignored + expired + pending, at every commit.
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

COLUMNS = ("accepted", "delivered", "withheld", "dead_lettered", "ignored", "expired", "pending")


class Books(Struct, frozen=True, kw_only=True):
    """All are gauges; `duplicates` counts suppressed repeats and is outside the identity."""

    accepted: int
    delivered: int
    withheld: int
    dead_lettered: int
    ignored: int
    expired: int
    pending: int
    duplicates: int
    facts: int
    translated: int
    keyed: int

    @property
    def balanced(self) -> bool:
        """Whether nothing is missing and nothing is invented."""
        settled = self.delivered + self.withheld + self.dead_lettered + self.ignored + self.expired
        return self.accepted == settled + self.pending

    def account(self) -> dict[str, int]:
        """The seven figures of the identity, for checkpoints and people."""
        return {name: getattr(self, name) for name in COLUMNS}


_FIELDS = Books.__struct_fields__


def read(connection: sqlite3.Connection) -> Books:
    """The books as of the last commit (or inside the running transaction)."""
    row = connection.execute(f"SELECT {', '.join(_FIELDS)} FROM books").fetchone()
    return Books(**dict(zip(_FIELDS, row, strict=True)))


def move(connection: sqlite3.Connection, **deltas: int) -> None:
    """Add to counters, e.g. `move(c, pending=-1, ignored=1)`."""
    sets = ", ".join(f"{name} = {name} + :{name}" for name in deltas)
    connection.execute(f"UPDATE books SET {sets}", deltas)


def advance(connection: sqlite3.Connection, **positions: int) -> None:
    """Set cursors: `facts` (last intake sequence) or `translated`."""
    sets = ", ".join(f"{name} = :{name}" for name in positions)
    connection.execute(f"UPDATE books SET {sets}", positions)
