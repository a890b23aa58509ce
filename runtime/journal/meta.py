"""Facts about the journal itself: whose it is, its epoch, its age in running seconds, how it last stopped."""

from __future__ import annotations

import sqlite3

from runtime.errors import Refused


def get(connection: sqlite3.Connection, name: str, default: int | str | None = None) -> int | str | None:
    """A stored value, or the default."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return default if row is None else row[0]


def number(connection: sqlite3.Connection, name: str, default: int = 0) -> int:
    """A stored number, or the default."""
    value = get(connection, name, default)
    assert isinstance(value, int)
    return value


def put(connection: sqlite3.Connection, **values: int | str) -> None:
    """Store values."""
    connection.executemany(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        list(values.items()),
    )


def claim(connection: sqlite3.Connection, region: str, environment: str, now_us: int) -> int:
    """Bind a new journal to its region and return the epoch. Raises `Refused` for another region's journal."""
    owner = get(connection, "region")
    if owner is None:
        put(connection, region=region, environment=environment, epoch=1, born_us=now_us, clean=1)
        return 1
    if (owner, get(connection, "environment")) != (region, environment):
        raise Refused(
            f"this journal belongs to region {owner!r} ({get(connection, 'environment')}), not {region!r} ({environment})",
            hint="point data_dir to this region's own folder; a journal never changes its region or environment",
        )
    return number(connection, "epoch", 1)
