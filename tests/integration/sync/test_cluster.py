"""Three servers, three copies: the stream's leader is killed under load, and every promise holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.hubs import link, running, stored
from tests.support.lanes import StubLane, differences
from tests.support.nats import cluster

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", ["auto", "single"])
async def test_the_stream_equals_the_sealed_rows_through_the_death_of_its_leader(tmp_path: Path, mode: str) -> None:
    async with cluster(tmp_path) as hub:
        lane = StubLane()
        lane.add(3_000)
        uplink = link(*hub.urls, replicas=3, publish_mode=mode, ack_timeout_seconds=1.0)
        async with running(uplink, lane) as diary:
            await lane.reached(500)
            async with uplink.opened() as channel:
                leader = (await channel.ask("STREAM.INFO.EU-DE_REALTIME"))["cluster"]["leader"]
            hub.named(leader).kill()
            lane.add(3_000)
            await lane.reached(6_000)
            assert any("replicated, not synced" in note for note in diary.notes["realtime"])
            assert differences(lane.rows, await stored(uplink)) == []
    assert (lane.fences, lane.rewinds) == ([], [])
