"""Looking at one lane's stream: everything the reconcile table needs, from the stream's leader."""

from __future__ import annotations

import anyio
from msgspec.structs import replace

from runtime import record
from runtime.ports import Lane, LaneHead, Scope
from sync import stream, topology
from sync.channel import Channel
from sync.proof import digest, follow
from sync.reconcile import HubView, range_to_prove

_MISSING_TWICE_SECONDS = 0.5
"""A stream must be missing twice: a cluster that is starting may not know its streams yet."""


class Lookout:
    """Compares one lane with its stream; keeps what the last look said about settings."""

    def __init__(self, channel: Channel, lane: Lane, scope: Scope) -> None:
        self._channel, self._lane, self._scope = channel, lane, scope
        self._stream = record.stream_name(scope.region, lane.name)
        self.notes: list[str] = []
        """Weaker settings of the stream, as sentences."""
        self.batched = False
        """Fast ingest works there: the server knows it and the stored configuration allows it."""

    async def look(self, head: LaneHead) -> HubView:
        """Everything the table needs, from the stream's leader."""
        found = await stream.info(self._channel, self._stream)
        if found is None and head.fence is None:
            await anyio.sleep(_MISSING_TWICE_SECONDS if head.acked else 0)
            found = await stream.info(self._channel, self._stream)
        if found is None:
            return HubView(exists=False)
        config, last = found.config, found.state.last_seq
        problem = topology.wrong(config, self._scope, self._lane.name)
        self.notes = topology.weaker(config, self._scope, self._lane.name, self._channel.version)
        self.batched = self._channel.version >= topology.BATCHED_SINCE and bool(config.get("allow_batched"))
        view = HubView(last=last, first=found.state.first_seq, born_at=found.born_at, problem=problem)
        if found.state.messages == 0:
            view = replace(view, first=last + 1)
        if problem or last > head.sealed or (last < head.oldest - 1 and last < head.acked):
            return view
        return await self._compare(head, view)

    async def _compare(self, head: LaneHead, view: HubView) -> HubView:
        """Both chains at `last`."""
        if view.last == 0:
            return replace(view, chain=record.GENESIS, ours=record.GENESIS)
        to_prove = range_to_prove(head, view.last)
        theirs = await self._proven(head, to_prove) if to_prove else await self._said(view.last)
        ours = await self._lane.chain_at(view.last)
        if ours is None and theirs is not None and view.last == head.oldest - 1:
            ours = await self._before_oldest(view.last, theirs)
        return replace(view, chain=theirs, ours=ours)

    async def _said(self, seq: int) -> bytes | None:
        """The chain that the stored message carries."""
        found = await stream.message(self._channel, self._stream, seq)
        return None if found is None else digest(found.headers.get(record.CHAIN_HEADER, ""))

    async def _proven(self, head: LaneHead, positions: range) -> bytes | None:
        """The chain over the hub's own messages, from our acknowledged one; None when one is missing."""
        chain, expected = head.acked_chain, positions.start
        async for found in stream.read(self._channel, self._stream, positions.start, positions.stop - 1):
            if found.seq != expected:
                return None
            chain = follow(chain, found)
            if not chain:
                return b""
            expected += 1
        return chain if expected == positions.stop else None

    async def _before_oldest(self, seq: int, theirs: bytes) -> bytes | None:
        """Our row `seq` is gone, the next one is retained: its chain shows what the one before it was."""
        rows = await self._lane.take(seq, 1)
        if not rows or rows[0].seq != seq + 1:
            return None
        row = rows[0]
        again = record.chain(theirs, row.epoch, row.seq, row.subject.encode(), row.headers, row.data)
        return theirs if again == row.chain else b""
