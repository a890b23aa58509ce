"""The uplink against a real server: what was sealed stands at the hub, once, in order, whatever happens between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest

from runtime.errors import Permanent
from tests.support.hubs import link, running, stored
from tests.support.lanes import StubCheckpoints, StubLane, differences
from tests.support.nats import NatsServer

pytestmark = pytest.mark.anyio
MODES = pytest.mark.parametrize("mode", ["auto", "single"])


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


@MODES
async def test_the_stream_equals_the_sealed_rows(hub: NatsServer, mode: str) -> None:
    lane = StubLane()
    lane.add(5_000)
    uplink = link(hub.url, publish_mode=mode)
    async with running(uplink, lane):
        await lane.reached(5_000)
    assert differences(lane.rows, await stored(uplink)) == []


@MODES
async def test_the_stream_equals_the_sealed_rows_through_kills_of_the_hub(hub: NatsServer, mode: str) -> None:
    lane = StubLane()
    uplink = link(hub.url, publish_mode=mode)
    async with running(uplink, lane):
        for _ in range(4):
            lane.add(3_000)
            await lane.reached(len(lane.rows) - 2_500)
            await hub.restart()
        lane.add(1)
        await lane.reached(len(lane.rows))
    assert differences(lane.rows, await stored(uplink)) == []
    assert lane.fences == []


async def test_lanes_do_not_delay_each_other_and_keep_apart(hub: NatsServer) -> None:
    bulk, realtime = StubLane("bulk"), StubLane("realtime")
    bulk.add(3_000)
    bulk.refuse_after = 100
    uplink = link(hub.url)
    async with running(uplink, bulk, realtime):
        await bulk.fell("policy")
        realtime.add(10)
        await realtime.reached(10)
    assert differences(realtime.rows, await stored(uplink)) == []
    assert bulk.acked <= 100 + 1024


async def test_an_agent_that_starts_before_its_hub_ships_when_it_comes(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    lane = StubLane()
    lane.add(10)
    uplink = link(server.url)
    async with running(uplink, lane) as diary:
        await diary.heard("disconnected")
        async with server:
            await lane.reached(10)
            assert differences(lane.rows, await stored(uplink)) == []


async def test_a_frozen_hub_gets_nothing_twice(hub: NatsServer) -> None:
    """Half-open: the socket takes bytes and nobody answers, then everything is handled late."""
    lane = StubLane()
    lane.add(100)
    uplink = link(hub.url, ack_timeout_seconds=0.3)
    async with running(uplink, lane) as diary:
        await lane.reached(100)
        hub.freeze()
        lane.add(200)
        assert (await diary.heard("window_ended"))["kind"] == "unknown"
        hub.thaw()
        await lane.reached(300)
    assert differences(lane.rows, await stored(uplink)) == []


async def test_rows_stored_but_never_acknowledged_to_the_journal_are_recognised(hub: NatsServer) -> None:
    """The crash between the hub's answer and the local mark."""
    lane = StubLane()
    lane.add(500)
    uplink = link(hub.url)
    async with running(uplink, lane):
        await lane.reached(500)
    crashed = lane.clone()
    crashed.acked = 123
    async with running(uplink, crashed):
        await crashed.reached(500)
    assert differences(lane.rows, await stored(uplink)) == []
    assert (crashed.rewinds, crashed.fences) == ([], [])


async def test_an_orderly_close_awaits_what_is_on_the_wire(hub: NatsServer) -> None:
    lane = StubLane()
    uplink = link(hub.url)
    async with running(uplink, lane):
        lane.add(20_000)
        await lane.reached(1)
        await uplink.close()
        there = await stored(uplink)
    assert lane.acked == len(there) > 0
    assert differences(lane.rows[: lane.acked], there) == []


async def race(hub: NatsServer, mode: str) -> tuple[list[StubLane], list[list[str]]]:
    """Two agents on copies of one disk publish at the same time, until each is done or fenced.

    Returns both lanes, and for each what the hub's stream has differently.
    """
    first = StubLane()
    first.add(50)
    uplink, cloned_uplink = link(hub.url, publish_mode=mode), link(hub.url, publish_mode=mode)
    async with running(uplink, first):
        await first.reached(50)
        clone = first.clone()
        clone.add(2_000, data=b"other facts")
        first.add(2_000)
        async with running(cloned_uplink, clone):
            await first.decided(2_050)
            await clone.decided(2_050)
    there = await stored(uplink)
    lanes = [first, clone]
    return lanes, [differences(lane.rows[: len(there)], there) for lane in lanes]


async def test_of_two_agents_with_the_same_disk_the_first_wins_and_the_other_is_fenced(hub: NatsServer) -> None:
    lanes, wrong = await race(hub, "auto")
    assert sorted(map(bool, wrong)) == [False, True], "the stream is a mixture, or nobody's"
    loser = lanes[wrong.index([]) - 1]
    assert loser.fences[0].kind in {"diverged", "stale_self"}


async def test_without_fast_ingest_a_second_agent_is_still_found_out(hub: NatsServer) -> None:
    """Single publishes of two writers may interleave; then neither may claim the stream as its own."""
    lanes, wrong = await race(hub, "single")
    for lane, differs in zip(lanes, wrong, strict=True):
        assert bool(lane.fences) == bool(differs)
    assert any(wrong)


async def test_a_row_above_max_payload_waits_and_the_rows_before_it_go(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, extra="max_payload: 4096\n") as server:
        lane = StubLane()
        lane.add(3)
        lane.add(1, data=b"x" * 5_000)
        async with running(link(server.url), lane) as diary:
            await lane.reached(3)
            said = await diary.heard("window_ended")
            assert "raise max_payload" in str(said["reason"])
            assert not any(name == "disconnected" for name, _ in diary.events)
    assert lane.acked == 3


async def test_a_record_that_the_hub_refuses_is_told_with_the_reason_and_goes_when_it_may(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        lane = StubLane()
        lane.add(1)
        async with running(link(server.url), lane) as diary:
            await lane.reached(1)
            client = await nats.connect(server.url)
            streams = client.jetstream()
            config = (await streams.stream_info("EU-DE_REALTIME")).config
            config.max_msgs = 1
            await streams.update_stream(config)
            lane.add(1)
            said = await diary.heard("refused")
            assert "maximum messages" in str(said["reason"])
            assert said["lane"] == "realtime"
            config.max_msgs = -1
            await streams.update_stream(config)
            await lane.reached(2)
            await client.close()


async def test_checkpoints_stand_at_the_hub_once_and_in_order(hub: NatsServer) -> None:
    checkpoints = StubCheckpoints([b"one", b"two", b"three"])
    uplink = link(hub.url)
    async with running(uplink, StubLane(), checkpoints=checkpoints):
        await checkpoints.all_sent()
    again = StubCheckpoints([b"one", b"two", b"three", b"four"])
    async with running(uplink, StubLane(), checkpoints=again):
        await again.all_sent()
    there = await stored(uplink, "checkpoints")
    assert [found.data for found in there] == [b"one", b"two", b"three", b"four"]
    assert [found.headers["nats-msg-id"] for found in there] == [f"eu-de-checkpoint-{n}" for n in range(1, 5)]


async def test_another_checkpoint_of_the_same_number_is_never_marked_as_sent(hub: NatsServer) -> None:
    uplink = link(hub.url)
    checkpoints = StubCheckpoints([b"one"])
    async with running(uplink, StubLane(), checkpoints=checkpoints):
        await checkpoints.all_sent()
    forged = StubCheckpoints([b"other"])
    async with running(uplink, StubLane(), checkpoints=forged) as diary:
        assert "another checkpoint 1" in str((await diary.heard("checkpoints_wait"))["reason"])
    assert forged.done == []


async def test_any_client_can_read_the_headers(hub: NatsServer) -> None:
    lane = StubLane()
    lane.add(1)
    uplink = link(hub.url)
    async with running(uplink, lane):
        await lane.reached(1)
    client = await nats.connect(hub.url)
    message = await client.jetstream().get_msg("EU-DE_REALTIME", 1)
    await client.close()
    assert message.headers is not None
    assert message.headers["ce-id"] == "1.1.0"
    assert message.headers["entrepot-chain"] == lane.rows[0].chain.hex()


async def test_the_last_message_of_a_missing_stream_is_no_empty_stream(hub: NatsServer) -> None:
    with pytest.raises(Permanent, match="no stream EU-DE_REALTIME"):
        await link(hub.url).last("realtime")


async def test_a_stopped_hub_is_seen_and_no_credentials_leave_without_tls(hub: NatsServer, tmp_path: Path) -> None:
    uplink = link(hub.url.replace("nats:", "tls:"), user="ada", password="secret://word")
    async with running(uplink, StubLane()) as diary:
        assert "does not offer TLS" in str((await diary.heard("disconnected"))["reason"])
