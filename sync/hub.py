"""The object behind the entry point: makes links, and verifies a region from its streams alone.

What only headquarters and people need is imported when they ask: an agent keeps its memory for events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError
from runtime.ports import HubLink, Observatory, Scope, Verdict
from sync.access import Access
from sync.fleet_names import HEADQUARTERS
from sync.link import NatsLink
from sync.settings import HubSettings

if TYPE_CHECKING:
    from runtime.fleet.desk import FleetDesk
    from sync.fleet import NatsPost


class NatsHub:
    """Implements `runtime.ports.Hub`."""

    settings = HubSettings

    def check(self, settings: Any, scope: Scope) -> None:
        """See `runtime.ports.Hub`."""
        Access(settings, scope).options()

    def link(self, settings: Any, scope: Scope) -> HubLink:
        """`settings` is a `HubSettings`."""
        return NatsLink(settings, scope)

    @asynccontextmanager
    async def observatory(self, settings: Any, *, environment: str, directory: str) -> AsyncIterator[Observatory]:
        """See `runtime.ports.Hub`."""
        from sync.observatory import NatsObservatory

        scope = Scope(region=HEADQUARTERS, environment=environment, directory=directory, secret=_no_secret)
        async with NatsLink(settings, scope).opened() as channel:
            observatory = NatsObservatory(channel, environment)
            await observatory.listen()
            yield observatory

    def post(self, settings: Any, scope: Scope) -> NatsPost:
        """See `runtime.fleet.post`."""
        from sync.fleet import NatsPost

        return NatsPost(settings, scope)

    @asynccontextmanager
    async def desk(self, settings: Any, scope: Scope) -> AsyncIterator[FleetDesk]:
        """See `runtime.fleet.desk.DeskHub`."""
        from sync.desk import NatsDesk

        async with NatsLink(settings, scope).opened() as channel:
            yield NatsDesk(channel, settings, scope)

    async def verify(
        self,
        settings: Any,
        *,
        region: str,
        public_key: bytes,
        directory: str,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Verdict:
        """See `runtime.ports.Hub`. Raises `Retryable` when the hub is away, `ConfigError` for `secret://` here."""
        from sync import audit

        scope = Scope(region=region, environment="", directory=directory, secret=_no_secret)
        async with NatsLink(settings, scope).opened() as channel:
            return await audit.verify(channel, region, public_key, progress or _silent)


def _no_secret(name: str) -> bytes:
    raise ConfigError(f"{name}: there are no secrets here; give `credentials` or `nkey` as a file")


def _silent(_lane: str, _done: int, _total: int) -> None:
    """Nobody watches."""
