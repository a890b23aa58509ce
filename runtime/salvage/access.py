"""Saves who may call: callers, credentials, revocations, days, and the access log as far as its chain holds.

What is lost here lets nobody in; only a lost revocation would, so that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any

import msgspec

from runtime.access import ledger
from runtime.access.scopes import expand
from runtime.access.settings import CallerLimits
from runtime.errors import ConfigError
from runtime.journal import access_log
from runtime.journal.store import Connection
from runtime.journal.wreck import Row, Wreck


def _is_caller(row: Row) -> bool:
    if not _are(row, str, str, str, int, (int, NoneType)):
        return False
    try:
        grants = msgspec.json.decode(row[1], type=list[str])
        msgspec.json.decode(row[2], type=CallerLimits)
        expand(grants, {})
    except (msgspec.MsgspecError, ConfigError, UnicodeError):
        return False
    return True


def _are(row: Row, *kinds: Any) -> bool:
    return all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True))


_COPIED: tuple[tuple[str, str, str, Callable[[Row], bool]], ...] = (
    ("callers", "name", "name, grants, limits, created_us, revoked_us", _is_caller),
    (
        "credentials",
        "id",
        "id, caller, kind, digest, created_us, expires_us, revoked_us",
        lambda row: _are(row, str, str, str, bytes, int, (int, NoneType), (int, NoneType)),
    ),
    ("revocations", "digest", "digest, at_us", lambda row: _are(row, bytes, int)),
    ("caller_days", "caller", "caller, day, requests", lambda row: _are(row, str, int, int)),
)


def save_access(wreck: Wreck, connection: Connection) -> list[str]:
    """Copy into a new journal; returns what a person should know."""
    if wreck.one("sqlite_master", "SELECT 1 FROM sqlite_master WHERE name = 'access_log'") is None:
        return []  # older than callers
    for table, key, columns, is_sound in _COPIED:
        rows = wreck.everything(table, f"SELECT {columns} FROM {table} ORDER BY {key} {{direction}}")
        marks = ", ".join("?" * len(columns.split(",")))
        statement = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"
        connection.executemany(statement, [row for row in rows if is_sound(row)])
    kept, found = _save_log(wreck, connection)
    _save_senders(wreck, connection)
    notes = []
    if "revocations" in wreck.torn:
        notes.append("the list of revoked tokens was damaged: revoke again what must stay out")
    if kept < found:
        notes.append(f"the access log is proven up to entry {kept}; what followed was left behind")
    return notes


def _save_log(wreck: Wreck, connection: Connection) -> tuple[int, int]:
    """(entries that the chain proves, highest number that was seen)."""
    query = "SELECT number, entry, chain FROM access_log ORDER BY number {direction}"
    rows = sorted(wreck.everything("access_log", query), key=lambda row: str(row[0]).rjust(20))
    sound = [row for row in rows if _has_shape(row)]
    kept, _, _ = ledger.follow(sound, 0, ledger.START)
    connection.executemany("INSERT INTO access_log (number, entry, chain) VALUES (?, ?, ?)", sound[:kept])
    access_log.append(connection, [{"event": "repaired", "kept": kept}] if rows else [])
    return kept, max((row[0] for row in sound), default=0)


def _has_shape(row: Row) -> bool:
    return _are(row, int, str, bytes) and 0 < row[0] < 2**63


def _save_senders(wreck: Wreck, connection: Connection) -> None:
    """Whose a fact is: kept for the facts that were saved, under the new numbers of the names."""
    query = "SELECT id, kind, name FROM names ORDER BY id {direction}"
    named = {
        n: name for n, kind, name in wreck.everything("names", query) if kind == "caller" and isinstance(name, str)
    }
    connection.executemany(
        "INSERT OR IGNORE INTO names (kind, name) VALUES ('caller', ?)", [(n,) for n in named.values()]
    )
    rows = wreck.everything("senders", "SELECT intake_seq, caller FROM senders ORDER BY intake_seq {direction}")
    connection.executemany(
        """INSERT OR IGNORE INTO senders (intake_seq, caller)
           SELECT ?, id FROM names WHERE kind = 'caller' AND name = ? AND EXISTS (SELECT 1 FROM intake WHERE seq = ?)""",
        [(row[0], named[row[1]], row[0]) for row in rows if _are(row, int, int) and row[1] in named],
    )
