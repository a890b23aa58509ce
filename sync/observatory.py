"""Headquarters' view of every region: what has come since the last look and whether it holds, and the records themselves.

Implements `runtime.ports.Observatory`. One look never advances beyond the first record that does not hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import anyio

from runtime import record
from runtime.errors import Permanent
from runtime.ports import HubRecord, Position, Proven, Survey
from sync import fleet_names, stream
from sync.channel import STREAM_MISSING, ApiError, Channel, HubAway
from sync.origins import Origins
from sync.posting import post
from sync.stream import StreamInfo
from sync.verify import CheckpointCheck, LaneCheck

RECORDS_EXPECTED = 1_000_000
"""Sizes the filter that finds an origin twice: 2 MiB for each lane that is followed."""


class NatsObservatory:
    """Lives as long as its channel."""

    def __init__(self, channel: Channel, environment: str) -> None:
        self._channel = channel
        self._environment = environment
        self._origins: dict[tuple[str, str], Origins] = {}
        self._repeats: dict[tuple[str, str], list[str]] = {}
        """Of lanes in which a record came once more: not passed, and not read to the end again at each look."""
        self._stirred = anyio.Event()
        self._seen: dict[tuple[str, str], StreamInfo] | None = None
        """What `regions` has found last: one list serves a round over all of them."""

    async def listen(self) -> None:
        """Hear that something was sent: a hint, the streams say what."""

        def on_message(_subject: bytes, _headers: bytes, _data: bytes) -> None:
            self._stirred.set()

        await self._channel.listen("ev.>", on_message)

    async def stirred(self) -> None:
        """See `runtime.ports.Observatory`. Raises `HubAway` when the connection is lost."""
        if self._channel.lost.is_set():
            raise HubAway(f"the connection to {self._channel.server} was lost")
        await self._stirred.wait()
        self._stirred = anyio.Event()

    async def regions(self) -> dict[str, dict[str, int]]:
        """See `runtime.ports.Observatory`. The downlinks are headquarters' own words, which no region signs."""
        found: dict[str, dict[str, int]] = {}
        self._seen = await stream.everywhere(self._channel, self._environment)
        for (region, lane), entry in self._seen.items():
            if lane != record.CHECKPOINTS_LANE and region != fleet_names.HEADQUARTERS:
                found.setdefault(region, {})[lane] = entry.state.last_seq
        return found

    # ------------------------------------------------------------ verifying

    async def survey(self, region: str, public_key: bytes, proven: Proven) -> Survey:
        """See `runtime.ports.Observatory`. Of the lanes that `regions` has found last; how far they go is asked anew."""
        if self._seen is None:
            await self.regions()
        checkpoints = await self._checkpoints(region, public_key, proven)
        lanes, problems, records, behind = dict(proven.lanes), list[str](), 0, 0
        found = {lane for of, lane in self._seen or () if of == region} - {record.CHECKPOINTS_LANE}
        for lane in sorted({*found, *proven.lanes}):
            # From its leader: a list made while a cluster elects one may show a stream empty.
            known, entry = proven.lanes.get(lane), await stream.info(self._channel, record.stream_name(region, lane))
            last = 0 if entry is None else entry.state.last_seq
            if known is not None and last < known.seq:
                problems.append(_lost(lane, last, known.seq, missing=entry is None))
                continue
            if entry is None:
                continue
            check = await self._lane(region, lane, public_key, known, entry, checkpoints)
            problems += [f"lane {lane}: {problem}" for problem in check.problems.told()]
            if check.reached is not None:
                records += check.reached.seq - (known.seq if known else check.first - 1)
                lanes[lane] = check.reached
            behind += max(0, last - (lanes[lane].seq if lane in lanes else 0))
        problems = checkpoints.problems.told() + problems
        # A checkpoint that does not hold is looked at again, until somebody has decided.
        newest = proven.checkpoint if checkpoints.problems else checkpoints.newest
        return Survey(
            region=region,
            proven=Proven(lanes=lanes, checkpoint=newest),
            records=records,
            behind=behind,
            books=checkpoints.books,
            problems=problems,
        )

    async def _checkpoints(self, region: str, key: bytes, proven: Proven) -> CheckpointCheck:
        """The signed statements since the last look, in order; read before the lanes, which must have what they say."""
        name = record.stream_name(region, record.CHECKPOINTS_LANE)
        entry = await stream.info(self._channel, name)
        after = proven.checkpoint
        first = 1 if entry is None else max(1, entry.state.first_seq)
        complete = entry is not None and entry.state.first_seq <= entry.born_at
        check = CheckpointCheck(region, key, complete=complete and after is None, after=after)
        last = 0 if entry is None else entry.state.last_seq
        if after is not None and last < after.seq:
            check.problems.say(
                f"the hub lacks checkpoint messages {last + 1} to {after.seq}, which were verified before"
            )
            return check
        start = first if after is None else max(first, after.seq + 1)
        if start <= last:
            async for stored in stream.read(self._channel, name, start, last):
                check.add(stored)
        return check

    async def _lane(
        self, region: str, lane: str, key: bytes, known: Position | None, entry: StreamInfo, said: CheckpointCheck
    ) -> _Look:
        """Everything since `known` up to now; stops at the first record that does not hold."""
        name, last = entry.config["name"], entry.state.last_seq
        first = max(1, entry.state.first_seq) if known is None else known.seq + 1
        claims = said.claims.get(lane, {})
        _, before = claims.get(first - 1, (0, ""))
        check = LaneCheck(
            region,
            lane,
            key,
            first=first,
            chains_wanted=frozenset(claims),
            before=bytes.fromhex(known.chain if known is not None else before),
            epoch=0 if known is None else known.epoch,
            origins=await self._origins_of(region, lane, known),
        )
        look = _Look(check, first, known)
        if (region, lane) in self._repeats:
            check.problems.extend(self._repeats[region, lane])
            return look
        if first <= last:
            async for stored in stream.read(self._channel, name, first, last):
                if not look.add(stored):
                    return look
        if check.origins.suspects:
            await self._look_again(check, entry)
        if check.problems:
            self._repeats[region, lane] = check.problems.told()
            look.reached = known  # as if this look had not been
            return look
        look.compare(said, lane, last)
        return look

    async def _origins_of(self, region: str, lane: str, known: Position | None) -> Origins:
        """Those that this connection has met; what came before it is known by its last record alone."""
        found = self._origins.get((region, lane))
        if found is None:
            found = self._origins[region, lane] = Origins(RECORDS_EXPECTED, whole=known is None)
            name = record.stream_name(region, lane)
            before = None if known is None else await stream.message(self._channel, name, known.seq)
            if before is not None:
                found.meet(before.headers.get(record.ORIGIN_HEADER, ""))
        return found

    async def _look_again(self, check: LaneCheck, entry: StreamInfo) -> None:
        """Read the lane once more, for origins that may have come before."""
        first, last = max(1, entry.state.first_seq), entry.state.last_seq
        async for stored in stream.read(self._channel, entry.config["name"], first, last):
            check.look_again(stored)
        check.say_if_overflown()
        check.origins.suspects.clear()  # each is told apart now

    async def still_there(self, region: str, lanes: Mapping[str, Position]) -> dict[str, Position]:
        """See `runtime.ports.Observatory`."""
        kept: dict[str, Position] = {}
        for lane, position in lanes.items():
            try:
                stored = await stream.message(self._channel, record.stream_name(region, lane), position.seq)
            except ApiError:
                continue
            if stored is not None and stored.headers.get(record.CHAIN_HEADER) == position.chain:
                kept[lane] = position
        return kept

    # ------------------------------------------------------------ reading

    def read(self, region: str, lane: str, first: int, last: int) -> AsyncIterator[HubRecord]:
        """See `runtime.ports.Observatory`."""
        return stream.read(self._channel, record.stream_name(region, lane), first, last)

    async def first_since(self, region: str, lane: str, instant: str) -> int:
        """See `runtime.ports.Observatory`. By halving: the hub's clock stands in the records in order."""
        name = record.stream_name(region, lane)
        entry = await stream.info(self._channel, name)
        if entry is None:
            raise Permanent(f"the hub has no stream {name}")
        low, high = max(1, entry.state.first_seq), entry.state.last_seq + 1
        while low < high:
            middle = (low + high) // 2
            stored = await stream.message_from(self._channel, name, middle)
            if stored is None or stored.time[:19] >= instant[:19]:
                high = middle
            else:
                low = middle + 1
        return low

    # ------------------------------------------------------------ heartbeats, the watermark

    async def presence(self, region: str) -> bytes | None:
        """See `runtime.ports.Observatory`."""
        try:
            body = {"last_by_subj": fleet_names.presence(region)}
            stored = await stream.get(self._channel, fleet_names.STATE_STREAM, body)
        except ApiError as error:
            if error.err_code == STREAM_MISSING:
                return None
            raise
        return None if stored is None else stored.data

    async def announce(self, region: str, document: bytes) -> None:
        """See `runtime.ports.Observatory`. Raises `HubAway`, `ApiError`."""
        await post(self._channel, fleet_names.watermark(region), {}, document)


class _Look:
    """One look at a lane: how far everything held."""

    def __init__(self, check: LaneCheck, first: int, known: Position | None) -> None:
        self._check = check
        self.first = first
        self.reached = known
        self.problems = check.problems

    def add(self, stored: HubRecord) -> bool:
        """False when this record, or what is missing before it, does not hold."""
        self._check.add(stored)
        if self.problems:
            return False
        self.reached = self._check.position
        return True

    def compare(self, said: CheckpointCheck, lane: str, last: int) -> None:
        """What the region has signed about this lane."""
        chains = dict(self._check.chains)
        if self.reached is not None and self.reached.seq == self.first - 1:
            chains[self.reached.seq] = self.reached.chain
        for problem in said.compare(lane, first=self.first, last=last, chains=chains):
            self.problems.say(problem)


def _lost(lane: str, last: int, known: int, *, missing: bool) -> str:
    if missing:
        return f"lane {lane}: the hub has no stream any more, {known} records of it were verified"
    return f"lane {lane}: the hub lost records {last + 1} to {known}, which were verified; the region refills them"
