"""What may be forgotten, oldest first: rows that are safe at the hub and old enough, never keys or unsent rows.

Ages are running seconds kept in `marks`: a jump of the wall clock ages nothing. One slice is one change.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left

import msgspec
from msgspec import Struct

from runtime.journal import deliveries, inbox, keys, lanes, meta, outbox, standing, targets, watermark
from runtime.journal.lanes import LaneRow
from runtime.journal.standing import StandingLimits

SLICE_ROWS_MAX = 500
HOUR = 3_600
MARK_SECONDS = 600
"""Distance of two marks: the resolution of every age."""
_INBOX, _DELIVERIES = "inbox", "deliveries"
"""Among the lanes of a mark: the last row of the inbox, and the last delivery."""


class Limits(Struct, frozen=True):
    """Ages in running seconds: how long acknowledged rows and idempotency keys stay."""

    refill_seconds: int
    key_seconds: int
    standing: StandingLimits | None = None
    """None: there is no API, and nothing is kept for it."""


class Usage(Struct, frozen=True):
    """Disk use of the journal in bytes. `free` is inside the file and will be used before it grows."""

    used: int
    free: int


def usage(connection: sqlite3.Connection) -> Usage:
    """What the journal really needs, without its reusable pages."""
    size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    spare: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return Usage(used=(pages - spare) * size, free=spare * size)


def grow_older(connection: sqlite3.Connection, seconds: int) -> int:
    """Add running time; every ten minutes remember where everything stood. Returns the journal's age in seconds."""
    age = meta.number(connection, "age_seconds") + seconds
    meta.put(connection, age_seconds=age)
    newest: int = connection.execute("SELECT coalesce(max(age_seconds), -1) FROM marks").fetchone()[0]
    if newest < 0 or age - newest >= MARK_SECONDS:
        facts = connection.execute("SELECT facts FROM books").fetchone()[0]
        acked = {str(lane.id): lane.acked for lane in lanes.everyone(connection)}
        acked |= {_INBOX: meta.number(connection, inbox.LAST), _DELIVERIES: deliveries.last(connection)}
        connection.execute(
            "INSERT OR REPLACE INTO marks (age_seconds, intake_seq, acked) VALUES (?, ?, ?)",
            (age, facts, msgspec.json.encode(acked).decode()),
        )
    return age


def _mark_before(connection: sqlite3.Connection, age: int) -> tuple[int, dict[str, int]]:
    row = connection.execute(
        "SELECT intake_seq, acked FROM marks WHERE age_seconds <= ? ORDER BY age_seconds DESC LIMIT 1", (age,)
    ).fetchone()
    return (0, {}) if row is None else (row[0], msgspec.json.decode(row[1], type=dict[str, int]))


def prune(connection: sqlite3.Connection, limits: Limits, *, pressed: bool) -> int:
    """Delete one slice; returns the rows deleted. `pressed`: disk budget nearly used up, age does not matter then."""
    age = meta.number(connection, "age_seconds")
    old_facts, acked = _mark_before(connection, age - limits.refill_seconds)
    deleted = 0
    for lane in lanes.everyone(connection):
        aged = min(acked.get(str(lane.id), 0), watermark.through(connection, lane))
        through, needed = lane.acked if pressed else aged, targets.needed(connection, lane.name)
        deleted += _prune_lane(connection, lane, through if needed is None else min(through, needed))
    if pressed:
        old_facts = connection.execute("SELECT translated FROM books").fetchone()[0]
    deleted += _prune_bodies(connection, max(old_facts, meta.number(connection, "pruned_intake")))
    if deleted < SLICE_ROWS_MAX:
        keys_through, old = _mark_before(connection, age - limits.key_seconds)
        deleted += _prune_keys(connection, keys_through)
        deleted += _prune_inbound(connection, old, pressed=pressed)
        oldest_needed = age - max(limits.refill_seconds, limits.key_seconds) - 2 * MARK_SECONDS
        connection.execute("DELETE FROM marks WHERE age_seconds < ?", (oldest_needed,))
    return deleted + standing.prune(connection, limits.standing)


def _prune_lane(connection: sqlite3.Connection, lane: LaneRow, through: int) -> int:
    """Drop acknowledged sealed rows up to a sequence, and the events they came from."""
    kept = (lane.row_id(0), lane.row_id(lane.sealed))
    first = connection.execute("SELECT min(id) FROM outbox WHERE id > ? AND id <= ?", kept).fetchone()[0]
    last = min(through, lane.acked, (first or kept[1]) - kept[0] + SLICE_ROWS_MAX - 1)
    if first is None or lane.row_id(last) < first:
        return 0
    span = (first, lane.row_id(last))
    newest = connection.execute("SELECT max(event) FROM outbox WHERE id BETWEEN ? AND ?", span).fetchone()[0]
    if last >= lane.oldest:
        before = outbox.chain_at(connection, lane, last)
        assert before is not None, "a row that is there has a chain"
        lanes.retain_from(connection, lane, last + 1, before)
    deleted = connection.execute("DELETE FROM outbox WHERE id BETWEEN ? AND ?", span).rowcount
    if newest:
        deleted += _prune_events(connection, lane.row_id(0), lane.row_id(newest))
    return deleted


def _prune_inbound(connection: sqlite3.Connection, old: dict[str, int], *, pressed: bool) -> int:
    """Drop what every target has looked at, and finished deliveries; unfinished ones and letters have their own copy."""
    settled = targets.claimed(connection)
    through = settled if pressed else min(settled, old.get(_INBOX, 0))
    deleted = inbox.prune(connection, through, SLICE_ROWS_MAX)
    finished = deliveries.last(connection) if pressed else old.get(_DELIVERIES, 0)
    return deleted + deliveries.prune(connection, finished, SLICE_ROWS_MAX)


def _prune_events(connection: sqlite3.Connection, above: int, through: int) -> int:
    """From here on no fact up to `pruned_intake` is replayed: its sealed origins are no longer all known."""
    span = (above, through)
    newest = connection.execute("SELECT max(intake_seq) FROM events WHERE id > ? AND id <= ?", span).fetchone()[0]
    if newest is None:
        return 0
    meta.put(connection, pruned_intake=max(newest, meta.number(connection, "pruned_intake")))
    return connection.execute("DELETE FROM events WHERE id > ? AND id <= ?", span).rowcount


def _prune_bodies(connection: sqlite3.Connection, through: int) -> int:
    """Drop bodies of facts that nothing in the journal needs any more; the walk starts over when it reaches the end."""
    walked = meta.number(connection, "bodies_walked")
    translated: int = connection.execute("SELECT translated FROM books").fetchone()[0]
    rows = connection.execute(
        """SELECT b.seq,
                  EXISTS (SELECT 1 FROM events e WHERE e.intake_seq = b.seq)
               OR EXISTS (SELECT 1 FROM letters l WHERE l.intake_seq = b.seq)
               OR EXISTS (SELECT 1 FROM parked p WHERE p.intake_seq = b.seq)
               OR EXISTS (SELECT 1 FROM following f WHERE f.intake_seq = b.seq)
           FROM bodies b WHERE b.seq > ? AND b.seq <= ? ORDER BY b.seq LIMIT ?""",
        (walked, min(through, translated), SLICE_ROWS_MAX),
    ).fetchall()
    gone = [(seq,) for seq, needed in rows if not needed]
    connection.executemany("DELETE FROM bodies WHERE seq = ?", gone)
    _note_walk(connection, "bodies_walked", walked, rows)
    return len(gone)


def _prune_keys(connection: sqlite3.Connection, through: int) -> int:
    """Forget receipts after `key_days`; a fact whose body is still needed keeps its row.

    In an outage longer than `key_days` nearly all are needed: each call looks at one slice, the next goes on behind it.
    """
    walked = meta.number(connection, "keys_walked")
    rows = connection.execute(
        """SELECT i.seq, EXISTS (SELECT 1 FROM bodies b WHERE b.seq = i.seq) FROM intake i
           WHERE i.seq > ? AND i.seq <= ? ORDER BY i.seq LIMIT ?""",
        (walked, through, SLICE_ROWS_MAX),
    ).fetchall()
    gone = [(seq,) for seq, needed in rows if not needed]
    keys.forget(connection, [seq for (seq,) in gone])
    for statement in ("DELETE FROM senders WHERE intake_seq = ?", "DELETE FROM intake WHERE seq = ?"):
        connection.executemany(statement, gone)
    _note_walk(connection, "keys_walked", walked, rows)
    return len(gone)


def _note_walk(connection: sqlite3.Connection, name: str, walked: int, rows: list[tuple[int, int]]) -> None:
    """Remember where the next slice begins; at the end the walk starts over."""
    reached = rows[-1][0] if len(rows) == SLICE_ROWS_MAX else 0
    if reached != walked:
        meta.put(connection, **{name: reached})


def refill_horizon_seconds(connection: sqlite3.Connection, lane: LaneRow) -> int:
    """How far back, in running seconds, the journal can refill this lane's stream."""

    def covered(age: int) -> bool:
        row = connection.execute("SELECT acked FROM marks WHERE age_seconds = ?", (age,)).fetchone()
        return msgspec.json.decode(row[0], type=dict[str, int]).get(str(lane.id), 0) >= lane.oldest - 1

    ages = [row[0] for row in connection.execute("SELECT age_seconds FROM marks ORDER BY age_seconds")]
    first = bisect_left(ages, True, key=covered)
    return meta.number(connection, "age_seconds") - ages[first] if first < len(ages) else 0
