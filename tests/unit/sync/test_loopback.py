"""The hub in memory keeps the same promises through the same link, so kernel tests may stand on it."""

from __future__ import annotations

import pytest

from sync.loopback import LoopbackLink, MemoryHub
from tests.support.hubs import running, scope, stored
from tests.support.lanes import StubCheckpoints, StubLane, differences

pytestmark = pytest.mark.anyio
NAME = "EU-DE_REALTIME"


@pytest.mark.parametrize("version", [(2, 15, 1), (2, 10, 0)])
async def test_rows_and_checkpoints_arrive(version: tuple[int, int, int]) -> None:
    hub = MemoryHub(version=version)
    link, lane, checkpoints = LoopbackLink(hub, scope()), StubLane(), StubCheckpoints([b"one"])
    lane.add(3_000)
    async with running(link, lane, checkpoints=checkpoints):
        await lane.reached(3_000)
        await checkpoints.all_sent()
    assert differences(lane.rows, await stored(link)) == []
    assert [found.data for found in await stored(link, "checkpoints")] == [b"one"]


async def test_a_cut_and_a_rollback_end_in_the_same_stream() -> None:
    hub = MemoryHub()
    link, lane = LoopbackLink(hub, scope()), StubLane()
    async with running(link, lane):
        lane.add(500)
        await lane.reached(500)
        hub.restart(lost={NAME: 120})
        link.cut()
        assert (await lane.rewound())[0] == 120
        lane.add(500)
        await lane.reached(1_000)
    assert differences(lane.rows, await stored(link)) == []


async def test_away_means_away_until_it_is_back() -> None:
    hub = MemoryHub()
    hub.away = True
    link, lane = LoopbackLink(hub, scope()), StubLane()
    lane.add(5)
    async with running(link, lane) as diary:
        await diary.heard("disconnected")
        assert lane.acked == 0
        hub.away = False
        await lane.reached(5)


async def test_a_second_writer_is_refused_by_the_expected_sequence() -> None:
    hub = MemoryHub()
    lane, other = StubLane(), StubLane()
    lane.add(10)
    other.add(10, data=b"other")
    async with running(LoopbackLink(hub, scope()), lane):
        await lane.reached(10)
    async with running(LoopbackLink(hub, scope()), other):
        await other.fell("diverged")
    assert differences(lane.rows, await stored(LoopbackLink(hub, scope()))) == []
