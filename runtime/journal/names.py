"""Names that repeat in every row (sources, types, policies) and the small numbers they are stored as."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


class Names:
    """Two-way table kept in memory; used only on the journal's thread."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._names: dict[int, str] = {}

    def register(self, connection: sqlite3.Connection, kind: str, names: Iterable[str]) -> None:
        """Give numbers to names that are known before the work starts; run it in a transaction of its own."""
        connection.executemany("INSERT OR IGNORE INTO names (kind, name) VALUES (?, ?)", [(kind, n) for n in names])

    def load(self, connection: sqlite3.Connection) -> None:
        """Read what is committed."""
        for number, kind, name in connection.execute("SELECT id, kind, name FROM names"):
            self._ids[(kind, name)] = number
            self._names[number] = name

    def id(self, connection: sqlite3.Connection, kind: str, name: str) -> int:
        """The number of a name, given on first use."""
        known = self._ids.get((kind, name))
        if known is not None:
            return known
        # Not cached here: after a rollback the file would not know the number. `load` after a commit caches it.
        self.register(connection, kind, [name])
        row = connection.execute("SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return int(row[0])

    def known(self, number: int) -> str:
        """The name behind a number that was registered at the start."""
        return self._names[number]

    def name(self, connection: sqlite3.Connection, number: int) -> str:
        """The name behind a stored number."""
        known = self._names.get(number)
        if known is None:
            known = str(connection.execute("SELECT name FROM names WHERE id = ?", (number,)).fetchone()[0])
        return known
