"""Saves the sealed records of one lane: the proven ones up to the first that is lost, and every proven origin.

What the hub has acknowledged of the rest need not be kept: `adopt` reads it there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from runtime import record
from runtime.envelope import Checkpoint
from runtime.journal import lanes, outbox
from runtime.journal.lanes import SHIFT, LaneRow
from runtime.journal.store import Connection
from runtime.journal.wreck import Wreck
from runtime.pipeline.adopt import found_in
from runtime.ports import HubRecord
from runtime.salvage import proofs
from runtime.salvage.proofs import Row
from runtime.salvage.report import LaneReport, Ranges

_SEALED = "epoch, chain, subject, headers, data, policy, disposition"
SEQ_MAX = 2**SHIFT - 1


class Claim(NamedTuple):
    """What the damaged journal says of a lane; nothing of it is proven yet."""

    id: int
    name: str
    row: LaneRow | None
    before: bytes | None
    """The chain that its first retained record continues."""


class SavedLane:
    """One lane of the damaged journal and its place in the new one."""

    def __init__(self, wreck: Wreck, claim: Claim, signed: Checkpoint | None) -> None:
        self._wreck = wreck
        self._claim = claim
        self._signed = signed
        self.epoch = 1
        self.origins: set[int] = set()
        """Intake sequences of proven records that the hub has acknowledged."""

    def save(self, connection: Connection, new: LaneRow, dispositions: dict[int, int]) -> LaneReport:
        """Copy what proves right and say what does not. `dispositions`: proven number → policy."""
        claim = self._claim
        first = claim.row.oldest if claim.row and 1 <= claim.row.oldest <= SEQ_MAX else 1
        base = claim.id << SHIFT
        claimed = base + claim.row.sealed if claim.row and 0 <= claim.row.sealed <= SEQ_MAX else None
        highest, end_known = self._wreck.last_key("outbox", "id", base, base + SEQ_MAX, claimed)
        last = highest - base
        chains = {row[0]: row[2] for row in self._proven(first, last)}
        if not chains and first > 1 and not self._agreed_end(first):
            first, chains = 1, {row[0]: row[2] for row in self._proven(1, last)}
        kept = proofs.ranges(chains)
        acked = self._acked(chains, first)
        through = min(acked, _end_of_prefix(kept, first))
        self._copy(connection, new, first, through, acked, dispositions)
        self._stand(connection, new, first, through, chains)
        return LaneReport(
            first=first,
            last=last,
            end_known=end_known,
            acked=acked,
            saved=kept,
            lost=proofs.gaps(kept, first, last),
            reads_hub_from=through + 1,
        )

    def _rows(self, first: int, last: int) -> Iterator[Row]:
        base = self._claim.id << SHIFT
        for block in self._wreck.blocks("outbox", "id", _SEALED, base + first, base + last):
            for row in block.rows:
                yield (row[0] - base, *row[1:])

    def _proven(self, first: int, last: int) -> Iterator[Row]:
        before = record.GENESIS if first == 1 else self._claim.before
        return proofs.sealed(self._rows(first, last), first - 1, before)

    def _agreed_end(self, first: int) -> bool:
        """No record is retained, and the two notes of where the lane ended agree."""
        row = self._claim.row
        return row is not None and row.acked == row.sealed == first - 1 and row.acked_chain == self._claim.before

    def _acked(self, chains: dict[int, bytes], first: int) -> int:
        """The last sequence that the hub is proven to have acknowledged: a chain that agrees, or a signature."""
        row = self._claim.row
        known = 0
        if row is not None and (chains.get(row.acked) == row.acked_chain or self._agreed_end(first)):
            known = row.acked
        said = self._signed.lanes.get(self._claim.name) if self._signed else None
        if said is not None and (said.acked not in chains or chains[said.acked].hex() == said.chain):
            known = max(known, said.acked)
        return known

    def _copy(
        self, connection: Connection, new: LaneRow, first: int, through: int, acked: int, dispositions: dict[int, int]
    ) -> None:
        rows = []
        for row in self._proven(first, acked):
            self.epoch = max(self.epoch, row[1])
            self._remember(connection, row)
            if row[0] <= through:
                rows.append(_as_outbox(new, row, dispositions))
            if len(rows) == 500:
                outbox.append(connection, rows)
                rows = []
        outbox.append(connection, rows)

    def _remember(self, connection: Connection, row: Row) -> None:
        """The hub has this origin, whether or not it still keeps the message."""
        seq, _, _, subject, headers, data = row[:6]
        try:
            stored = HubRecord(seq=seq, subject=subject, headers=record.parse_header_block(headers), data=data, time="")
        except ValueError:
            return
        found = found_in(stored)
        if found is not None:
            self.origins.add(found.intake_seq)
            connection.execute(
                "INSERT OR REPLACE INTO elsewhere (intake_seq, output, epoch, kind, proof) VALUES (?, ?, ?, ?, ?)",
                (found.intake_seq, found.output, found.epoch, found.kind, found.proof),
            )

    def _stand(self, connection: Connection, new: LaneRow, first: int, through: int, chains: dict[int, bytes]) -> None:
        """Everything kept counts as acknowledged; what comes after is read at the hub or sealed anew."""
        row = self._claim.row
        if through >= first:
            chain = chains[through]
        elif row is not None and self._agreed_end(first):
            through, chain = row.acked, row.acked_chain
        else:
            first, through, chain = 1, 0, record.GENESIS
        lanes.update(connection, new.id, sealed=through, sealed_chain=chain, acked=through, acked_chain=chain)
        if first > 1:
            before = chain if through < first else self._claim.before
            assert before is not None, "its first record was proven by this chain"
            lanes.retain_from(connection, new, first, before)


def _end_of_prefix(kept: Ranges, first: int) -> int:
    return kept[0][1] if kept and kept[0][0] == first else first - 1


def _as_outbox(new: LaneRow, row: Row, dispositions: dict[int, int]) -> outbox.OutboxTuple:
    """Its event is translated anew under another number, so it names none; its policy only if two rows agree on it."""
    seq, epoch, chain, subject, headers, data, policy, disposition = row
    kind = outbox.RELEASED
    if subject.endswith("." + record.WITHHELD):
        kind = outbox.WITHHELD
    elif subject.endswith("." + record.EPOCH_RECORD):
        kind = outbox.EPOCH
    agreed = dispositions.get(disposition) == policy
    return (new.row_id(seq), kind, epoch, 0, policy if agreed else 0, disposition if agreed else 0) + (
        chain, subject, headers, data,
    )  # fmt: skip


def claims(wreck: Wreck, known: list[str]) -> list[Claim]:
    """The lanes that the journal names; where its list cannot be read, the configured ones in their order."""
    columns = ", ".join(LaneRow.__struct_fields__)
    rows: dict[str, LaneRow] = {}
    for row in wreck.everything("lanes", f"SELECT {columns} FROM lanes ORDER BY id {{direction}}"):
        try:
            lane = msgspec.convert(dict(zip(LaneRow.__struct_fields__, row, strict=True)), LaneRow)
        except msgspec.ValidationError:
            continue
        if record.NAME.fullmatch(lane.name) and 0 < lane.id < 2 ** (62 - SHIFT):
            rows.setdefault(lane.name, lane)
    for at, name in enumerate(known, 1):
        taken = {lane.id for lane in rows.values()}
        if name not in rows and at not in taken:
            rows[name] = LaneRow(at, name, 0, 0, -1, b"", 0, b"", 1)
    return [
        Claim(lane.id, name, lane if lane.sealed >= 0 else None, _before(wreck, lane.id)) for name, lane in rows.items()
    ]


def _before(wreck: Wreck, lane_id: int) -> bytes | None:
    row = wreck.one("meta", "SELECT value FROM meta WHERE name = ?", f"chain_before_{lane_id}")
    try:
        return bytes.fromhex(row[0]) if row and isinstance(row[0], str) else None
    except ValueError:
        return None
