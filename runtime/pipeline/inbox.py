"""The kernel's side of the downlink: records and the position behind them, in one change of the journal.

Implements `runtime.downlink.Inbox`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
from msgspec.structs import replace

from runtime import clock
from runtime.downlink import INBOX, InboxHead
from runtime.errors import Permanent, StorageFull
from runtime.journal import inbox, targets
from runtime.journal.journal import Journal
from runtime.journal.store import Connection
from runtime.pipeline.lane import note_incident
from runtime.ports import Fence, HubRecord
from runtime.signal import Signal

ROOM_SECONDS = 1.0
"""How often a full disk is looked at again."""


class InboxStep:
    """What one headquarters sends."""

    def __init__(
        self,
        journal: Journal,
        region: str,
        *,
        public_key: bytes | None,
        poll_seconds: float,
        full: Callable[[], bool],
        arrived: Callable[[], None],
    ) -> None:
        """`full`: there is no room for more. `arrived`: called after each commit."""
        self.region = region
        self.public_key = public_key
        self.poll_seconds = poll_seconds
        self.hub_last: int | None = None
        self._journal = journal
        self._full = full
        self._arrived = arrived
        self.changed = Signal()

    async def head(self) -> InboxHead:
        """See `runtime.downlink.Inbox`."""
        return await self._journal.read(lambda connection: inbox.head(connection, self.region))

    async def take(self, records: Sequence[HubRecord]) -> None:
        """See `runtime.downlink.Inbox`. Raises `Permanent` when somebody else has moved the position."""
        now = clock.now_us()

        def commit(connection: Connection) -> None:
            downlink = inbox.ensure(connection, self.region)
            if downlink.fence is not None or records[0].seq != downlink.seq + 1:
                raise Permanent("the downlink has been stopped or moved meanwhile")
            targets.count(connection, INBOX, inbox.append(connection, downlink, records, now))

        while not await self._committed(commit):  # noqa: ASYNC110 - the disk makes no event
            await anyio.sleep(ROOM_SECONDS)
        self._arrived()
        self.changed.notify()

    async def _committed(self, change: Callable[[Connection], None]) -> bool:
        """False while there is no room: what headquarters sent waits at the hub."""
        if self._full():
            return False
        try:
            await self._journal.write(change)
        except StorageFull:
            return False
        return True

    async def fence(self, fence: Fence) -> None:
        """See `runtime.downlink.Inbox`."""
        now = clock.now_us()

        def stop(connection: Connection) -> None:
            inbox.ensure(connection, self.region)
            inbox.set_fence(connection, self.region, replace(fence, since_us=now))
            note_incident(connection, now, f"downlink:{fence.kind}", "", fence.reason)

        await self._journal.write(stop)
        self.changed.notify()

    async def unfence(self) -> None:
        """See `runtime.downlink.Inbox`."""
        await self._journal.write(lambda connection: inbox.lift_fence(connection, self.region))
        self.changed.notify()

    def seen(self, last: int) -> None:
        """See `runtime.downlink.Inbox`."""
        self.hub_last = last


def adopt(connection: Connection, region: str, after: int | None, now_us: int) -> None:
    """Go on behind this record of headquarters' stream, as a person decided; None: behind where we stand."""
    head = inbox.head(connection, region)
    if after is not None and after != head.seq:
        inbox.move(connection, region, after)
    inbox.lift_fence(connection, region)
    text = f"stood at record {head.seq} of epoch {head.epoch}, goes on behind record {head.seq if after is None else after}"
    note_incident(connection, now_us, "downlink:adopted", "", text)
