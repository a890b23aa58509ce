"""A configured connection to the hub: connects in the background for as long as it takes, then ships every lane.

Also the one-shot calls of the command line: topology, read and last.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import SystemRandom

import anyio

from runtime import record
from runtime.downlink import Inbox
from runtime.errors import ConfigError, Permanent
from runtime.policy.retry import Backoff, wait_seconds
from runtime.ports import Checkpoints, Finding, HubObserver, HubRecord, Lane, Scope, StreamReport
from sync import stream, topology
from sync.access import Access
from sync.advice import UNUSABLE, next_step
from sync.channel import Channel, HubAway
from sync.connection import connect
from sync.downlink import Downlink
from sync.jwt import Claims
from sync.renewal import Renewal
from sync.settings import HubSettings
from sync.statements import CheckpointUplink
from sync.uplink import Uplink

_draw = SystemRandom().random
_REVOKED = "the hub has revoked this region's login (user authentication revoked)"


class NatsLink:
    """Implements `runtime.ports.HubLink`."""

    def __init__(self, settings: HubSettings, scope: Scope) -> None:
        self._settings = settings
        self._scope = scope
        self._access = Access(settings, scope)
        self._turn = 0
        self._revoked: Claims | None = None
        """A login that the hub has thrown out; asked again, it says no more than "Authorization Violation"."""
        self._closing = anyio.Event()
        self._running = 0
        self._idle = anyio.Event()

    def check(self) -> None:
        """See `runtime.ports.HubLink`."""
        Access(self._settings, self._scope).options()

    async def run(
        self, lanes: Sequence[Lane], checkpoints: Checkpoints, observer: HubObserver, inbox: Inbox | None = None
    ) -> None:
        """See `runtime.ports.HubLink`; ends in order after `close`. Raises what the lanes and the inbox raise."""
        self._running += 1
        try:
            await self._run(lanes, checkpoints, observer, inbox)
        finally:
            self._running -= 1
            self._idle.set()

    async def _run(
        self, lanes: Sequence[Lane], checkpoints: Checkpoints, observer: HubObserver, inbox: Inbox | None
    ) -> None:
        settings = self._settings
        backoff = Backoff(seconds_min=settings.reconnect_seconds_min, seconds_max=settings.reconnect_seconds_max)
        attempt, told = 0, ""
        while not self._closing.is_set():
            try:
                channel = await self._open(observer)
            except (HubAway, ConfigError) as error:
                # A login file that is missing or half written is an outage as well: who replaces it waits for no restart.
                attempt += 1
                said = self._said(error)
                if said != told:
                    told = said
                    observer.disconnected(told, UNUSABLE if isinstance(error, ConfigError) else next_step(told))
                # Each server of a cluster gets its try before the pause grows.
                step = 1 + attempt // len(settings.servers)
                with anyio.move_on_after(wait_seconds(backoff, step, _draw())):
                    await self._closing.wait()
                continue
            observer.connected(channel.server, ".".join(map(str, channel.version)))
            attempt, told = 0, ""
            try:
                await self._serve(channel, lanes, checkpoints, observer, inbox)
            finally:
                lost = channel.lost.is_set()
                channel.close()
            if lost:
                told = self._lost(channel)
                observer.disconnected(told, next_step(told))

    async def _serve(
        self,
        channel: Channel,
        lanes: Sequence[Lane],
        checkpoints: Checkpoints,
        observer: HubObserver,
        inbox: Inbox | None,
    ) -> None:
        """Until the connection is lost, `close` is called, the login is renewed, or half of its life is over."""
        uplinks = [Uplink(channel, lane, self._settings, self._scope, observer) for lane in lanes]
        renewal = Renewal(channel, self._access, [lane.name for lane in lanes], self._scope, observer)
        async with anyio.create_task_group() as tasks:
            for uplink in uplinks:
                tasks.start_soon(uplink.run)
            tasks.start_soon(CheckpointUplink(channel, checkpoints, self._settings, self._scope, observer).run)
            tasks.start_soon(renewal.run)
            if inbox is not None:
                tasks.start_soon(Downlink(channel, inbox, self._settings, self._scope, observer).run)
            with anyio.move_on_after(self._access.life_seconds):
                await _first(channel.lost, self._closing, renewal.renewed)
            with anyio.move_on_after(self._settings.flush_seconds_max):
                for uplink in uplinks:
                    uplink.leave()
                for uplink in uplinks:
                    await uplink.ended.wait()
            tasks.cancel_scope.cancel()

    def _lost(self, channel: Channel) -> str:
        """Why, as far as the server has said so."""
        words = channel.parting_words
        if "revoked" in words.lower():
            self._revoked = self._access.login
            return _REVOKED
        return f"the connection to {channel.server} was lost" + (f": {words}" if words else "")

    def _said(self, error: Exception) -> str:
        still = self._revoked is not None and self._revoked == self._access.login
        return _REVOKED if still and "authorization violation" in str(error).lower() else str(error)

    async def _open(self, observer: HubObserver | None = None) -> Channel:
        """One attempt at the next server in turn. Raises `HubAway`, `ConfigError`."""
        servers = self._settings.servers
        server = servers[self._turn % len(servers)]
        self._turn += 1

        def on_error(reason: str) -> None:
            if observer is not None:
                observer.log("hub_connection_error", reason=reason)

        name = f"entrepot {self._scope.region}"
        seconds_max = self._settings.connect_timeout_seconds
        return await connect(server, self._access, name=name, seconds_max=seconds_max, on_error=on_error)

    @property
    def life_seconds(self) -> float | None:
        """How long the newest connection should last; None: its credentials do not expire."""
        return self._access.life_seconds

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Channel]:
        """A connection for a few calls; every server is tried once. Raises `HubAway`."""
        channel: Channel | None = None
        failure = HubAway("no server is configured")
        for _ in self._settings.servers:
            try:
                channel = await self._open()
                break
            except HubAway as error:
                failure = error
        if channel is None:
            raise failure
        try:
            yield channel
        finally:
            channel.close()

    async def topology(self, lanes: Mapping[str, int], *, apply: bool) -> list[StreamReport]:
        """See `runtime.ports.HubLink`."""
        wanted = {**lanes, record.CHECKPOINTS_LANE: 1}
        replicas = self._settings.replicas
        async with self.opened() as channel:
            return [
                await topology.compare(channel, self._scope, lane, first=first, replicas=replicas, apply=apply)
                for lane, first in wanted.items()
            ]

    async def examine(
        self, lanes: Sequence[str], *, refill_hours: int, now_us: int, headquarters: str = ""
    ) -> list[Finding]:
        """See `runtime.ports.HubLink`."""
        from sync.examination import Examination

        look = Examination(
            self._settings, self._scope, refill_hours=refill_hours, now_us=now_us, headquarters=headquarters
        )
        return await look.findings(lanes)

    async def read(self, lane: str, first: int, last: int) -> AsyncIterator[HubRecord]:
        """See `runtime.ports.HubLink`."""
        name = record.stream_name(self._scope.region, lane)
        async with self.opened() as channel:
            async for found in stream.read(channel, name, first, last):
                yield found

    async def last(self, lane: str) -> HubRecord | None:
        """See `runtime.ports.HubLink`."""
        name = record.stream_name(self._scope.region, lane)
        async with self.opened() as channel:
            found = await stream.info(channel, name)
            if found is None:
                raise Permanent(f"the hub has no stream {name}", hint="Run `entrepot topology apply`.")
            if found.state.messages == 0:
                return None
            newest = await stream.message(channel, name, found.state.last_seq)
            if newest is None:
                raise Permanent(f"the last message of {name} cannot be read", hint="Somebody removed it at the hub.")
            return newest

    async def remove(self, lanes: Sequence[str]) -> None:
        """See `runtime.ports.HubLink`."""
        async with self.opened() as channel:
            for lane in lanes:
                await topology.remove(channel, self._scope, lane)

    async def close(self) -> None:
        """Call before cancelling `run`: it takes no more rows, awaits what is on the wire, and returns.

        Bounded by `flush_seconds_max`. A cancelled task can await nothing more, so a bare cancellation does not flush.
        """
        self._closing.set()
        with anyio.move_on_after(self._settings.flush_seconds_max + 1):
            while self._running:
                self._idle = anyio.Event()
                await self._idle.wait()


async def _first(*events: anyio.Event) -> None:
    """Return when one of the events is set."""
    async with anyio.create_task_group() as tasks:

        async def watch(event: anyio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        for event in events:
            tasks.start_soon(watch, event)
