"""An inbox in memory: takes in what the downlink has proven, and can be waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from runtime import record
from runtime.downlink import InboxHead
from runtime.ports import Fence, HubRecord
from runtime.signal import Signal
from sync.link import NatsLink
from sync.settings import HubSettings
from tests.support.hubs import scope
from tests.support.lanes import REGION, Diary, StubCheckpoints

BRANCH = "store-1"
"""The region that reads; the tests' lanes belong to `REGION`, which is headquarters here."""


class StubInbox:
    """Implements `runtime.downlink.Inbox`."""

    region = REGION
    public_key = None

    def __init__(self, *, poll_seconds: float = 0.2) -> None:
        self.poll_seconds = poll_seconds
        self.records: list[HubRecord] = []
        self.fences: list[Fence] = []
        self.lifted = 0
        self.last = 0
        self.stopped: Fence | None = None
        self._changed = Signal()

    @property
    def seqs(self) -> list[int]:
        return [stored.seq for stored in self.records]

    async def head(self) -> InboxHead:
        await anyio.lowlevel.checkpoint()
        if not self.records:
            return InboxHead(epoch=0, seq=0, chain=record.GENESIS, fence=self.stopped)
        newest = self.records[-1]
        chain = bytes.fromhex(newest.headers[record.CHAIN_HEADER])
        epoch = int(newest.headers[record.EPOCH_HEADER])
        return InboxHead(epoch=epoch, seq=newest.seq, chain=chain, highest=newest.seq, fence=self.stopped)

    async def take(self, records: Sequence[HubRecord]) -> None:
        await anyio.lowlevel.checkpoint()
        assert self.stopped is None, "taken in while it was stopped"
        self.records += records
        self._changed.notify()

    async def fence(self, fence: Fence) -> None:
        await anyio.lowlevel.checkpoint()
        self.fences.append(fence)
        self.stopped = self.stopped or fence
        self._changed.notify()

    async def unfence(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.stopped = None
        self.lifted += 1
        self._changed.notify()

    def seen(self, last: int) -> None:
        self.last = last

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when what was taken in or stopped makes this true."""
        while not condition():
            await self._changed.wait()


def branch_link(*servers: str, environment: str = "test", **settings: object) -> NatsLink:
    """The connection of the region that reads."""
    given = {"audit_seconds": 1.0} | settings
    chosen = HubSettings(servers=list(servers), manage_streams=True, **given)  # type: ignore[arg-type]
    return NatsLink(chosen, scope(region=BRANCH, environment=environment))


@asynccontextmanager
async def reading(link: NatsLink, inbox: StubInbox, seconds_max: float = 40) -> AsyncIterator[Diary]:
    """The link at work for this inbox alone."""
    diary = Diary()
    with anyio.fail_after(seconds_max):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(link.run, (), StubCheckpoints(), diary, inbox)
            yield diary
            tasks.cancel_scope.cancel()
