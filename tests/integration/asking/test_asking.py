"""A real agent asks a real partner: polled items and followed messages reach the hub once, through kills of the agent."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.support.nats import NatsServer
from tests.support.partner import answer, item, partner
from tests.support.region import Region, events, fact, stored, until

pytestmark = pytest.mark.anyio
FOLLOW = """
[sources.wms.follow]
when = "kind == 'LOOK'"
url = "{url}/doc/{{ref.no}}?full=1"
networks = ["loopback"]
attempts_max = 6
again_seconds_min = 0.0
again_seconds_max = 0.05
"""
POLL = """
[sources.carrier]
adapter = "rest_poll"
mapping = "mapping.toml"
url = "{url}/items?since={{cursor}}"
items = "data.items"
every_seconds = 0.1
networks = ["loopback"]
requests_per_hour_max = 100000
cursor = {{ path = "updated_at", start = "2026-01-01T00:00:00Z", overlap_seconds = 2 }}
pages = {{ by = "link" }}
"""


def stock(number: int) -> dict[str, object]:
    return {
        **item(number),
        "id": f"m-{number}",
        "kind": "STOCK",
        "sku": f"S-{number}",
        "qty": number,
        "at": "2026-03-02T08:14:09Z",
    }


async def skus(hub: NatsServer) -> list[str]:
    return [orjson.loads(message.data)["sku"] for message in events(await stored(hub.url))]


async def test_polled_items_reach_the_hub_once_through_kills(hub: NatsServer, tmp_path: Path) -> None:
    async with partner() as served:
        served.items = [stock(number) for number in range(1, 11)]
        async with Region(tmp_path / "region", hub.url, more=POLL.format(url=served.url)) as region:
            for start in (11, 21, 31):
                served.items += [stock(number) for number in range(start, start + 10)]
                await served.asks(len(served.asked) + 2)
                region.kill()
                await region.start()
            status = await region.settled(facts=40)
            assert status["balanced"]
            assert await skus(hub) == [f"S-{number}" for number in range(1, 41)]
            await served.asks(len(served.asked) + 3)
            assert (await region.status())["accepted"] == 40


async def test_a_thin_message_is_answered_first_and_followed_through_kills_and_faults(
    hub: NatsServer, tmp_path: Path
) -> None:
    async with partner() as served:
        served.faults += [answer(500), answer(404)]
        for number in range(12):
            served.documents[f"/doc/{number}"] = answer(body=fact(100 + number, sku=f"D-{number}"))
        async with Region(tmp_path / "region", hub.url, more=FOLLOW.format(url=served.url)) as region:
            for number in range(12):
                status, _ = await region.send(fact(number, kind="LOOK", ref={"no": number}))
                assert status == 202
                if number % 4 == 3:
                    region.kill()
                    await region.start()
            done = await region.settled(facts=24)
            assert done["balanced"]
            assert (done["accepted"], done["ignored"]) == (24, 12)
            assert sorted(await skus(hub)) == sorted(f"D-{number}" for number in range(12))
            assert {asked.query["full"] for asked in served.asked} == {"1"}


async def test_what_the_partner_does_not_have_is_a_letter_that_can_be_retried(hub: NatsServer, tmp_path: Path) -> None:
    async with partner() as served, Region(tmp_path / "region", hub.url, more=FOLLOW.format(url=served.url)) as region:
        await region.send(fact(1, kind="LOOK", ref={"no": "../secret"}))
        found = await until(lambda: _letters(region), "a letter")
        assert "answered 404" in found[0]["reason"]
        assert {asked.path for asked in served.asked} == {"/doc/../secret"}, (
            "decoded by the server: one part on the wire"
        )
        served.documents["/doc/../secret"] = answer(body=fact(2, sku="D-1"))
        code, _, said = await region.run("letters", "retry", str(found[0]["id"]))
        assert code == 0, said
        done = await region.settled(facts=2)
        assert (done["accepted"], done["ignored"], done["dead_lettered"]) == (2, 1, 0)
        assert await skus(hub) == ["D-1"]


async def _letters(region: Region) -> list[dict[str, object]]:
    _, out, _ = await region.run("letters", "list", "--json")
    found = orjson.loads(out or b"[]")
    return list(found["letters"] if isinstance(found, dict) else found)


async def test_a_source_that_follows_no_more_translates_what_waits(hub: NatsServer, tmp_path: Path) -> None:
    more = FOLLOW.replace("attempts_max = 6", "attempts_max = 900")
    async with partner() as served, Region(tmp_path / "region", hub.url, more=more.format(url=served.url)) as region:
        await region.send(fact(1, kind="LOOK", ref={"no": 1}))
        await served.asks(2)
        assert (await region.status())["pending"] == 1
        region.configure(hub.url)
        code, _, said = await region.run("reload")
        assert code == 0, said
        found = await until(lambda: _letters(region), "what waited is translated as it stands")
        assert (await region.status())["dead_lettered"] == len(found) == 1
