"""The shell of one lane: look, decide, send, and look again after every surprise.

All judgement is in `reconcile.py` and `window.py`; here are only the calls they ask for.
"""

from __future__ import annotations

from random import SystemRandom

import anyio

from runtime import record
from runtime.errors import Permanent
from runtime.policy.retry import Backoff, wait_seconds
from runtime.ports import Fence, HubObserver, Lane, LaneHead, Scope
from sync import topology
from sync.channel import Channel, HubAway
from sync.look import Lookout
from sync.reconcile import MENDABLE, Go, Make, Rewind, Stop, Wait, reconcile
from sync.settings import HubSettings
from sync.shipment import Shipment

RECHECK_SECONDS = 1.0
"""How often a stopped lane looks whether it may go on."""
_BACKOFF = Backoff(seconds_min=0.02, seconds_max=1.0)
_draw = SystemRandom().random


class Uplink:
    """Ships one lane over one channel until the channel is lost or the task is cancelled."""

    def __init__(
        self, channel: Channel, lane: Lane, settings: HubSettings, scope: Scope, observer: HubObserver
    ) -> None:
        self._channel, self._lane, self._settings, self._scope = channel, lane, settings, scope
        self._observer = observer
        self._stream = record.stream_name(scope.region, lane.name)
        self._lookout = Lookout(channel, lane, scope)
        self._batching_refused = settings.publish_mode == "single"
        self._shipment: Shipment | None = None
        self._leaving = anyio.Event()
        self.ended = anyio.Event()
        """`run` is over."""

    def leave(self) -> None:
        """End in order: take nothing more, await the answers to what is on the wire."""
        self._leaving.set()
        if self._shipment is not None:
            self._shipment.leave()

    async def run(self) -> None:
        """Raises what the lane raises; the hub's failures are waited out."""
        try:
            await self._run()
        finally:
            self.ended.set()

    async def _run(self) -> None:
        attempt = 0
        while not (self._channel.lost.is_set() or self._leaving.is_set()):
            try:
                moved = await self._once()
            except HubAway as error:
                moved = False
                self._log("hub_silent", reason=str(error))
            except Permanent as error:
                moved = False
                self._log("hub_refuses", reason=str(error))
            attempt = 0 if moved else attempt + 1
            if attempt:
                await self._pause(wait_seconds(_BACKOFF, attempt, _draw()))

    async def _once(self) -> bool:
        """One look and what follows from it; True when the lane got ahead."""
        head = await self._lane.head()
        if head.fence is not None and head.fence.kind not in MENDABLE:
            await self._pause(RECHECK_SECONDS)
            return True
        hub = await self._lookout.look(head)
        self._observer.lane(self._lane.name, hub_last=hub.last, notes=self._lookout.notes)
        decision = reconcile(head, hub, stream=self._stream, manage=self._settings.manage_streams)
        if isinstance(decision, Stop):
            return await self._stop(head.fence, decision.fence)
        if head.fence is not None:
            await self._lane.unfence(head.fence.kind)
            self._log("lane_mended", kind=head.fence.kind)
        match decision:
            case Wait(reason):
                self._log("lane_waits", reason=reason)
                await self._pause(RECHECK_SECONDS)
            case Make(first):
                await topology.make(
                    self._channel, self._scope, self._lane.name, first=first, replicas=self._settings.replicas
                )
            case Rewind(to, reason):
                await self._lane.rewind(to, reason)
                self._log("hub_lost_events", to=to, reason=reason)
            case Go(position):
                return await self._go(head, position)
        return True

    async def _stop(self, current: Fence | None, wanted: Fence) -> bool:
        if current is None or current.kind != wanted.kind:
            if current is not None:
                await self._lane.unfence(current.kind)
            await self._lane.fence(wanted)
            self._log("lane_fenced", kind=wanted.kind, reason=wanted.reason)
        await self._pause(RECHECK_SECONDS)
        return True

    async def _go(self, head: LaneHead, position: int) -> bool:
        """Send until something is refused, unknown, or due for a look; True when rows were stored."""
        if position > head.acked:
            await self._lane.acknowledge(position)
        if self._leaving.is_set():
            return False
        shipment = Shipment(self._channel, self._lane, self._settings, self._observer, self._lookout.notes)
        fast = self._lookout.batched and not self._batching_refused
        self._shipment = shipment
        try:
            window = await shipment.ship(position, "fast" if fast else "single")
        finally:
            self._shipment = None
        failure = window.failure
        if failure is not None:
            self._batching_refused |= failure.kind == "batching"
            self._log("window_ended", kind=failure.kind, reason=failure.reason, stored=window.stored, sent=window.sent)
            if failure.kind == "refused" and window.stored == position:
                self._observer.refused(self._lane.name, failure.reason)
        if shipment.fence is not None:
            await self._lane.fence(shipment.fence)
            self._log("lane_fenced", kind=shipment.fence.kind, reason=shipment.fence.reason)
        return window.stored > position or failure is None

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not past the end."""
        with anyio.move_on_after(seconds):
            await self._leaving.wait()

    def _log(self, event: str, **fields: object) -> None:
        self._observer.log(event, lane=self._lane.name, **fields)
