"""`adopt`: a person has decided that this journal goes on where the hub's stream stands (3-uplink, 4).

What the hub has is marked as delivered, what it lacks is sealed anew, and a signed epoch record says that it happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256

import msgspec
from msgspec import Struct

from runtime import clock, record
from runtime.envelope import Checkpoint, EpochRecord, Signed
from runtime.errors import Permanent, Refused
from runtime.identity import Identity
from runtime.journal import books, lanes, meta, outbox, targets
from runtime.journal.journal import Journal
from runtime.journal.lanes import LaneRow
from runtime.journal.store import Connection
from runtime.pipeline.lane import note_incident
from runtime.ports import HubLink, HubRecord

FORMAT = 1


class Found(Struct, frozen=True):
    """An event that stands at the hub: its origin, and the proof that it is ours and not another timeline's."""

    epoch: int
    intake_seq: int
    output: int
    kind: int
    proof: str


class Position(Struct, frozen=True):
    """Where the hub's stream of one lane stands, and from where on it differs from the journal."""

    lane: str
    common: int
    last: int
    chain: bytes
    epoch: int
    """Epoch of the hub's last record; 0 for an empty stream."""
    found: Sequence[Found]


class Anchor(Struct, frozen=True):
    """The newest checkpoint at the hub."""

    number: int
    body: bytes
    digest: str


class Adopted(Struct, frozen=True, kw_only=True):
    """Report for one lane."""

    lane: str
    epoch: int
    hub_last: int
    common: int
    found_at_hub: int
    sealed_anew: int


async def read_position(link: HubLink, journal: Journal, lane: LaneRow) -> Position:
    """Compare one lane with the hub's leader. Raises `Retryable` when the hub is away, `Permanent` without stream."""
    last = await link.last(lane.name)
    if last is None:
        return Position(lane.name, 0, 0, record.GENESIS, 0, [])
    common = await _common(link, journal, lane, last.seq)
    found = [f async for r in link.read(lane.name, common + 1, last.seq) if (f := found_in(r)) is not None]
    chain = last.headers.get(record.CHAIN_HEADER, "")
    if len(chain) != 2 * len(record.GENESIS):
        raise Refused(
            f"the last message of {record.stream_name(journal.region, lane.name)} was not written by a region",
            hint="something else publishes on this region's subjects: stop it and ask the central team",
        )
    epoch = last.headers.get(record.EPOCH_HEADER, "")
    return Position(lane.name, common, last.seq, bytes.fromhex(chain), int(epoch) if epoch.isdecimal() else 0, found)


async def read_checkpoint(link: HubLink) -> Anchor | None:
    """The hub's newest checkpoint, from which this journal's account goes on. None when there is none."""
    try:
        last = await link.last(record.CHECKPOINTS_LANE)
        if last is None:
            return None
        signed = msgspec.json.decode(last.data, type=Signed)
        statement = msgspec.json.decode(signed.statement, type=Checkpoint)
    except (Permanent, msgspec.MsgspecError):
        return None
    return Anchor(statement.number, last.data, sha256(signed.statement.encode()).hexdigest())


async def _common(link: HubLink, journal: Journal, lane: LaneRow, last: int) -> int:
    """The last sequence at which both chains are equal: equal at n means equal before n, so halve the distance."""
    low, high = min(lane.oldest - 1, last), min(lane.sealed, last)
    while low < high:
        middle = (low + high + 1) // 2
        ours = await journal.read(partial(outbox.chain_at, lane=lane, seq=middle))
        theirs = [r async for r in link.read(lane.name, middle, middle)]
        same = ours is not None and bool(theirs) and theirs[0].headers.get(record.CHAIN_HEADER) == ours.hex()
        low, high = (middle, high) if same else (low, middle - 1)
    return low


def found_in(stored: HubRecord) -> Found | None:
    """What a stored message says about an event of ours; None for epoch records and foreign messages."""
    parts = stored.headers.get(record.ORIGIN_HEADER, "").split(".")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() for p in parts) or parts[1] == "0":
        return None
    epoch, seq, output = (int(p) for p in parts)
    if stored.subject.endswith("." + record.WITHHELD):
        try:
            proof = str(msgspec.json.decode(stored.data, type=dict[str, str])["commitment"])
        except (msgspec.MsgspecError, KeyError):
            return None
        return Found(epoch, seq, output, outbox.WITHHELD, proof)
    return Found(epoch, seq, output, outbox.RELEASED, stored.headers.get("ce-correlationid", ""))


class Adoption:
    """One change that moves every lane to a new epoch. Runs once per decision of a person."""

    def __init__(self, journal: Journal, identity: Identity, reason: str) -> None:
        self._identity = identity
        self._region = journal.region
        self._reason = reason

    def apply(
        self, connection: Connection, positions: Sequence[Position], anchor: Anchor | None = None
    ) -> list[Adopted]:
        """Take the hub's positions, return what it lacks to the backlog, seal the epoch records, lift the fences."""
        before = meta.number(connection, "epoch", 1)
        # A lost timeline may have gone through epochs that this journal does not know.
        epoch = max(before, *(position.epoch for position in positions)) + 1
        now = clock.now_us()
        known = {position.lane: position for position in positions}
        report: list[Adopted] = []
        for lane in lanes.everyone(connection):
            position = known.get(lane.name)
            anew = self._take_over(connection, lane, position) if position else 0
            lanes.lift_fence(connection, lane.id)
            after = lanes.get(connection, lane.id)
            self._seal_epoch(connection, after, position.epoch if position else before, epoch, now)
            note_incident(connection, now, "adopted", lane.name, f"epoch {epoch} from record {after.sealed + 1} on")
            report.append(
                Adopted(
                    lane=lane.name,
                    epoch=epoch,
                    hub_last=after.sealed,
                    common=position.common if position else after.sealed,
                    found_at_hub=len(position.found) if position else 0,
                    sealed_anew=anew,
                )
            )
        meta.put(connection, epoch=epoch)
        if anchor is not None:
            # Statements that another timeline has overtaken would be refused for ever: go on after the newest.
            connection.execute("DELETE FROM checkpoints")
            connection.execute(
                "INSERT INTO checkpoints (number, body, digest, sent) VALUES (?, ?, ?, 1)",
                (anchor.number, anchor.body, anchor.digest),
            )
        return report

    def _take_over(self, connection: Connection, lane: LaneRow, position: Position) -> int:
        """Returns the number of sealed rows that go back to the backlog."""
        connection.executemany(
            "INSERT OR REPLACE INTO elsewhere (intake_seq, output, epoch, kind, proof) VALUES (?, ?, ?, ?, ?)",
            [(f.intake_seq, f.output, f.epoch, f.kind, f.proof) for f in position.found],
        )
        if outbox.acknowledge(connection, lane.id, position.common):
            lane = lanes.get(connection, lane.id)
        span = (lane.row_id(position.common), lane.row_id(lane.sealed))
        count, first_event, released, withheld = connection.execute(
            """SELECT count(*), min(nullif(event, 0)),
                      coalesce(sum(kind = 0 AND id <= ?3), 0), coalesce(sum(kind = 1 AND id <= ?3), 0)
               FROM outbox WHERE id > ?1 AND id <= ?2""",
            (*span, lane.row_id(lane.acked)),
        ).fetchone()
        if first_event is not None:
            found_released, found_withheld = _found_before(connection, lane, first_event, span)
            released, withheld = released + found_released, withheld + found_withheld
        connection.execute("DELETE FROM outbox WHERE id > ? AND id <= ?", span)
        books.move(connection, delivered=-released, withheld=-withheld, pending=released + withheld)
        lanes.forget_acks(connection, lane.id, position.common)
        lanes.update(
            connection,
            lane.id,
            sealed_event=lane.sealed_event if first_event is None else first_event - 1,
            sealed=position.last,
            sealed_chain=position.chain,
            acked=position.last,
            acked_chain=position.chain,
        )
        targets.fall_back(connection, lane.name, position.common)
        if position.common < max(position.last, lane.oldest - 1):
            lanes.retain_from(connection, lane, position.last + 1, position.chain)
        return int(count)

    def _seal_epoch(self, connection: Connection, lane: LaneRow, before: int, epoch: int, now_us: int) -> None:
        seq, origin = lane.sealed + 1, f"{epoch}.0.0"
        statement = EpochRecord(
            format=FORMAT,
            region=self._region,
            lane=lane.name,
            epoch=epoch,
            previous_epoch=before,
            seq=seq,
            issued_at=clock.rfc3339(now_us),
            reason=self._reason,
        )
        data = self._identity.sign("epoch", msgspec.json.encode(statement).decode())
        subject = record.event_subject(self._region, lane.name, record.EPOCH_RECORD)
        headers = record.header_block(
            {
                "ce-datacontenttype": "application/json",
                "ce-id": origin,
                "ce-source": f"/entrepot/{self._region}",
                "ce-specversion": "1.0",
                "ce-type": f"{record.TYPE_PREFIX}{record.EPOCH_RECORD}.v1",
                record.EPOCH_HEADER: str(epoch),
                record.ORIGIN_HEADER: origin,
                record.SEQ_HEADER: str(seq),
            }
        )
        chain = record.chain(lane.sealed_chain, epoch, seq, subject.encode(), headers, data)
        outbox.append(connection, [(lane.row_id(seq), outbox.EPOCH, epoch, 0, 0, 0, chain, subject, headers, data)])
        lanes.update(connection, lane.id, sealed=seq, sealed_chain=chain)


def _found_before(connection: Connection, lane: LaneRow, first_event: int, span: tuple[int, int]) -> tuple[int, int]:
    """Of the events that go back: those settled without a row, because an earlier `adopt` had found them at the hub.

    They will be compared and settled once more. (released, withheld).
    """
    released, withheld = connection.execute(
        """SELECT coalesce(sum(f.kind = 0), 0), coalesce(sum(f.kind = 1), 0)
           FROM events e JOIN elsewhere f USING (intake_seq, output, epoch)
           WHERE e.id BETWEEN ? AND ? AND e.id - ? NOT IN (SELECT event FROM outbox WHERE id > ? AND id <= ?)""",
        (lane.row_id(first_event), lane.row_id(lane.sealed_event), lane.row_id(0), *span),
    ).fetchone()
    return released, withheld
