"""Where each lane stands: what is queued, sealed, acknowledged, retained, and whether a person must decide."""

from __future__ import annotations

import sqlite3

import msgspec
from msgspec import Struct

from runtime.journal import meta
from runtime.ports import Fence, LaneHead
from runtime.record import GENESIS

SHIFT = 40
"""Rows of a lane have the ids `lane << 40 | number`: one clustered range a lane."""


class LaneRow(Struct, frozen=True):
    """One row of `lanes`; numbers are per lane."""

    id: int
    name: str
    queued: int
    sealed_event: int
    sealed: int
    sealed_chain: bytes
    acked: int
    acked_chain: bytes
    oldest: int

    @property
    def empty(self) -> bool:
        """Whether the hub has everything."""
        return self.queued == self.sealed_event and self.sealed == self.acked

    def row_id(self, number: int) -> int:
        """Id of the n-th event, or of the outbox row at sequence n."""
        return self.id << SHIFT | number


_COLUMNS = ", ".join(LaneRow.__struct_fields__)


def ensure(connection: sqlite3.Connection, names: list[str]) -> dict[str, LaneRow]:
    """Create the lanes that are new and return all, by name."""
    connection.executemany(
        "INSERT OR IGNORE INTO lanes (name, sealed_chain, acked_chain) VALUES (?, ?, ?)",
        [(name, GENESIS, GENESIS) for name in names],
    )
    return {row.name: row for row in everyone(connection)}


def everyone(connection: sqlite3.Connection) -> list[LaneRow]:
    """All lanes that ever had a row, configured today or not."""
    return [LaneRow(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM lanes ORDER BY id")]


def get(connection: sqlite3.Connection, lane_id: int) -> LaneRow:
    """One lane as of now."""
    return LaneRow(*connection.execute(f"SELECT {_COLUMNS} FROM lanes WHERE id = ?", (lane_id,)).fetchone())


def update(connection: sqlite3.Connection, lane_id: int, **values: int | bytes) -> None:
    """Set columns of a lane."""
    sets = ", ".join(f"{name} = :{name}" for name in values)
    connection.execute(f"UPDATE lanes SET {sets} WHERE id = :lane_id", {**values, "lane_id": lane_id})


def retain_from(connection: sqlite3.Connection, lane: LaneRow, oldest: int, before: bytes) -> None:
    """Only rows from `oldest` on are needed to refill the hub; `before` is the chain that they continue."""
    update(connection, lane.id, oldest=oldest)
    meta.put(connection, **{f"chain_before_{lane.id}": before.hex()})


def forget_acks(connection: sqlite3.Connection, lane_id: int, after: int) -> None:
    """The hub lost what it had after a sequence: what goes there is as young as its next acknowledgement."""
    connection.execute(
        "UPDATE marks SET acked = json_set(acked, ?1, ?2) WHERE json_extract(acked, ?1) > ?2", (f'$."{lane_id}"', after)
    )


def chain_before_oldest(connection: sqlite3.Connection, lane: LaneRow) -> bytes | None:
    """The chain that the first retained row continues."""
    if lane.oldest == 1:
        return GENESIS
    known = meta.get(connection, f"chain_before_{lane.id}")
    return bytes.fromhex(known) if isinstance(known, str) else None


def head(connection: sqlite3.Connection, lane_id: int, epoch: int) -> LaneHead:
    """The lane as the uplink sees it."""
    row = get(connection, lane_id)
    return LaneHead(
        epoch=epoch,
        sealed=row.sealed,
        sealed_chain=row.sealed_chain,
        acked=row.acked,
        acked_chain=row.acked_chain,
        oldest=row.oldest,
        fence=fence(connection, lane_id),
    )


def waiting_since_us(connection: sqlite3.Connection, row: LaneRow) -> int | None:
    """When the oldest event that the hub does not have yet was received; None when nothing waits."""
    number = row.sealed_event + 1
    if row.sealed > row.acked:
        sealed = connection.execute("SELECT event FROM outbox WHERE id = ?", (row.row_id(row.acked + 1),)).fetchone()
        number = sealed[0] if sealed and sealed[0] else number
    found = connection.execute(
        "SELECT i.received_us FROM events e JOIN intake i ON i.seq = e.intake_seq WHERE e.id = ?",
        (row.row_id(number),),
    ).fetchone()
    return None if found is None else found[0]


def fence(connection: sqlite3.Connection, lane_id: int) -> Fence | None:
    """Why this lane has stopped sending, or None."""
    row = connection.execute(
        "SELECT kind, reason, action, evidence, since_us FROM fences WHERE lane = ?", (lane_id,)
    ).fetchone()
    if row is None:
        return None
    kind, reason, action, evidence, since_us = row
    found = msgspec.json.decode(evidence, type=dict[str, str])
    return Fence(kind=kind, reason=reason, action=action, evidence=found, since_us=since_us)


def set_fence(connection: sqlite3.Connection, lane_id: int, fence: Fence, now_us: int) -> None:
    """Stop a lane. The first reason stays: it is the evidence."""
    evidence = msgspec.json.encode(fence.evidence).decode()
    connection.execute(
        "INSERT OR IGNORE INTO fences (lane, kind, reason, action, evidence, since_us) VALUES (?, ?, ?, ?, ?, ?)",
        (lane_id, fence.kind, fence.reason, fence.action, evidence, now_us),
    )


def lift_fence(connection: sqlite3.Connection, lane_id: int, kind: str | None = None) -> bool:
    """Let a lane send again; with `kind`, only if that is what stopped it."""
    condition = "" if kind is None else " AND kind = :kind"
    cursor = connection.execute(f"DELETE FROM fences WHERE lane = :lane{condition}", {"lane": lane_id, "kind": kind})
    return cursor.rowcount > 0
