"""What is there for a target that it has not looked at: rows of the inbox, or of a lane once the hub has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from msgspec import Struct

from runtime import clock, record
from runtime.downlink import INBOX
from runtime.journal import inbox, lanes, outbox, targets
from runtime.journal.deliveries import NewDelivery
from runtime.journal.store import Connection

ROWS_MAX = 128
"""Rows looked at in one change."""
EXPIRY = "expirytime"
"""CloudEvents extension `expirytime`: an RFC 3339 instant."""


class Row(Struct, frozen=True, kw_only=True):
    """One event that a target may want."""

    id: str
    headers: bytes
    data: bytes
    ready_us: int


class Offer(Struct, frozen=True, kw_only=True):
    """Rows behind `looked` up to `through`. Those between that are no events (stubs, epoch records) are left out."""

    reads: str
    looked: int
    counted: int
    """What the reader has received when this has been noted."""
    through: int
    rows: list[Row]
    missing: int = 0
    """Rows that are not in this journal: another timeline sealed them."""


def offered(connection: Connection, name: str, region: str) -> Offer:
    """The next rows for a target of the region. Raises `Permanent` for an unknown one."""
    target = targets.get(connection, name)
    if target.reads == INBOX:
        return _of_inbox(connection, target, region)
    return _of_lane(connection, target, region)


def _of_inbox(connection: Connection, target: targets.TargetRow, region: str) -> Offer:
    found = inbox.after(connection, target.looked, ROWS_MAX)
    owners = {row.id: row.region for row in inbox.downlinks(connection)}
    rows = [
        Row(
            id=f"{owners[each.downlink]}.{region}.{each.epoch}.{each.seq}",
            headers=each.headers,
            data=each.data,
            ready_us=each.received_us,
        )
        for each in found
        if not each.subject.startswith(record.event_subject(owners[each.downlink], region, "entrepot."))
    ]
    through = found[-1].number if found else target.counted
    missing = through - target.looked - len(found)
    return Offer(
        reads=target.reads, looked=target.looked, counted=target.counted, through=through, rows=rows, missing=missing
    )


def _of_lane(connection: Connection, target: targets.TargetRow, region: str) -> Offer:
    lane = next((row for row in lanes.everyone(connection) if row.name == target.reads), None)
    reached = target.counted if lane is None else max(target.counted, lane.acked)
    if lane is None or reached == target.looked:
        return Offer(reads=target.reads, looked=target.looked, counted=reached, through=reached, rows=[])
    first, now = lane.row_id(0), clock.now_us()
    found = [row for row in outbox.after(connection, lane, target.looked, ROWS_MAX) if row[0] - first <= lane.acked]
    rows = [
        Row(id=f"{region}.{lane.name}.{epoch}.{row_id - first}", headers=headers, data=data, ready_us=now)
        for row_id, kind, epoch, _, _, _, _, _, headers, data in found
        if kind == outbox.RELEASED
    ]
    through = found[-1][0] - first if found else reached
    missing = through - target.looked - len(found)
    return Offer(reads=target.reads, looked=target.looked, counted=reached, through=through, rows=rows, missing=missing)


def holds(connection: Connection, offer: Offer, name: str, region: str) -> bool:
    """Whether it is still so: `adopt` may have taken rows of a lane back meanwhile. More may have come."""
    if offer.reads == INBOX:
        return True
    again = offered(connection, name, region)
    same = again.looked == offer.looked and again.through >= offer.through and again.counted >= offer.counted
    return same and [row.id for row in again.rows[: len(offer.rows)]] == [row.id for row in offer.rows]


def judge(offer: Offer, wants: Callable[[str, Mapping[str, str]], bool], *, expire_us: int | None) -> list[NewDelivery]:
    """Those that the target wants. One that it cannot even judge becomes a letter."""
    found: list[NewDelivery] = []
    for row in offer.rows:
        attributes = record.attributes(record.parse_header_block(row.headers))
        kind, reason = attributes.get("type", ""), ""
        try:
            if not wants(kind, attributes):
                continue
        except Exception as error:  # noqa: BLE001 - an adapter's bug; its words may be personal
            reason = f"the adapter could not say whether it wants this ({type(error).__name__})"
        found.append(
            NewDelivery(
                id=row.id,
                type=kind,
                key=attributes.get("subject"),
                first_us=row.ready_us,
                expires_us=_expires_us(row.ready_us, attributes.get(EXPIRY), expire_us),
                headers=row.headers,
                data=row.data,
                reason=reason,
            )
        )
    return found


def _expires_us(ready_us: int, said: str | None, expire_us: int | None) -> int | None:
    """The earlier of the event's own end and the target's."""
    ends = [] if expire_us is None else [ready_us + expire_us]
    if said is not None:
        with suppress(ValueError, OverflowError):  # no instant: the event says nothing about its end
            moment = datetime.fromisoformat(said)
            if moment.tzinfo is not None:  # else it would end when this machine's zone says so
                ends.append(int(moment.timestamp() * 1_000_000))
    return min(ends, default=None)
