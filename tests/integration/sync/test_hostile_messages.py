"""Messages that somebody else put into a region's stream: neither the reader nor the uplink breaks on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sync import HUB, stream
from sync.settings import HubSettings
from sync.wire import message_frame
from tests.support.hubs import link, running
from tests.support.lanes import REGION, StubLane
from tests.support.nats import NatsServer
from tests.support.statements import PUBLIC

pytestmark = pytest.mark.anyio
NAME, SUBJECT = "EU-DE_REALTIME", "ev.eu-de.realtime.stock.adjusted"
HOSTILE = {
    "not ASCII": {"ce-note": "é"},
    "epoch too large": {"entrepot-epoch": "9" * 40},
    "planted position": {"Nats-Sequence": "77", "Nats-Subject": "elsewhere"},
}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


async def plant(hub: NatsServer, headers: dict[str, str]) -> None:
    uplink = link(hub.url)
    async with uplink.opened() as channel:
        await channel.write(message_frame(SUBJECT, "nobody", headers, b"stranger"))
        await channel.ask(f"STREAM.INFO.{NAME}")


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_message_fences_the_lane_and_is_named_by_verify(
    hub: NatsServer, headers: dict[str, str]
) -> None:
    lane = StubLane()
    lane.add(10)
    async with running(link(hub.url), lane):
        await lane.reached(10)
    await plant(hub, headers)
    lane.add(5)
    async with running(link(hub.url), lane):
        fence = await lane.fell("diverged")
    assert fence.evidence["hub_last"] == "11"
    assert lane.acked == 10
    settings = HubSettings(servers=[hub.url])
    verdict = await HUB.verify(settings, region=REGION, public_key=PUBLIC, directory=".")
    assert any("record 11 is not what was sealed" in said for said in verdict.lanes[0].problems)


async def test_a_planted_position_moves_no_message(hub: NatsServer) -> None:
    uplink = link(hub.url)
    await uplink.topology({"realtime": 1}, apply=True)
    await plant(hub, HOSTILE["planted position"])
    async with uplink.opened() as channel:
        found = [(stored.seq, stored.subject) async for stored in stream.read(channel, NAME, 1, 1)]
    assert found == [(1, SUBJECT)]
