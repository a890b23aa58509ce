"""The sealed outbox: rows that stand, or will stand, at their exact position of the hub's stream."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from runtime.envelope import Sealed
from runtime.journal import books, lanes, rows
from runtime.journal.lanes import LaneRow
from runtime.journal.portion import BYTES_MAX, portion

RELEASED, WITHHELD, EPOCH = 0, 1, 2
_COLUMNS = "id, kind, epoch, event, policy, disposition, chain, subject, headers, data"
OutboxTuple = tuple[int, int, int, int, int, int, bytes, str, bytes, bytes]
"""(id, kind, epoch, event number, policy id, disposition id, chain, subject, headers, data)"""


def append(connection: sqlite3.Connection, new: Sequence[OutboxTuple]) -> None:
    """Write sealed rows. They are never changed afterwards."""
    rows.insert(connection, f"outbox ({_COLUMNS})", 10, new)


def after(
    connection: sqlite3.Connection, lane: LaneRow, seq: int, rows_max: int, bytes_max: int = BYTES_MAX
) -> list[OutboxTuple]:
    """Retained rows after a sequence, in order; see `portion` for `bytes_max`."""
    query = f"SELECT {_COLUMNS} FROM outbox WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
    found = connection.execute(query, (lane.row_id(seq), lane.row_id(lane.sealed), rows_max))
    return portion(found, bytes_max, lambda row: len(row[-1]) + len(row[-2]))


def sealed(lane: LaneRow, row: OutboxTuple) -> Sealed:
    """A stored row as the uplink takes it."""
    row_id, _, epoch, _, _, _, chain, subject, headers, data = row
    return Sealed(seq=row_id - lane.row_id(0), epoch=epoch, subject=subject, headers=headers, data=data, chain=chain)


def chain_at(connection: sqlite3.Connection, lane: LaneRow, seq: int) -> bytes | None:
    """The chain hash at a sequence, if the journal still knows it: retained rows, and the one before them."""
    if seq == lane.acked:
        return lane.acked_chain
    if seq == lane.sealed:
        return lane.sealed_chain
    if seq == lane.oldest - 1:
        return lanes.chain_before_oldest(connection, lane)
    row = connection.execute("SELECT chain FROM outbox WHERE id = ?", (lane.row_id(seq),)).fetchone()
    return None if row is None else row[0]


def _count(connection: sqlite3.Connection, lane: LaneRow, after: int, through: int) -> tuple[int, int]:
    query = "SELECT coalesce(sum(kind = 0), 0), coalesce(sum(kind = 1), 0) FROM outbox WHERE id > ? AND id <= ?"
    released, withheld = connection.execute(query, (lane.row_id(after), lane.row_id(through))).fetchone()
    return released, withheld


def acknowledge(connection: sqlite3.Connection, lane_id: int, through: int) -> bool:
    """Move the acknowledged position forward and settle the books; False when it was there already."""
    lane = lanes.get(connection, lane_id)
    if through <= lane.acked:
        return False
    chain = chain_at(connection, lane, through)
    assert chain is not None, "the hub acknowledged a row that this journal never sealed"
    released, withheld = _count(connection, lane, lane.acked, through)
    lanes.update(connection, lane_id, acked=through, acked_chain=chain)
    books.move(connection, delivered=released, withheld=withheld, pending=-released - withheld)
    return True


def rewind(connection: sqlite3.Connection, lane_id: int, to: int) -> int:
    """Take back acknowledgements after `to` (the hub lost them); returns how many rows are pending again."""
    lane = lanes.get(connection, lane_id)
    chain = chain_at(connection, lane, to)
    assert chain is not None, "cannot rewind below the retained rows"
    released, withheld = _count(connection, lane, to, lane.acked)
    lanes.update(connection, lane_id, acked=to, acked_chain=chain)
    lanes.forget_acks(connection, lane_id, to)
    books.move(connection, delivered=-released, withheld=-withheld, pending=released + withheld)
    return lane.acked - to
