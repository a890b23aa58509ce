"""The shell of the downlink: reads headquarters' lane for this region from our own position on, and never skips.

A published subject is only a hint to look; what counts is read from the stream and proven by `continuation`.
Whatever cannot be proven is asked of the stream's leader once more, and then stops the downlink.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import SystemRandom

import anyio
import msgspec

from runtime import record
from runtime.downlink import Inbox, InboxHead
from runtime.errors import Permanent
from runtime.policy.retry import Backoff, wait_seconds
from runtime.ports import Fence, HubObserver, HubRecord, Scope
from sync import stream, topology
from sync.channel import Channel, HubAway
from sync.continuation import Continuation, Doubt
from sync.proof import digest
from sync.settings import HubSettings

RECHECK_SECONDS = 1.0
"""How often a stopped downlink looks whether the hub's side has been mended."""
EAGER_SECONDS_MIN = 0.01
"""First pause after a hint, which may come before the record is stored; doubled up to `poll_seconds`."""
_MISSING_TWICE_SECONDS = 0.5
_BACKOFF = Backoff(seconds_min=0.1, seconds_max=2.0)
_draw = SystemRandom().random

ACTIONS = {
    "gap": "Have headquarters restore the missing records. If they are lost for good, decide with `entrepot deliveries adopt --after N`.",
    "diverged": "Find out with headquarters who wrote to {stream}. When its stream is right again, this resumes by itself.",
    "new_epoch": "Ask headquarters whether it has adopted a restored journal, and for its public key.",
    "rolled_back": "Nothing, if headquarters' agent runs: it sends the lost records again, and this resumes by itself.",
    "missing": "Have headquarters make {stream} again (`entrepot topology apply` there); its agent refills it.",
    "wrong_stream": "Mend the stream {stream} or point `[hub]` at the right hub; this resumes by itself.",
}
PERSONS = frozenset({"stale_self"})
"""Fences that only a person lifts: what the hub holds says nothing about them."""


class Downlink:
    """Reads over one channel until the channel is lost or the task is cancelled."""

    def __init__(
        self, channel: Channel, inbox: Inbox, settings: HubSettings, scope: Scope, observer: HubObserver
    ) -> None:
        self._channel, self._inbox, self._settings = channel, inbox, settings
        self._observer = observer
        self._lane = scope.region
        self._theirs = msgspec.structs.replace(scope, region=inbox.region)
        self._stream = record.stream_name(inbox.region, self._lane)
        self._hint = anyio.Event()
        self._pause = inbox.poll_seconds
        self._looked_at = float("-inf")

    async def run(self) -> None:
        """Raises what the inbox raises; the hub's failures are waited out."""
        try:
            # Ends with the connection, as this does.
            await self._channel.listen(record.lane_subjects(self._inbox.region, self._lane), self._hear)
            attempt = 0
            while not self._channel.lost.is_set():
                attempt = 0 if await self._turn() else attempt + 1
                if attempt:
                    await anyio.sleep(wait_seconds(_BACKOFF, attempt, _draw()))
        except HubAway:
            return  # the link opens another channel

    def _hear(self, _subject: bytes, _headers: bytes, _data: bytes) -> None:
        self._hint.set()

    async def _turn(self) -> bool:
        """One round; False when the hub did not answer as it should."""
        self._hint = anyio.Event()
        try:
            await self._once()
        except HubAway as error:
            self._log("downlink_silent", reason=str(error))
        except Permanent as error:
            self._log("downlink_refused", reason=str(error))
        else:
            return True
        return False

    async def _once(self) -> None:
        head = await self._inbox.head()
        if head.fence is not None and head.fence.kind in PERSONS:
            await anyio.sleep(RECHECK_SECONDS)
            return
        due = anyio.current_time() - self._looked_at >= self._settings.audit_seconds
        if due or head.fence is not None:
            doubt = await self._look(head)
            if doubt is not None:
                await self._stop(head, doubt)
                return
            self._looked_at = anyio.current_time()
        taken = await self._read(head)
        if not taken:
            with anyio.move_on_after(self._pause):
                await self._hint.wait()
            self._pause = EAGER_SECONDS_MIN if self._hint.is_set() else min(2 * self._pause, self._inbox.poll_seconds)

    async def _read(self, head: InboxHead) -> bool:
        """Take in what follows the head; whether there was anything."""
        records = await stream.batch(self._channel, self._stream, head.seq + 1)
        proven, doubt = self._prove(head, records)
        if not proven and doubt is not None:
            # A replica may lag behind or be wrong: the leader's word decides.
            found = await stream.message_from(self._channel, self._stream, head.seq + 1)
            proven, doubt = self._prove(head, [] if found is None else [found])
        if proven:
            if head.fence is not None:
                await self._resume(head.fence)
            await self._inbox.take(proven)
            self._pause = self._inbox.poll_seconds
        elif doubt is not None:
            await self._stop(head, doubt)
        elif head.fence is not None:
            await self._resume(head.fence)
        return bool(proven)

    def _prove(self, head: InboxHead, records: Sequence[HubRecord]) -> tuple[Sequence[HubRecord], Doubt | None]:
        """Those that continue the head, and why the next one does not."""
        walk = Continuation(head, region=self._inbox.region, lane=self._lane, public_key=self._inbox.public_key)
        for count, stored in enumerate(records):
            doubt = walk.add(stored)
            if doubt is not None:
                return records[:count], doubt
        return records, None

    async def _look(self, head: InboxHead) -> Doubt | None:
        """Whether the stream, by its leader, still holds what was taken in."""
        found = await stream.info(self._channel, self._stream)
        if found is None and head.fence is None and head.seq:
            await anyio.sleep(_MISSING_TWICE_SECONDS)  # a cluster that is starting may not know its streams yet
            found = await stream.info(self._channel, self._stream)
        if found is None:
            if head.seq:
                return Doubt("missing", f"the hub has no stream {self._stream}, though {head.seq} records came from it")
            raise HubAway(f"headquarters has made no stream {self._stream} yet")
        self._inbox.seen(found.state.last_seq)
        problem = topology.wrong(found.config, self._theirs, self._lane)
        if problem:
            return Doubt("wrong_stream", problem)
        if found.state.last_seq < head.seq:
            lost = f"{self._stream} ends at record {found.state.last_seq}, {head.seq} were taken in from it"
            return Doubt("rolled_back", f"{lost}: the hub lost records, or the stream was made again")
        return await self._compare(head, found.state.first_seq)

    async def _compare(self, head: InboxHead, first: int) -> Doubt | None:
        """The record at our position is the one that was taken in, or has aged out in order."""
        if not head.seq or not head.chain:
            return None
        stored = await stream.message(self._channel, self._stream, head.seq)
        if stored is None:
            if first > head.seq:
                return None
            return Doubt("diverged", f"record {head.seq} of {self._stream} was removed")
        if digest(stored.headers.get(record.CHAIN_HEADER, "")) == head.chain:
            return None
        return Doubt("diverged", f"record {head.seq} of {self._stream} is not the one that was taken in")

    async def _stop(self, head: InboxHead, doubt: Doubt) -> None:
        if head.fence is None or head.fence.kind != doubt.kind:
            if head.fence is not None:
                await self._inbox.unfence()
            evidence = {"seq": str(head.seq), "epoch": str(head.epoch), "chain": head.chain.hex()}
            action = ACTIONS[doubt.kind].format(stream=self._stream)
            await self._inbox.fence(Fence(kind=doubt.kind, reason=doubt.reason, action=action, evidence=evidence))
            self._log("downlink_fenced", kind=doubt.kind, reason=doubt.reason)
        await anyio.sleep(RECHECK_SECONDS)

    async def _resume(self, fence: Fence) -> None:
        await self._inbox.unfence()
        self._log("downlink_mended", kind=fence.kind)

    def _log(self, event: str, **fields: object) -> None:
        self._observer.log(event, stream=self._stream, **fields)
