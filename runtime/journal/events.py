"""The canonical backlog: events wait here, readable and uncleared, until their lane seals them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct

from runtime.journal import rows
from runtime.journal.lanes import LaneRow
from runtime.journal.portion import BYTES_MAX, portion

_COLUMNS = "id, intake_seq, output, epoch, late, type, source, partition_key, correlation, traceparent, body"
EventTuple = tuple[int, int, int, int, int, int, int, str, bytes, str | None, bytes]
"""(id, intake_seq, output, epoch, late, type id, source id, partition key, correlation, traceparent, body)"""


class NewEvent(Struct, frozen=True):
    """An event on its way into the backlog; `body` is the canonical struct as compact JSON."""

    lane: int
    intake_seq: int
    output: int
    epoch: int
    late: bool
    type: int
    source: int
    partition_key: str
    correlation: bytes
    traceparent: str | None
    body: bytes


def append(connection: sqlite3.Connection, events: Sequence[NewEvent]) -> None:
    """Give each event the next number of its lane and write it."""
    if not events:
        return
    numbers: dict[int, int] = {}
    new: list[tuple[object, ...]] = []
    for event in events:
        lane = event.lane
        number = numbers.get(lane)
        if number is None:
            number = connection.execute("SELECT queued FROM lanes WHERE id = ?", (lane,)).fetchone()[0]
        numbers[lane] = number = number + 1
        new.append(
            (
                lane << 40 | number,
                event.intake_seq,
                event.output,
                event.epoch,
                event.late,
                event.type,
                event.source,
                event.partition_key,
                event.correlation,
                event.traceparent,
                event.body,
            )
        )
    rows.insert(connection, f"events ({_COLUMNS})", 11, new)
    connection.executemany("UPDATE lanes SET queued = ? WHERE id = ?", [(n, lane) for lane, n in numbers.items()])


def after(
    connection: sqlite3.Connection, lane: LaneRow, number: int, rows_max: int, bytes_max: int = BYTES_MAX
) -> list[EventTuple]:
    """Events of a lane after its n-th, in order; see `portion` for `bytes_max`."""
    query = f"SELECT {_COLUMNS} FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
    first, last = lane.row_id(number), lane.row_id(lane.queued)
    return portion(connection.execute(query, (first, last, rows_max)), bytes_max, lambda row: len(row[-1]))


def numbered(connection: sqlite3.Connection, lane: LaneRow, number: int) -> EventTuple | None:
    """The n-th event of a lane, or None when it is no longer retained."""
    row: EventTuple | None = connection.execute(
        f"SELECT {_COLUMNS} FROM events WHERE id = ?", (lane.row_id(number),)
    ).fetchone()
    return row


def of_fact(connection: sqlite3.Connection, intake_seq: int) -> dict[int, tuple[int, int, str, bytes]]:
    """What a fact has already become: output → (lane, type id, partition key, body)."""
    found = connection.execute(
        "SELECT output, id >> 40, type, partition_key, body FROM events WHERE intake_seq = ?", (intake_seq,)
    )
    return {output: (lane, type_id, key, body) for output, lane, type_id, key, body in found}
