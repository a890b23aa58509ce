"""What headquarters sent, as the hub holds it: the rows and the position behind them change in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from runtime import record
from runtime.downlink import InboxHead
from runtime.journal import meta, rows
from runtime.ports import Fence, HubRecord

LAST = "inbox_last"
"""In `meta`: the number of the newest row that there ever was."""
_COLUMNS = "number, downlink, epoch, seq, received_us, chain, subject, headers, data"


class InboxRow(Struct, frozen=True, kw_only=True):
    """One record."""

    number: int
    downlink: int
    epoch: int
    seq: int
    received_us: int
    chain: bytes
    subject: str
    headers: bytes
    data: bytes


class DownlinkRow(Struct, frozen=True, kw_only=True):
    """Where the lane of one headquarters has been read to."""

    id: int
    region: str
    epoch: int
    seq: int
    highest: int
    chain: bytes
    fence: Fence | None


def ensure(connection: sqlite3.Connection, region: str) -> DownlinkRow:
    """The downlink from this headquarters, made if need be."""
    connection.execute("INSERT OR IGNORE INTO downlinks (region, chain) VALUES (?, ?)", (region, record.GENESIS))
    return next(row for row in downlinks(connection) if row.region == region)


def downlinks(connection: sqlite3.Connection) -> list[DownlinkRow]:
    """All that there ever were."""
    found = connection.execute("SELECT id, region, epoch, seq, highest, chain, fence FROM downlinks ORDER BY id")
    return [
        DownlinkRow(
            id=number,
            region=region,
            epoch=epoch,
            seq=seq,
            highest=highest,
            chain=chain,
            fence=None if fence is None else msgspec.json.decode(fence, type=Fence),
        )
        for number, region, epoch, seq, highest, chain, fence in found
    ]


def head(connection: sqlite3.Connection, region: str) -> InboxHead:
    """See `runtime.downlink.Inbox`."""
    found = next((row for row in downlinks(connection) if row.region == region), None)
    if found is None:
        return InboxHead(epoch=0, seq=0, chain=record.GENESIS)
    return InboxHead(epoch=found.epoch, seq=found.seq, chain=found.chain, highest=found.highest, fence=found.fence)


def append(connection: sqlite3.Connection, downlink: DownlinkRow, records: Sequence[HubRecord], now_us: int) -> int:
    """Write proven records behind the position, and move it; returns the number of the last row."""
    last = meta.number(connection, LAST)
    new = [_row(last + 1 + index, downlink.id, stored, now_us) for index, stored in enumerate(records)]
    rows.insert(connection, f"inbox ({_COLUMNS})", 9, new)
    _, _, epoch, seq, _, chain, *_ = new[-1]
    connection.execute(
        """UPDATE downlinks SET epoch = ?1, seq = ?2, chain = ?3, highest = iif(epoch = ?1, max(highest, ?2), ?2)
           WHERE id = ?4""",
        (epoch, seq, chain, downlink.id),
    )
    meta.put(connection, **{LAST: last + len(new)})
    return last + len(new)


def _row(
    number: int, downlink: int, stored: HubRecord, now_us: int
) -> tuple[int, int, int, int, int, bytes, str, bytes, bytes]:
    epoch = int(stored.headers[record.EPOCH_HEADER])
    chain = bytes.fromhex(stored.headers[record.CHAIN_HEADER])
    headers = record.chained_headers(stored.headers)
    return (number, downlink, epoch, stored.seq, now_us, chain, stored.subject, headers, stored.data)


def move(connection: sqlite3.Connection, region: str, seq: int) -> None:
    """Read on behind this record, and believe the one that follows."""
    connection.execute("UPDATE downlinks SET seq = ?, chain = x'' WHERE region = ?", (seq, region))


def set_fence(connection: sqlite3.Connection, region: str, fence: Fence) -> None:
    """Take nothing more in. The first reason stays: it is the evidence."""
    text = msgspec.json.encode(fence).decode()
    connection.execute("UPDATE downlinks SET fence = ? WHERE region = ? AND fence IS NULL", (text, region))


def lift_fence(connection: sqlite3.Connection, region: str) -> bool:
    """Take in again; False when nothing was stopped."""
    query = "UPDATE downlinks SET fence = NULL WHERE region = ? AND fence IS NOT NULL"
    return connection.execute(query, (region,)).rowcount > 0


def after(connection: sqlite3.Connection, number: int, rows_max: int) -> list[InboxRow]:
    """Kept rows after a number, in order."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM inbox WHERE number > ? ORDER BY number LIMIT ?", (number, rows_max)
    )
    return [InboxRow(**dict(zip(InboxRow.__struct_fields__, row, strict=True))) for row in found]


def prune(connection: sqlite3.Connection, through: int, rows_max: int) -> int:
    """Delete the oldest rows up to a number; returns how many."""
    return connection.execute(
        "DELETE FROM inbox WHERE number IN (SELECT number FROM inbox WHERE number <= ? ORDER BY number LIMIT ?)",
        (through, rows_max),
    ).rowcount
