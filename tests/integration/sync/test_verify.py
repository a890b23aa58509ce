"""`verify` against a real hub: the truth passes, and what somebody did to the streams is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtime import record
from runtime.envelope import Sealed
from runtime.ports import HubRecord, Verdict
from sync import HUB
from sync.settings import HubSettings
from sync.wire import message_frame
from tests.support.hubs import link, running, stored
from tests.support.lanes import REGION, StubCheckpoints, StubLane
from tests.support.nats import NatsServer
from tests.support.statements import OTHER, PUBLIC, Notary

pytestmark = pytest.mark.anyio
NAME = "EU-DE_REALTIME"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A hub with 300 events of lane realtime and two checkpoints that speak of them."""
    async with NatsServer(tmp_path) as server:
        lane, notary = StubLane(), Notary()
        lane.add(300)
        bodies = [notary.checkpoint({"realtime": (n, lane.rows[n - 1].chain)}) for n in (120, 300)]
        checkpoints = StubCheckpoints(bodies)
        async with running(link(server.url), lane, checkpoints=checkpoints):
            await lane.reached(300)
            await checkpoints.all_sent()
        yield server


async def verify(hub: NatsServer, key: bytes = PUBLIC) -> Verdict:
    settings = HubSettings(servers=[hub.url])
    return await HUB.verify(settings, region=REGION, public_key=key, directory=".")


async def rewrite(hub: NatsServer, records: list[HubRecord], **change: Any) -> None:
    """What an administrator of the hub could do: the stream made anew with these records."""
    async with link(hub.url).opened() as channel:
        config = (await channel.ask(f"STREAM.INFO.{NAME}"))["config"] | change
        await channel.ask(f"STREAM.DELETE.{NAME}")
        await channel.ask(f"STREAM.CREATE.{NAME}", config)
        for found in records:
            headers = {n: v for n, v in found.headers.items() if not n.startswith("nats-")}
            await channel.write(message_frame(found.subject, "nobody", headers, found.data))
        await channel.ask(f"STREAM.INFO.{NAME}")


async def test_the_truth_passes_and_is_counted(hub: NatsServer) -> None:
    seen: list[tuple[str, int, int]] = []
    settings = HubSettings(servers=[hub.url])
    verdict = await HUB.verify(
        settings, region=REGION, public_key=PUBLIC, directory=".", progress=lambda *step: seen.append(step)
    )
    assert verdict.ok
    assert (verdict.checkpoints, [lane.records for lane in verdict.lanes]) == (2, [300])
    assert seen[-1] == ("realtime", 300, 300)


async def test_rewritten_without_a_change_it_still_passes(hub: NatsServer) -> None:
    await rewrite(hub, list(await stored(link(hub.url))))
    assert (await verify(hub)).ok


@pytest.mark.parametrize("what", ["removed", "changed", "reordered", "forged", "cut"])
async def test_tampering_with_a_stream_is_found(hub: NatsServer, what: str) -> None:
    there = list(await stored(link(hub.url)))
    stranger = HubRecord(seq=0, subject=there[0].subject, headers=there[0].headers, data=b"{}", time="")
    altered = {
        "removed": there[:100] + there[101:],
        "changed": [*there[:100], HubRecord(**_fields(there[100]) | {"data": b"{}"}), *there[101:]],
        "reordered": [*there[:100], there[101], there[100], *there[102:]],
        "forged": [*there, stranger],
        "cut": there[:250],
    }
    await rewrite(hub, altered[what])
    verdict = await verify(hub)
    assert not verdict.ok
    assert verdict.lanes[0].problems


def _fields(found: HubRecord) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__struct_fields__}


async def test_a_message_deleted_in_place_is_found(hub: NatsServer) -> None:
    await rewrite(hub, list(await stored(link(hub.url))), deny_delete=False)
    async with link(hub.url).opened() as channel:
        await channel.ask(f"STREAM.MSG.DELETE.{NAME}", {"seq": 77})
    assert "record 77 is missing" in (await verify(hub)).lanes[0].problems


async def test_a_purged_front_of_a_stream_that_keeps_everything_is_found(hub: NatsServer) -> None:
    await rewrite(hub, list(await stored(link(hub.url))), deny_purge=False)
    async with link(hub.url).opened() as channel:
        await channel.ask(f"STREAM.PURGE.{NAME}", {"seq": 50})
    assert any("records 1 to 49 were removed" in sentence for sentence in (await verify(hub)).lanes[0].problems)


async def test_another_key_proves_nothing(hub: NatsServer) -> None:
    verdict = await verify(hub, OTHER.public_key().public_bytes_raw())
    assert not verdict.ok
    assert any("signed by another key" in sentence for sentence in verdict.problems)


async def test_a_lane_whose_stream_is_gone_is_missed(hub: NatsServer) -> None:
    async with link(hub.url).opened() as channel:
        await channel.ask(f"STREAM.DELETE.{NAME}")
    verdict = await verify(hub)
    assert any("no stream of lane realtime" in sentence for sentence in verdict.problems)


async def test_a_hub_without_the_region_is_no_success(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, name="empty") as server:
        assert not (await verify(server)).ok


async def test_an_event_that_was_sealed_twice_is_found_at_the_hub(tmp_path: Path) -> None:
    """A region that signs it and chains it rightly is not believed either."""
    async with NatsServer(tmp_path) as server:
        lane, notary = StubLane(), Notary()
        lane.add(20)
        again = lane.rows[4].headers.replace(b"entrepot-seq:5", b"entrepot-seq:21")
        subject, data = lane.rows[4].subject, lane.rows[4].data
        chain = record.chain(lane.rows[-1].chain, 1, 21, subject.encode(), again, data)
        lane.rows.append(Sealed(seq=21, epoch=1, subject=subject, headers=again, data=data, chain=chain))
        checkpoints = StubCheckpoints([notary.checkpoint({"realtime": (21, chain)})])
        async with running(link(server.url), lane, checkpoints=checkpoints):
            await lane.reached(21)
            await checkpoints.all_sent()
        verdict = await verify(server)
        assert not verdict.ok
        assert verdict.lanes[0].problems == ["record 21 is record 5 once more: both have origin 1.5.0"]
