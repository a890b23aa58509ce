"""The kernel's side of one lane: clears and seals on demand, remembers what the hub has, fences.

Implements `runtime.ports.Lane`. Every method is one change of the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from runtime import clock
from runtime.clearance import Disposition
from runtime.envelope import Sealed
from runtime.errors import Refused
from runtime.journal import books, events, lanes, meta, outbox
from runtime.journal.journal import Journal
from runtime.journal.lanes import LaneRow
from runtime.journal.outbox import OutboxTuple
from runtime.journal.portion import BYTES_MAX
from runtime.journal.store import Connection
from runtime.pipeline.seal import Sealer
from runtime.ports import Fence, LaneHead
from runtime.signal import Signal

SEAL_AHEAD_ROWS_MAX = 2_048
"""Rows sealed beyond the acknowledged position: a tightened policy must find the backlog unsealed (3-uplink, 2)."""
SEAL_ROWS_MAX = 256
"""Rows sealed by one change: about 4 ms on the journal's connection."""
TAKE_BYTES_MAX = BYTES_MAX
"""Payload of one `take`, and of the one that is prepared meanwhile; a single larger row still goes, alone."""

Taken = tuple[LaneRow, list[Sealed], set[int]]
"""The lane afterwards, the rows, and the dispositions they refer to."""


class PolicyInForce:
    """The sealer and the number of its policy in the journal; replaced as a whole when the policy changes."""

    def __init__(self, sealer: Sealer) -> None:
        self.sealer = sealer
        self.policy_id = int(sealer.clearance.digest[:15], 16)
        self.known: set[int] = set()
        """Dispositions whose row is committed."""


class LaneStep:
    """One lane. Its mirror of the positions serves `wait`; the journal decides everything else."""

    def __init__(self, journal: Journal, row: LaneRow, in_force: Callable[[], PolicyInForce], alert: LaneAlert) -> None:
        self.name = row.name
        self._id = row.id
        self._journal = journal
        self._in_force = in_force
        self._alert = alert
        self._signal = Signal()
        self.row = row
        self.fenced: Fence | None = None
        self.skips_elsewhere = True
        self.on_acknowledged: Callable[[], None] = lambda: None
        """Called when the hub has more of this lane."""
        self._ahead: tuple[int, PolicyInForce, asyncio.Future[Taken]] | None = None
        """Rows being sealed after this sequence, before anybody has asked for them."""

    async def head(self) -> LaneHead:
        """See `runtime.ports.Lane`."""
        epoch = self._journal.epoch
        found = await self._journal.read(lambda connection: lanes.head(connection, self._id, epoch))
        self.fenced = found.fence
        return found

    async def take(self, after: int, rows_max: int) -> Sequence[Sealed]:
        """See `runtime.ports.Lane`. While a backlog lasts, the next rows are sealed as these are sent."""
        ahead, self._ahead = self._ahead, None
        policy = self._in_force()
        if ahead is not None and ahead[:2] == (after, policy) and self.fenced is None:
            waiting = ahead[2]
        else:
            waiting = self._submit(policy, after, rows_max)
        _, rows, used = await waiting
        policy.known |= used
        if len(rows) == SEAL_ROWS_MAX:
            following = rows[-1].seq
            self._ahead = (following, policy, self._submit(policy, following, SEAL_ROWS_MAX))
        return rows[:rows_max]

    def _submit(self, policy: PolicyInForce, after: int, rows_max: int) -> asyncio.Future[Taken]:
        change = partial(self._take, policy=policy, after=after, rows_max=min(rows_max, SEAL_ROWS_MAX))
        future = self._journal.writer.submit(change)
        future.add_done_callback(self._look_at)  # rows that nobody comes for stay sealed and are read again later
        return future

    def _look_at(self, future: asyncio.Future[Taken]) -> None:
        """In the order of commits: what translation has added since must not be forgotten for older positions."""
        if not future.cancelled() and future.exception() is None:
            self.row = future.result()[0]

    def _take(self, connection: Connection, policy: PolicyInForce, after: int, rows_max: int) -> Taken:
        lane = lanes.get(connection, self._id)
        if lanes.fence(connection, self._id) is not None:
            return lane, [], set()
        if after < lane.sealed:
            rows = outbox.after(connection, lane, after, rows_max, TAKE_BYTES_MAX)
            self._clear_again(connection, policy, lane, rows)
            return lane, [outbox.sealed(lane, row) for row in rows], set()
        room = SEAL_AHEAD_ROWS_MAX - (lane.sealed - lane.acked)
        if room <= 0 or lane.queued == lane.sealed_event:
            return lane, [], set()
        return self._seal(connection, policy, lane, min(rows_max, room))

    def _seal(self, connection: Connection, policy: PolicyInForce, lane: LaneRow, rows_max: int) -> Taken:
        """Clear and seal the next events in one transaction with their dispositions."""
        # From the file: between the commit of an `adopt` and the moment this process knows it, a take may run.
        seal, epoch = policy.sealer.seal, meta.number(connection, "epoch", 1)
        chain, seq = lane.sealed_chain, lane.sealed
        first = lane.row_id(0)
        backlog = events.after(connection, lane, lane.sealed_event, rows_max, TAKE_BYTES_MAX)
        number = backlog[-1][0] - first
        if self.skips_elsewhere:
            backlog = self._without_elsewhere(connection, policy.sealer, epoch, backlog)
        rows: list[OutboxTuple] = []
        answer: list[Sealed] = []
        used: set[int] = set()
        for event in backlog:
            seq += 1
            done = seal(self.name, chain, epoch, seq, event)
            chain = done.chain
            disposition = done.disposition
            if disposition.id not in used:
                used.add(disposition.id)
                self._keep_disposition(connection, policy, disposition)
            rows.append(
                (first + seq, done.kind, epoch, event[0] - first, policy.policy_id, disposition.id)
                + (chain, done.subject, done.headers, done.data)
            )
            answer.append(
                Sealed(seq=seq, epoch=epoch, subject=done.subject, headers=done.headers, data=done.data, chain=chain)
            )
        outbox.append(connection, rows)
        lanes.update(connection, self._id, sealed=seq, sealed_chain=chain, sealed_event=number)
        return msgspec.structs.replace(lane, sealed=seq, sealed_chain=chain, sealed_event=number), answer, used

    @staticmethod
    def _keep_disposition(connection: Connection, policy: PolicyInForce, found: Disposition) -> None:
        if found.id not in policy.known:
            connection.execute(
                "INSERT OR IGNORE INTO dispositions (id, policy, type, fields) VALUES (?, ?, ?, ?)",
                (found.id, policy.policy_id, found.type, msgspec.json.encode(found.fields).decode()),
            )

    def _without_elsewhere(
        self, connection: Connection, sealer: Sealer, today: int, backlog: list[events.EventTuple]
    ) -> list[events.EventTuple]:
        """Leave out what `adopt` found at the hub; the same number on another fact gets today's epoch instead."""
        low, high = min(e[1] for e in backlog), max(e[1] for e in backlog)
        rows = connection.execute(
            "SELECT intake_seq, output, epoch, kind, proof FROM elsewhere WHERE intake_seq BETWEEN ? AND ?", (low, high)
        ).fetchall()
        if not rows:
            return backlog
        known = {(seq, output, epoch): (kind, proof) for seq, output, epoch, kind, proof in rows}
        kept: list[events.EventTuple] = []
        for event in backlog:
            kind, proof = known.get((event[1], event[2], event[3]), (None, ""))
            if kind is None:
                kept.append(event)
            elif proof == (event[8].hex() if kind == outbox.RELEASED else sealer.commitment(event).decode()):
                books.move(connection, pending=-1, **{"delivered" if kind == outbox.RELEASED else "withheld": 1})
            else:
                connection.execute("UPDATE events SET epoch = ? WHERE id = ?", (today, event[0]))
                kept.append((*event[:3], today, *event[4:]))
        return kept

    def _clear_again(
        self, connection: Connection, policy: PolicyInForce, lane: LaneRow, rows: list[OutboxTuple]
    ) -> None:
        """A row sealed under an older policy leaves only if today's policy gives the same bytes. Raises `Refused`."""
        for row in rows:
            if row[4] == policy.policy_id or row[1] == outbox.EPOCH:
                continue
            seq = row[0] - lane.row_id(0)
            event = events.numbered(connection, lane, row[3])
            previous = outbox.chain_at(connection, lane, seq - 1) if seq > 1 else bytes(32)
            if event is not None and previous is not None:
                again = policy.sealer.seal(self.name, previous, row[2], seq, event)
                if again.chain == row[6]:
                    continue
            raise Refused(
                f"record {seq} was sealed under an older residency policy and would leave differently today",
                hint="decide: restore the older policy, or `entrepot adopt` to seal the unsent records anew",
            )

    async def wait(self, after: int) -> None:
        """See `runtime.ports.Lane`."""
        row = self.row
        queued = row.queued > row.sealed_event and row.sealed - row.acked < SEAL_AHEAD_ROWS_MAX
        if self.fenced is None and (row.sealed > after or queued):
            return
        await self._signal.wait()

    def queued(self, row: LaneRow) -> None:
        """Translation has added events; called on the event loop after the commit."""
        self.row = row
        self._signal.notify()

    async def drained(self) -> None:
        """Return when the hub has every event of this lane."""
        while not self.row.empty:
            await self._signal.wait()

    async def refresh(self) -> None:
        """Read the positions and the fence again, after a change that was not made here."""
        self._ahead = None  # `adopt` may have taken these rows back
        await self.head()
        self.queued(await self._journal.read(lambda connection: lanes.get(connection, self._id)))

    async def chain_at(self, seq: int) -> bytes | None:
        """See `runtime.ports.Lane`."""

        def find(connection: Connection) -> bytes | None:
            return outbox.chain_at(connection, lanes.get(connection, self._id), seq)

        return await self._journal.read(find)

    async def acknowledge(self, through: int) -> None:
        """See `runtime.ports.Lane`."""

        def settle(connection: Connection) -> LaneRow:
            outbox.acknowledge(connection, self._id, through)
            return lanes.get(connection, self._id)

        self.queued(await self._journal.write(settle))
        self.on_acknowledged()

    async def rewind(self, to: int, reason: str) -> None:
        """See `runtime.ports.Lane`."""
        now = clock.now_us()

        def back(connection: Connection) -> tuple[LaneRow, int]:
            lost = outbox.rewind(connection, self._id, to)
            note_incident(connection, now, "hub_rollback", self.name, reason)
            return lanes.get(connection, self._id), lost

        row, lost = await self._journal.write(back)
        self._alert.rewound(self.name, to + 1, to + lost, reason)
        self.queued(row)

    async def fence(self, fence: Fence) -> None:
        """See `runtime.ports.Lane`."""
        now = clock.now_us()

        def stop(connection: Connection) -> None:
            lanes.set_fence(connection, self._id, fence, now)
            note_incident(connection, now, f"fenced:{fence.kind}", self.name, fence.reason)

        if self.fenced is None:
            await self._journal.write(stop)
            self.fenced = fence
            self._alert.fenced(self.name, fence)

    async def unfence(self, kind: str) -> None:
        """See `runtime.ports.Lane`."""
        if await self._journal.write(lambda connection: lanes.lift_fence(connection, self._id, kind)):
            self.fenced = None
            self._alert.unfenced(self.name)
            self._signal.notify()


class LaneAlert:
    """What a lane tells the operators; the agent overrides it, tests may leave it silent."""

    def fenced(self, lane: str, fence: Fence) -> None:
        """Sending stopped until a person decides."""

    def unfenced(self, lane: str) -> None:
        """Sending goes on."""

    def rewound(self, lane: str, first: int, last: int, reason: str) -> None:
        """The hub lost acknowledged rows first … last; they are sent again."""


def note_incident(connection: Connection, at_us: int, kind: str, lane: str, text: str) -> None:
    """Keep the evidence of something that should not have happened."""
    connection.execute("INSERT INTO incidents (at_us, kind, lane, text) VALUES (?, ?, ?, ?)", (at_us, kind, lane, text))
