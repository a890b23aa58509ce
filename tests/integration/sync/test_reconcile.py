"""Every surprise of the reconcile table, made with a real server and its real disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sync.channel import Channel
from tests.support.hubs import link, running, stored
from tests.support.lanes import StubLane, differences
from tests.support.nats import NatsServer

pytestmark = pytest.mark.anyio
NAME = "EU-DE_REALTIME"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


async def shipped(hub: NatsServer, rows: int) -> StubLane:
    """A lane whose first rows are at the hub."""
    lane = StubLane()
    lane.add(rows)
    async with running(link(hub.url), lane):
        await lane.reached(rows)
    return lane


async def api(hub: NatsServer, subject: str, body: Any = None) -> dict[str, Any]:
    async with link(hub.url).opened() as channel:
        return await channel.ask(subject, body)


async def settings(channel: Channel) -> dict[str, Any]:
    found: dict[str, Any] = (await channel.ask(f"STREAM.INFO.{NAME}"))["config"]
    return found


async def test_a_hub_restored_from_an_older_disk_is_refilled(hub: NatsServer) -> None:
    lane = StubLane()
    uplink = link(hub.url)
    async with running(uplink, lane):
        lane.add(400)
        await lane.reached(400)
        hub.stop()
        hub.snapshot("older")
        await hub.start()
        lane.add(600)
        await lane.reached(1_000)
        hub.stop()
        hub.swap("older")
        await hub.start()
        assert (await lane.rewound())[0] == 400
        lane.add(1)
        await lane.reached(1_001)
    assert differences(lane.rows, await stored(uplink)) == []
    assert lane.fences == []


async def test_a_hub_that_lost_everything_is_refilled_from_the_first_row(hub: NatsServer) -> None:
    lane = await shipped(hub, 300)
    await api(hub, f"STREAM.DELETE.{NAME}")
    uplink = link(hub.url)
    async with running(uplink, lane):
        lane.add(1)
        await lane.rewound()
        await lane.reached(301)
    assert differences(lane.rows, await stored(uplink)) == []


async def test_a_deleted_stream_fences_until_it_is_made_again_and_is_then_refilled(hub: NatsServer) -> None:
    lane = await shipped(hub, 100)
    lane.oldest = 41
    await api(hub, f"STREAM.DELETE.{NAME}")
    uplink = link(hub.url, manage_streams=False)
    async with running(uplink, lane):
        fence = await lane.fell("hub_recreated")
        assert "topology apply" in fence.action
        await uplink.topology({"realtime": lane.oldest}, apply=True)
        await lane.mended("hub_recreated")
        lane.add(1)
        await lane.reached(101)
    assert differences(lane.rows[40:], await stored(uplink)) == []


async def test_a_hub_behind_the_oldest_retained_row_fences_with_the_range(hub: NatsServer) -> None:
    lane = await shipped(hub, 50)
    lane.add(50)
    lane.acked, lane.oldest = 100, 60
    async with running(link(hub.url), lane):
        fence = await lane.fell("horizon")
    assert "events 51 to 59" in fence.reason
    assert lane.rewinds == []


async def test_refill_from_just_above_the_horizon_is_proven_by_the_next_row(hub: NatsServer) -> None:
    lane = await shipped(hub, 50)
    lane.add(50)
    lane.acked, lane.oldest = 100, 51
    uplink = link(hub.url)
    async with running(uplink, lane):
        assert (await lane.rewound())[0] == 50
        await lane.reached(100)
    assert differences(lane.rows, await stored(uplink)) == []


async def test_another_event_at_the_hubs_end_fences_as_diverged(hub: NatsServer) -> None:
    await shipped(hub, 20)
    other = StubLane()
    other.add(20, data=b"another history")
    other.add(5)
    async with running(link(hub.url), other):
        await other.fell("diverged")
    assert len(await stored(link(hub.url))) == 20


async def test_a_foreign_event_below_an_equal_end_is_found(hub: NatsServer) -> None:
    """The last message alone looks right; only re-reading what was never acknowledged shows the stranger."""
    lane = await shipped(hub, 10)
    twin = lane.clone()
    twin.add(1, data=b"stranger")
    async with running(link(hub.url), twin):
        await twin.reached(11)
    lane.add(2)
    planted = lane.clone()
    planted.rows = [*twin.rows, lane.rows[11]]
    planted.acked = 11
    async with running(link(hub.url), planted):
        await planted.reached(12)
    async with running(link(hub.url), lane):
        await lane.fell("diverged")
    assert lane.acked == 10


async def test_a_journal_older_than_the_hub_fences_as_stale(hub: NatsServer) -> None:
    lane = await shipped(hub, 30)
    restored = StubLane(rows=lane.rows[:20])
    restored.acked = 20
    async with running(link(hub.url), restored):
        fence = await restored.fell("stale_self")
    assert "entrepot adopt" in fence.action
    assert fence.evidence["hub_last"] == "30"


async def test_messages_that_aged_out_are_no_loss(hub: NatsServer) -> None:
    lane = await shipped(hub, 30)
    async with link(hub.url).opened() as channel:
        config = await settings(channel) | {"deny_purge": False}
        await channel.ask(f"STREAM.DELETE.{NAME}")
        await channel.ask(f"STREAM.CREATE.{NAME}", config | {"first_seq": 31})
    uplink = link(hub.url)
    async with running(uplink, lane):
        lane.add(5)
        await lane.reached(35)
    assert differences(lane.rows[30:], await stored(uplink)) == []
    assert (lane.rewinds, lane.fences) == ([], [])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"metadata": {"entrepot-environment": "prod", "entrepot-region": "eu-de", "entrepot-lane": "realtime"}},
            "prod",
        ),
        ({"metadata": {}}, "entrepot-environment is ``"),
        ({"subjects": ["ev.eu-de.realtime.>", "extra"]}, "must listen on"),
        ({"retention": "workqueue"}, "workqueue"),
        ({"persist_mode": "async"}, "persist_mode async"),
    ],
)
async def test_a_wrong_stream_is_never_written_to(hub: NatsServer, change: dict[str, Any], says: str) -> None:
    uplink = link(hub.url)
    await uplink.topology({"realtime": 1}, apply=True)
    async with uplink.opened() as channel:
        config = await settings(channel) | change
        await channel.ask(f"STREAM.DELETE.{NAME}")
        await channel.ask(f"STREAM.CREATE.{NAME}", config)
    lane = StubLane()
    lane.add(5)
    async with running(uplink, lane):
        fence = await lane.fell("wrong_stream")
    assert says in fence.reason
    assert await stored(uplink) == []


async def test_a_mended_stream_lifts_its_fence(hub: NatsServer) -> None:
    uplink = link(hub.url)
    await uplink.topology({"realtime": 1}, apply=True)
    async with uplink.opened() as channel:
        right = await settings(channel)
        await channel.ask(f"STREAM.UPDATE.{NAME}", right | {"subjects": ["ev.eu-de.realtime.>", "extra"]})
    lane = StubLane()
    lane.add(5)
    async with running(uplink, lane):
        await lane.fell("wrong_stream")
        await api(hub, f"STREAM.UPDATE.{NAME}", right)
        await lane.reached(5)
    assert lane.lifted == ["wrong_stream"]


async def test_a_fence_that_a_person_lifted_lets_the_lane_go_on(hub: NatsServer) -> None:
    lane = StubLane()
    lane.add(10)
    lane.refuse_after = 4
    uplink = link(hub.url, window_rows_max=4)
    async with running(uplink, lane):
        fence = await lane.fell("policy")
        assert fence.action == "Restore the older policy."
        lane.refuse_after = None
        lane.lift()
        await lane.reached(10)
    assert differences(lane.rows, await stored(uplink)) == []


async def test_a_full_stream_waits_and_goes_on_when_there_is_room(hub: NatsServer) -> None:
    uplink = link(hub.url)
    await uplink.topology({"realtime": 1}, apply=True)
    async with uplink.opened() as channel:
        config = await settings(channel)
        await channel.ask(f"STREAM.UPDATE.{NAME}", config | {"max_msgs": 7})
    lane = StubLane()
    lane.add(20)
    async with running(uplink, lane) as diary:
        await diary.heard("window_ended")
        await api(hub, f"STREAM.UPDATE.{NAME}", config)
        await lane.reached(20)
    assert differences(lane.rows, await stored(uplink)) == []
    assert lane.fences == []
