"""A lane in memory that seals like the real one: the model that a hub's stream is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import anyio.lowlevel

from runtime import record
from runtime.envelope import Sealed
from runtime.errors import Refused
from runtime.ports import Fence, HubRecord, LaneHead
from runtime.signal import Signal

REGION = "eu-de"


def seal(chain: bytes, seq: int, *, lane: str = "realtime", epoch: int = 1, data: bytes | None = None) -> Sealed:
    """Row `seq` behind `chain`, small and typical."""
    headers = record.header_block(
        {
            "ce-id": f"{epoch}.{seq}.0",
            "ce-type": "io.entrepot.stock.adjusted",
            "ce-specversion": "1.0",
            record.ORIGIN_HEADER: f"{epoch}.{seq}.0",
            record.EPOCH_HEADER: str(epoch),
            record.SEQ_HEADER: str(seq),
        }
    )
    subject = record.event_subject(REGION, lane, "stock.adjusted")
    body = b'{"quantity":"%d"}' % seq if data is None else data
    digest = record.chain(chain, epoch, seq, subject.encode(), headers, body)
    return Sealed(seq=seq, epoch=epoch, subject=subject, headers=headers, data=body, chain=digest)


def with_origins(*origins: str) -> list[HubRecord]:
    """A lane that is sealed as it should be, whatever its records came from."""
    found: list[HubRecord] = []
    chain = record.GENESIS
    for seq, origin in enumerate(origins, 1):
        row = seal(chain, seq)
        headers = record.parse_header_block(row.headers) | {record.ORIGIN_HEADER: origin}
        chain = record.chain(chain, 1, seq, row.subject.encode(), record.header_block(headers), row.data)
        headers |= {record.CHAIN_HEADER: chain.hex()}
        found.append(HubRecord(seq=seq, subject=row.subject, headers=headers, data=row.data, time=""))
    return found


class StubLane:
    """Implements `runtime.ports.Lane`; everything it was told stays readable."""

    def __init__(self, name: str = "realtime", *, rows: Sequence[Sealed] = (), epoch: int = 1) -> None:
        self.name = name
        self.epoch = epoch
        self.rows = list(rows)
        self.acked = 0
        self.oldest = 1
        self.fenced: Fence | None = None
        self.fences: list[Fence] = []
        self.lifted: list[str] = []
        self.rewinds: list[tuple[int, str]] = []
        self.refuse_after: int | None = None
        self._changed = Signal()

    # ------------------------------------------------------------ for tests

    def add(self, count: int, *, data: bytes | None = None) -> None:
        """Seal `count` more rows."""
        for _ in range(count):
            chain = self.rows[-1].chain if self.rows else record.GENESIS
            self.rows.append(seal(chain, len(self.rows) + 1, lane=self.name, epoch=self.epoch, data=data))
        self._changed.notify()

    def clone(self) -> StubLane:
        """The same journal on another disk."""
        twin = StubLane(self.name, rows=self.rows, epoch=self.epoch)
        twin.acked, twin.oldest = self.acked, self.oldest
        return twin

    def lift(self) -> None:
        """What a person does."""
        self.fenced = None
        self._changed.notify()

    async def reached(self, seq: int) -> None:
        """Return when everything up to `seq` is acknowledged."""
        while self.acked < seq:
            await self._changed.wait()

    async def decided(self, seq: int) -> None:
        """Return when everything up to `seq` is acknowledged, or the lane is fenced."""
        while self.acked < seq and self.fenced is None:
            await self._changed.wait()

    async def fell(self, kind: str) -> Fence:
        """Return when the lane has been fenced with this kind."""
        while self.fenced is None or self.fenced.kind != kind:
            await self._changed.wait()
        return self.fenced

    async def mended(self, kind: str) -> None:
        """Return when a fence of this kind has been lifted."""
        while kind not in self.lifted:
            await self._changed.wait()

    async def rewound(self) -> tuple[int, str]:
        """Return the first rewind."""
        while not self.rewinds:
            await self._changed.wait()
        return self.rewinds[0]

    # ------------------------------------------------------------ the port

    async def head(self) -> LaneHead:
        sealed = len(self.rows)
        return LaneHead(
            epoch=self.epoch,
            sealed=sealed,
            sealed_chain=self._chain(sealed),
            acked=self.acked,
            acked_chain=self._chain(self.acked),
            oldest=self.oldest,
            fence=self.fenced,
        )

    async def take(self, after: int, rows_max: int) -> Sequence[Sealed]:
        await anyio.lowlevel.checkpoint()
        if self.fenced is not None:
            return []
        if self.refuse_after is not None and after >= self.refuse_after:
            raise Refused(f"event {after + 1} may no longer leave", hint="Restore the older policy.")
        assert after + 1 >= self.oldest or after >= len(self.rows), "asked for rows that are not retained"
        return self.rows[after : after + rows_max]

    async def wait(self, after: int) -> None:
        if len(self.rows) <= after or self.fenced is not None:
            await self._changed.wait()

    async def chain_at(self, seq: int) -> bytes | None:
        if seq == self.acked:
            return self._chain(seq)
        return self._chain(seq) if self.oldest <= seq <= len(self.rows) else None

    async def acknowledge(self, through: int) -> None:
        assert through <= len(self.rows), "acknowledged what was never sealed"
        self.acked = max(self.acked, through)
        self._changed.notify()

    async def rewind(self, to: int, reason: str) -> None:
        assert self.oldest - 1 <= to < self.acked, "rewound to where nothing can be sent again"
        self.rewinds.append((to, reason))
        self.acked = to
        self._changed.notify()

    async def fence(self, fence: Fence) -> None:
        self.fences.append(fence)
        self.fenced = self.fenced or fence
        self._changed.notify()

    async def unfence(self, kind: str) -> None:
        if self.fenced is not None and self.fenced.kind == kind:
            self.fenced = None
            self.lifted.append(kind)
            self._changed.notify()

    def _chain(self, seq: int) -> bytes:
        return self.rows[seq - 1].chain if seq else record.GENESIS


class StubCheckpoints:
    """Implements `runtime.ports.Checkpoints`."""

    def __init__(self, bodies: Sequence[bytes] = ()) -> None:
        self.due = dict(enumerate(bodies, 1))
        self.bodies = dict(self.due)
        self.done: list[int] = []
        self._changed = Signal()

    async def pending(self) -> Sequence[tuple[int, bytes]]:
        return sorted(self.due.items())

    async def sent(self, number: int) -> None:
        del self.due[number]
        self.done.append(number)
        self._changed.notify()

    async def resume(self, after: int) -> None:
        self.due |= {number: self.bodies[number] for number in self.done if number > after}
        self.done = [number for number in self.done if number <= after]

    async def wait(self) -> None:
        await self._changed.wait()

    async def all_sent(self) -> None:
        """Return when nothing is due."""
        while self.due:
            await self._changed.wait()


class Diary:
    """Implements `runtime.ports.HubObserver`: writes down what it hears."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self.notes: dict[str, list[str]] = {}
        self._changed = Signal()

    def connected(self, server: str, version: str) -> None:
        self.log("connected", server=server, version=version)

    def disconnected(self, reason: str, hint: str = "") -> None:
        self.log("disconnected", reason=reason)

    def lane(self, name: str, *, hub_last: int, notes: Sequence[str]) -> None:
        self.notes[name] = list(notes)

    def refused(self, lane: str, reason: str) -> None:
        self.log("refused", lane=lane, reason=reason)

    def log(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))
        self._changed.notify()

    async def heard(self, event: str) -> dict[str, object]:
        """Return the fields of the first such event."""
        while True:
            for name, fields in self.events:
                if name == event:
                    return fields
            await self._changed.wait()


def differences(rows: Sequence[Sealed], stored: Sequence[HubRecord]) -> list[str]:
    """Where a hub's stream is not exactly what was sealed: same rows, same order, from 1 on."""
    wrong = [f"{len(stored)} stored, {len(rows)} sealed"] if len(stored) != len(rows) else []
    for row, found in zip(rows, stored, strict=False):
        headers = {n: v for n, v in found.headers.items() if not n.startswith("nats-")}
        expected = record.parse_header_block(row.headers) | {record.CHAIN_HEADER: row.chain.hex()}
        if (found.seq, found.subject, headers, found.data) != (row.seq, row.subject, expected, row.data):
            wrong.append(f"position {row.seq} holds {found}")
    return wrong[:5]
