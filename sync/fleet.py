"""The agent's side of the fleet over NATS: asks for its own subjects by name, hears pokes, leaves its reports.

Exact subjects only: direct gets carry the subject they ask for, so that permissions can name each one.
"""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom
from typing import Literal

import anyio
import msgspec

from runtime.errors import ConfigError, Permanent, one_at_a_time
from runtime.policy.retry import Backoff, wait_seconds
from runtime.ports import Scope
from sync import fleet_names as names
from sync import stream
from sync.channel import Channel, HubAway
from sync.exchange import exchange
from sync.link import NatsLink
from sync.questions import Answering, Questions
from sync.settings import HubSettings
from sync.wire import Reply

EVERYBODY = "all"
_draw = SystemRandom().random
_decode = msgspec.json.Decoder(Reply).decode


class NatsPost:
    """Implements `runtime.fleet.post.FleetPost`. A connection of its own: replacing the uplink's does not disturb it."""

    def __init__(self, settings: HubSettings, scope: Scope) -> None:
        self._settings = settings
        self._region = scope.region
        self._link = NatsLink(settings, scope)
        self._channel: Channel | None = None

    @property
    def server(self) -> str:
        """See `FleetPost`."""
        return "" if self._channel is None else ".".join(map(str, self._channel.version))

    async def run(self, hear: Callable[[], None], answer: Answering) -> None:
        """See `FleetPost`."""
        settings, attempt = self._settings, 0
        backoff = Backoff(seconds_min=settings.reconnect_seconds_min, seconds_max=settings.reconnect_seconds_max)
        while True:
            try:
                with one_at_a_time():  # it may break under an answer, in a task of its own
                    async with self._link.opened() as channel:
                        attempt = 0
                        await self._serve(channel, hear, answer)
            except (HubAway, ConfigError):
                attempt += 1  # the uplink meets the same, and tells why
            finally:
                self._channel = None
            await anyio.sleep(wait_seconds(backoff, max(1, attempt), _draw()))

    async def _serve(self, channel: Channel, hear: Callable[[], None], answer: Answering) -> None:
        """Until the connection is lost, or half of the credentials' life is over."""
        for whom in (self._region, EVERYBODY):
            await channel.listen(names.poke(whom), lambda subject, headers, data: hear())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Questions(channel, self._region, answer).run)
            self._channel = channel
            hear()
            with anyio.move_on_after(self._link.life_seconds):
                await channel.lost.wait()
            tasks.cancel_scope.cancel()

    async def newest(self) -> bytes | None:
        """See `FleetPost`."""
        return await self._last(names.timestamp(self._region))

    async def revision(self, version: int) -> bytes | None:
        """See `FleetPost`."""
        return await self._last(names.revision(self._region, version))

    async def file(self, sha256: str) -> bytes | None:
        """See `FleetPost`."""
        return await self._last(names.file(self._region, sha256))

    async def newest_action(self) -> bytes | None:
        """See `FleetPost`."""
        return await self._last(names.newest_action(self._region), names.ACTIONS_STREAM)

    async def action(self, identifier: str) -> bytes | None:
        """See `FleetPost`."""
        return await self._last(names.action(self._region, identifier), names.ACTIONS_STREAM)

    async def watermark(self) -> bytes | None:
        """See `FleetPost`."""
        return await self._last(names.watermark(self._region))

    async def report(
        self, kind: Literal["status", "presence", "result"], document: bytes, identifier: str = ""
    ) -> None:
        """See `FleetPost`. Raises `Permanent` when the hub answers that it does not store it."""
        region = self._region
        subject = {
            "status": names.status(region),
            "presence": names.presence(region),
            "result": names.result(region, identifier),
        }[kind]
        channel = self._connected()
        if len(document) > channel.bytes_max:
            raise Permanent(f"the {kind} has {len(document)} bytes, the hub takes {channel.bytes_max}")
        headers, data = await exchange(channel, subject, document)
        if headers.startswith(b"NATS/1.0 503"):
            raise HubAway(f"no stream at the hub takes {subject}: it is missing, not ready, or not allowed")
        try:
            answer = _decode(data)
        except msgspec.MsgspecError:
            raise HubAway(f"the hub's answer to {subject} cannot be read") from None
        if answer.error is not None or answer.stream != names.STATE_STREAM:
            why = answer.error.description if answer.error is not None else f"it stands in {answer.stream!r}"
            raise Permanent(f"the hub did not keep the {kind} in {names.STATE_STREAM}: {why}")

    async def _last(self, subject: str, stream_name: str = names.CONFIG_STREAM) -> bytes | None:
        """The last message of a subject; a replica may answer, which is why versions are signed and never fall."""
        found = await stream.newest(self._connected(), stream_name, subject)
        return None if found is None else found.data

    def _connected(self) -> Channel:
        if self._channel is None or self._channel.lost.is_set():
            raise HubAway("there is no connection to the hub")
        return self._channel
