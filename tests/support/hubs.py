"""Links, scopes and a running uplink for the tests of the hub's side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from runtime.ports import Checkpoints, HubLink, HubRecord, Scope
from sync.link import NatsLink
from sync.settings import HubSettings
from tests.support.lanes import REGION, Diary, StubCheckpoints, StubLane

TEST_SECONDS_MAX = 25


def scope(*, region: str = REGION, environment: str = "test") -> Scope:
    """Who the tests are; secrets are their own names."""
    return Scope(region=region, environment=environment, directory=".", secret=lambda name: name.encode())


def link(*servers: str, manage_streams: bool = True, environment: str = "test", **settings: Any) -> NatsLink:
    """A link to real servers; manages its streams unless told otherwise."""
    chosen = HubSettings(servers=list(servers), manage_streams=manage_streams, **settings)
    return NatsLink(chosen, scope(environment=environment))


@asynccontextmanager
async def running(link: HubLink, *lanes: StubLane, checkpoints: Checkpoints | None = None) -> AsyncIterator[Diary]:
    """The link at work; ends it by cancellation, and the whole test after `TEST_SECONDS_MAX`."""
    diary = Diary()
    with anyio.fail_after(TEST_SECONDS_MAX):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(link.run, lanes, checkpoints or StubCheckpoints(), diary)
            yield diary
            tasks.cancel_scope.cancel()


async def stored(link: HubLink, lane: str = "realtime", *, through: int = 10**9) -> Sequence[HubRecord]:
    """Everything in a lane's stream."""
    newest = await link.last(lane)
    if newest is None:
        return []
    return [found async for found in link.read(lane, 1, min(newest.seq, through))]
