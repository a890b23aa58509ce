"""The tables behind the API: where business objects stand, their timelines, and the cursor over each lane's events.

Everything here can be made again from the events that are still kept; nothing else depends on it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from runtime.journal import meta, rows

HOUR_SECONDS = 3_600
SLICE_ROWS_MAX = 500
FIND_MAX = 64
_COLUMNS = "standing (kind, key, part, grp, age, body)"
_TIMELINE = "timeline (subject, type, source, epoch, intake_seq, output, occurred_us, status, age)"
Place = tuple[str, str, str]
"""(kind, key, part)"""


class StandingLimits(Struct, frozen=True):
    """How much is kept; ages in running hours."""

    record_hours: int
    record_rows_max: int
    history_hours: int
    timeline_rows_max: int


class EventRow(NamedTuple):
    """An event as it is told."""

    number: int
    intake_seq: int
    output: int
    epoch: int
    type: int
    source: int
    body: bytes


class Line(NamedTuple):
    """A row of the timeline."""

    subject: str
    type: int
    source: int
    epoch: int
    intake_seq: int
    output: int
    occurred_us: int
    status: str | None


class StandingRow(NamedTuple):
    """A row of `standing`."""

    kind: str
    key: str
    part: str
    group: str | None
    body: bytes
    age: int = 0
    """In running hours; `put` writes that of now."""


# ---------------------------------------------------------------- the cursors


def behind(connection: sqlite3.Connection) -> list[tuple[int, int, int]]:
    """(lane, last event told, last event) of the lanes that have events to tell."""
    return connection.execute(
        """SELECT l.id, coalesce(t.number, 0), l.queued FROM lanes l LEFT JOIN told_through t ON t.lane = l.id
           WHERE l.queued > coalesce(t.number, 0)"""
    ).fetchall()


def untold(connection: sqlite3.Connection, lane: int, after: int, rows_max: int) -> list[EventRow]:
    """Events of a lane after a number, in order, as far as they are still kept."""
    found = connection.execute(
        """SELECT id & 0xFFFFFFFFFF, intake_seq, output, epoch, type, source, body FROM events
           WHERE id > ? AND id < ? ORDER BY id LIMIT ?""",
        (lane << 40 | after, (lane + 1) << 40, rows_max),
    )
    return [EventRow(*row) for row in found]


def advance(connection: sqlite3.Connection, lane: int, number: int) -> None:
    """Events of this lane have been told up to here."""
    connection.execute("INSERT OR REPLACE INTO told_through (lane, number) VALUES (?, ?)", (lane, number))


# ---------------------------------------------------------------- writing


def find(connection: sqlite3.Connection, places: Sequence[Place]) -> dict[Place, StandingRow]:
    """The rows at these places that there are."""
    found: dict[Place, StandingRow] = {}
    for start in range(0, len(places), FIND_MAX):
        some = places[start : start + FIND_MAX]
        for row in connection.execute(_find(len(some)), [part for place in some for part in place]):
            found[row[:3]] = StandingRow(*row)
    return found


@cache
def _find(count: int) -> str:
    """A join, because SQLite walks through the whole table for `(kind, key, part) IN (VALUES …)`."""
    return f"""WITH wanted (kind, key, part) AS (VALUES {", ".join(["(?, ?, ?)"] * count)})
        SELECT s.kind, s.key, s.part, s.grp, s.body, s.age FROM wanted w
        CROSS JOIN standing s ON s.kind = w.kind AND s.key = w.key AND s.part = w.part"""


def put(connection: sqlite3.Connection, changed: Sequence[StandingRow], before: Mapping[Place, StandingRow]) -> None:
    """Write rows as they are now; `before`: those of them that there were."""
    age = _age_hours(connection)
    same, other = list[tuple[object, ...]](), list[tuple[object, ...]]()
    added: Counter[str] = Counter()
    for row in changed:
        old = before.get(row[:3])
        added[row.kind] += old is None
        (same if old is not None and (old.group, old.age) == (row.group, age) else other).append(
            (row.kind, row.key, row.part, row.group, age, row.body)
        )
    # What is in no index is changed apart: within an hour most rows are told again with nothing but another body.
    rows.insert(connection, _COLUMNS, 6, same, " ON CONFLICT DO UPDATE SET body = excluded.body")
    rows.insert(
        connection, _COLUMNS, 6, other,
        " ON CONFLICT DO UPDATE SET grp = excluded.grp, age = excluded.age, body = excluded.body",
    )  # fmt: skip
    _count(connection, added)


def append(connection: sqlite3.Connection, lines: Sequence[Line]) -> None:
    """Write lines at the end of the timeline."""
    age = _age_hours(connection)
    rows.insert(connection, _TIMELINE, 9, [(*line, age) for line in lines])


def _age_hours(connection: sqlite3.Connection) -> int:
    return meta.number(connection, "age_seconds") // HOUR_SECONDS


def _count(connection: sqlite3.Connection, added: Mapping[str, int]) -> None:
    connection.executemany(
        """INSERT INTO standing_rows (kind, count) VALUES (?, ?)
           ON CONFLICT (kind) DO UPDATE SET count = count + excluded.count""",
        [(kind, count) for kind, count in added.items() if count],
    )


# ---------------------------------------------------------------- reading


def one(connection: sqlite3.Connection, kind: str, key: str) -> StandingRow | None:
    """What is known of one object that is not counted in parts."""
    query = "SELECT kind, key, part, grp, body, age FROM standing WHERE kind = ? AND key = ? AND part = ''"
    row = connection.execute(query, (kind, key)).fetchone()
    return None if row is None else StandingRow(*row)


def page(
    connection: sqlite3.Connection,
    kind: str,
    *,
    after: tuple[str, str],
    rows_max: int,
    key: str | None = None,
    group: str | None = None,
) -> list[StandingRow]:
    """Rows of a kind behind (key, part), in this order; only those of a group, or the parts of one key, if named."""
    wanted, values = ["kind = ?"], [kind]
    if group is not None:
        wanted.append("grp = ?")
        values.append(group)
    if key is not None:
        wanted.append("key = ? AND part > ?")
        values += [key, after[1]]
    else:
        wanted.append("(key, part) > (?, ?)")
        values += after
    query = (
        f"SELECT kind, key, part, grp, body, age FROM standing WHERE {' AND '.join(wanted)} ORDER BY key, part LIMIT ?"
    )
    return [StandingRow(*row) for row in connection.execute(query, [*values, rows_max])]


def timeline(connection: sqlite3.Connection, subject: str, after: int, rows_max: int) -> list[tuple[int, Line]]:
    """(id, line) of one object behind an id, in the order in which the region learned of them."""
    found = connection.execute(
        """SELECT id, subject, type, source, epoch, intake_seq, output, occurred_us, status FROM timeline
           WHERE subject = ? AND id > ? ORDER BY id LIMIT ?""",
        (subject, after, rows_max),
    )
    return [(row[0], Line(*row[1:])) for row in found]


# ---------------------------------------------------------------- forgetting


def prune(connection: sqlite3.Connection, limits: StandingLimits | None) -> int:
    """Forget one slice of what is too old or too much; without limits, everything. Returns the rows deleted."""
    if limits is None:
        return _forget_all(connection)
    age = _age_hours(connection)
    deleted = _prune_timeline(connection, age - limits.history_hours, limits.timeline_rows_max)
    counts = dict(connection.execute("SELECT kind, count FROM standing_rows"))
    for kind, count in counts.items():
        old = age - (limits.history_hours if kind == "shipment" else limits.record_hours)
        deleted += _prune_kind(connection, kind, old, count - limits.record_rows_max)
    return deleted


def _prune_timeline(connection: sqlite3.Connection, old: int, rows_max: int) -> int:
    """Lines stand in the order of their ages, so the old ones are the first."""
    first, last = connection.execute("SELECT min(id), max(id) FROM timeline").fetchone()
    if first is None:
        return 0
    through = first + SLICE_ROWS_MAX - 1
    newest = connection.execute(
        "SELECT max(id) FROM (SELECT id, age FROM timeline WHERE id <= ? ORDER BY id) WHERE age < ?", (through, old)
    ).fetchone()[0]
    through = min(through, max(newest or 0, last - rows_max))
    if through < first:
        return 0
    return connection.execute("DELETE FROM timeline WHERE id <= ?", (through,)).rowcount


def _prune_kind(connection: sqlite3.Connection, kind: str, old: int, excess: int) -> int:
    """Those that were told longest ago go first."""
    found: Iterable[tuple[str, str, int]] = connection.execute(
        "SELECT key, part, age FROM standing WHERE kind = ? ORDER BY age LIMIT ?", (kind, SLICE_ROWS_MAX)
    ).fetchall()
    gone = [(kind, key, part) for at, (key, part, age) in enumerate(found) if at < excess or age < old]
    connection.executemany("DELETE FROM standing WHERE kind = ? AND key = ? AND part = ?", gone)
    _count(connection, {kind: -len(gone)})
    return len(gone)


def _forget_all(connection: sqlite3.Connection) -> int:
    """The cursors go last: until then nothing is told twice, however often the API comes and goes."""
    deleted = _prune_timeline(connection, 1 << 62, 0)
    counts = connection.execute("SELECT kind, count FROM standing_rows WHERE count > 0").fetchall()
    for kind, count in counts:
        deleted += _prune_kind(connection, kind, 1 << 62, count)
    if not deleted and connection.execute("SELECT EXISTS (SELECT 1 FROM told_through)").fetchone()[0]:
        connection.execute("DELETE FROM told_through")
    return deleted
