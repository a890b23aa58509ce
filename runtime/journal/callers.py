"""Callers, their credentials, what was revoked, and what each has used of its day."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence

import msgspec

from runtime.access.registry import CallerRow, Credential, Roll
from runtime.access.settings import CallerLimits

_CREDENTIAL = "id, caller, kind, digest, created_us, expires_us, revoked_us"
_grants = msgspec.json.Decoder(list[str]).decode
_limits = msgspec.json.Decoder(CallerLimits).decode
Day = tuple[str, int, int]
"""(caller, day since 1970, requests)"""


def everything(connection: sqlite3.Connection) -> Roll:
    """All rows: callers are few."""
    rows = connection.execute("SELECT name, grants, limits, created_us, revoked_us FROM callers ORDER BY name")
    callers = [
        CallerRow(name=name, grants=_grants(grants), limits=_limits(limits), created_us=created, revoked_us=revoked)
        for name, grants, limits, created, revoked in rows
    ]
    rows = connection.execute(f"SELECT {_CREDENTIAL} FROM credentials ORDER BY caller, created_us, id")
    credentials = [Credential(**dict(zip(_CREDENTIAL.split(", "), row, strict=True))) for row in rows]
    revoked_digests = [row[0] for row in connection.execute("SELECT digest FROM revocations")]
    return Roll(callers=callers, credentials=credentials, revocations=revoked_digests)


def put(connection: sqlite3.Connection, caller: CallerRow) -> None:
    """Write a caller as it is now."""
    connection.execute(
        """INSERT INTO callers (name, grants, limits, created_us, revoked_us) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET grants = excluded.grants, limits = excluded.limits,
               created_us = excluded.created_us, revoked_us = excluded.revoked_us""",
        (
            caller.name,
            msgspec.json.encode(list(caller.grants)).decode(),
            msgspec.json.encode(caller.limits).decode(),
            caller.created_us,
            caller.revoked_us,
        ),
    )


def add(connection: sqlite3.Connection, credential: Credential) -> None:
    """A new credential."""
    values = [getattr(credential, name) for name in _CREDENTIAL.split(", ")]
    connection.execute(f"INSERT INTO credentials ({_CREDENTIAL}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def expire(connection: sqlite3.Connection, ids: Iterable[str], at_us: int) -> None:
    """These hold until then, unless they end earlier anyway."""
    connection.executemany(
        "UPDATE credentials SET expires_us = min(coalesce(expires_us, ?1), ?1) WHERE id = ?2", [(at_us, i) for i in ids]
    )


def revoke(connection: sqlite3.Connection, ids: Iterable[str], at_us: int) -> None:
    """These open nothing any more."""
    connection.executemany(
        "UPDATE credentials SET revoked_us = ? WHERE id = ? AND revoked_us IS NULL", [(at_us, i) for i in ids]
    )


def ban(connection: sqlite3.Connection, digests: Collection[bytes], at_us: int) -> None:
    """Tokens of these subjects, or with these ids, open nothing any more."""
    connection.executemany(
        "INSERT OR IGNORE INTO revocations (digest, at_us) VALUES (?, ?)", [(d, at_us) for d in digests]
    )


def days(connection: sqlite3.Connection) -> list[Day]:
    """What each caller has used of its last day."""
    return connection.execute("SELECT caller, day, requests FROM caller_days").fetchall()


def keep_days(connection: sqlite3.Connection, used: Sequence[Day]) -> None:
    """Write what was used; days that are over go."""
    connection.executemany("INSERT OR REPLACE INTO caller_days (caller, day, requests) VALUES (?, ?, ?)", used)
    if used:
        connection.execute("DELETE FROM caller_days WHERE day < ?", (max(day for _, day, _ in used),))
