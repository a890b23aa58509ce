"""Saves what headquarters sent and what targets are to get: the inbox as far as its chain proves, deliveries as letters.

Rows of the inbox that do not prove right are read from the hub again: a record has the same number each time.
"""

from __future__ import annotations

from types import NoneType
from typing import Any

from runtime import record
from runtime.journal import inbox, meta
from runtime.journal.store import Connection
from runtime.journal.wreck import Row, Wreck

REASON = "this journal was repaired: whether the target has had this is not known"
TABLES = ("downlinks", "inbox", "targets", "deliveries")
_DOWNLINK = (int, str, int, int, int, bytes, (str, NoneType))
_INBOX = (int, int, int, int, int, bytes, str, bytes, bytes)
_TARGET = (int, str, str, int, int, int, int, int, int, int, (str, NoneType))
_DELIVERY = (int, int, str, str, str, (str, NoneType), int, int, int, int, (int, NoneType), str, str, str, bytes, bytes)


def save_inbound(wreck: Wreck, connection: Connection) -> list[str]:
    """Copy into a new journal; returns what a person should know."""
    if wreck.one("sqlite_master", "SELECT 1 FROM sqlite_master WHERE name = 'downlinks'") is None:
        return []  # older than the downlink
    wreck.survey(TABLES)
    downlinks = _sound(wreck, "downlinks", "id, region, epoch, seq, highest, chain, fence", "id", _DOWNLINK)
    _insert(connection, "downlinks (id, region, epoch, seq, highest, chain, fence)", downlinks)
    last = _save_inbox(wreck, connection, downlinks)
    meta.put(connection, **{inbox.LAST: last, "inbox_claimed": min(last, _number(wreck, "inbox_claimed"))})
    _save_targets(wreck, connection, last)
    notes = []
    if wreck.torn & set(TABLES):
        notes.append(
            "what headquarters sent, or what targets were to get, was damaged: commands may come to a target once more,"
            " under the same id"
        )
    return notes


def _save_inbox(wreck: Wreck, connection: Connection, downlinks: list[Row]) -> int:
    """Proven rows, in order; each downlink goes on behind its last one. Returns the number of the last row."""
    columns = "number, downlink, epoch, seq, received_us, chain, subject, headers, data"
    rows = _sound(wreck, "inbox", columns, "number", _INBOX)
    claimed = _number(wreck, inbox.LAST)
    kept = _proven(rows)
    if (kept and kept[-1][0] == claimed) or (not rows and "inbox" not in wreck.torn):
        _insert(connection, f"inbox ({columns})", kept)
        return claimed
    _insert(connection, f"inbox ({columns})", kept)
    for downlink in downlinks:
        mine = [row for row in kept if row[1] == downlink[0]]
        _, _, epoch, seq, _, chain, *_ = mine[-1] if mine else (0, 0, 0, 0, 0, record.GENESIS)
        connection.execute(
            "UPDATE downlinks SET epoch = ?, seq = ?, highest = ?, chain = ? WHERE id = ?",
            (epoch, seq, seq, chain, downlink[0]),
        )
    return int(kept[-1][0]) if kept else 0


def _proven(rows: list[Row]) -> list[Row]:
    """Up to the first row that is missing or does not continue the one before."""
    kept: list[Row] = []
    before: dict[int, Row] = {}
    for row in rows:
        number, downlink, epoch, seq, _, chain, subject, headers, data = row
        previous = before.get(downlink)
        if kept and number != kept[-1][0] + 1:
            break
        if previous is not None and previous[3] + 1 == seq:
            again = record.chain(previous[5], epoch, seq, subject.encode("utf-8", "replace"), headers, data)
            if again != chain:
                break
        kept.append(row)
        before[downlink] = row
    return kept


def _save_targets(wreck: Wreck, connection: Connection, last: int) -> None:
    """Their books begin anew: what is not finished, or cannot be proven, waits for a person."""
    columns = "id, name, reads, active, looked, counted, delivered, not_wanted, dead_lettered, expired, disabled"
    queued = _sound(
        wreck,
        "deliveries",
        "number, target, state, id, type, key, attempts, first_us, next_us, last_us, expires_us, reason, hint, reference,"
        " headers, data",
        "number",
        _DELIVERY,
    )
    for row in _sound(wreck, "targets", columns, "id", _TARGET):
        number, name, reads, active, looked, counted, delivered, not_wanted, _, expired, disabled = row
        seen = min(counted, last) if reads == "inbox" else counted
        pending = max(0, seen - looked)
        mine = [each for each in queued if each[1] == number]
        letters = sum(each[2] in {"open", "letter"} for each in mine)
        dead = letters + sum(each[2] == "discarded" for each in mine)
        connection.execute(
            """INSERT OR IGNORE INTO targets (id, name, reads, active, looked, counted, received, delivered, not_wanted,
                                              dead_lettered, expired, pending, letters, disabled)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (number, name, reads, active, min(looked, seen) if reads != "inbox" else looked, max(seen, looked))
            + (delivered + not_wanted + dead + expired + pending, delivered, not_wanted, dead, expired, pending)
            + (letters, disabled),
        )
    marks = ", ".join("?" * len(_DELIVERY))
    for row in queued:
        state, reason = ("letter", REASON) if row[2] == "open" else (row[2], row[11])
        connection.execute(
            f"INSERT OR IGNORE INTO deliveries VALUES ({marks})", (*row[:2], state, *row[3:11], reason, *row[12:])
        )
    meta.put(connection, deliveries_last=max((row[0] for row in queued), default=0))


def _sound(wreck: Wreck, table: str, columns: str, key: str, kinds: tuple[Any, ...]) -> list[Row]:
    found = wreck.everything(table, f"SELECT {columns} FROM {table} ORDER BY {key} {{direction}}")
    sound = [row for row in found if all(isinstance(v, k) for v, k in zip(row, kinds, strict=True))]
    return sorted(sound, key=lambda row: row[0])


def _insert(connection: Connection, into: str, rows: list[Row]) -> None:
    marks = ", ".join("?" * len(into.split(",")))
    connection.executemany(f"INSERT OR IGNORE INTO {into} VALUES ({marks})", rows)


def _number(wreck: Wreck, name: str) -> int:
    row = wreck.one("meta", "SELECT value FROM meta WHERE name = ?", name)
    return row[0] if row and isinstance(row[0], int) else 0
