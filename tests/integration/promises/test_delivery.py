"""Promises 1, 2, 3, 5, 7 and 10 on a real agent and a real hub, through kills of both."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import anyio
import msgspec
import nats
import pytest

from runtime.envelope import Checkpoint, Signed
from tests.support.nats import NatsServer
from tests.support.region import MAPPING, POLICY, Region, events, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
ADJUSTMENTS = """
[[outputs]]
type = "stock.adjusted"
when = "kind == 'ADJUST'"
[outputs.fields]
sku = "sku"
adjustment_id = "id"
location_id = { const = "HAM1" }
change = { path = "qty", convert = "decimal" }
occurred_at = { path = "at", convert = "instant" }
unit = { const = "H87" }
reason_code = { const = "count" }
"""


async def test_promise_1_a_receipt_survives_kill_9_and_stays_the_same(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        for start in (0, 40, 80):
            async with anyio.create_task_group() as tasks:
                for sender in range(4):
                    tasks.start_soon(region.persist, [fact(start + sender * 10 + i) for i in range(10)])
                await anyio.sleep(0.05)
                region.kill()
                await region.start()
        first = {r["body"]: r for r in region.receipts}
        for body, receipt in list(first.items())[:20]:
            status, again = await region.send(body)
            same = {k: again[k] for k in ("epoch", "intake_seq", "sha256", "committed_at")}
            assert (status, again["duplicate"]) == (202, True)
            assert same == {k: receipt[k] for k in same}
        assert (await region.send(fact(3, qty=999)))[0] == 409
        status = await region.settled()
        assert status["balanced"]
        assert status["accepted"] == 120
        assert origins(await stored(hub.url)) == expected(region.receipts)


async def test_promise_1_a_stop_in_a_burst_loses_nothing(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        async with anyio.create_task_group() as tasks:
            for sender in range(8):
                tasks.start_soon(_send_until_refused, region, sender)
            await until(lambda: _has(region, 30), "some receipts")
            assert await region.stop() == 0
        await region.start()
        await region.settled()
        assert origins(await stored(hub.url)) == expected(region.receipts)


async def _has(region: Region, count: int) -> bool:
    return len(region.receipts) >= count


async def _send_until_refused(region: Region, sender: int) -> None:
    for number in range(10_000):
        try:
            status, _ = await region.send(fact(sender * 100_000 + number))
        except (aiohttp.ClientError, OSError):
            return
        if status != 202:
            return


async def test_promise_3_the_stream_equals_the_receipts_through_kills_of_hub_and_agent(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        async with anyio.create_task_group() as tasks:
            for sender in range(4):
                tasks.start_soon(region.persist, [fact(sender * 1_000 + i) for i in range(150)])
            for turn in range(3):
                await until(lambda t=turn: _has(region, 120 * t + 60), "progress")  # type: ignore[misc]
                await hub.restart()
                region.kill()
                await region.start()
        status = await region.settled()
        messages = await stored(hub.url)
        assert origins(messages) == expected(region.receipts)
        assert [int(m.headers["entrepot-seq"]) for m in messages] == list(range(1, len(messages) + 1))
        assert status["delivered"] == len(messages) == 600
        assert (await region.verify(hub.url))["ok"]


async def test_promise_3_a_hub_that_lost_acknowledged_events_is_refilled(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.send_lines([fact(n) for n in range(200)])
        await region.settled(facts=200)
        hub.stop()
        hub.snapshot("older")
        await hub.start()
        await region.send_lines([fact(n) for n in range(200, 500)])
        await region.settled(facts=500)
        hub.kill()
        hub.swap("older")
        await hub.start()

        async def refilled() -> bool:
            return len(await stored(hub.url)) == 500

        await until(refilled, "the hub has everything again")
        messages = await stored(hub.url)
        assert origins(messages) == [f"1.{n}.0" for n in range(1, 501)]
        assert (await region.status())["lanes"]["realtime"]["fenced"] is None
        assert "were acknowledged and are gone at the hub" in region.log


async def test_promise_2_events_of_a_key_keep_their_order_behind_a_letter(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url, on_letter="park")
    async with region:
        await region.persist([fact(1, sku="K"), fact(2, sku="K", qty="rubbish"), fact(3, sku="K"), fact(4, sku="L")])
        await until(lambda: _delivered(region, 2), "the others pass")
        assert [m.headers["ce-subject"] for m in await stored(hub.url)] == ["K", "L"]
        mended = (
            (tmp_path / "region" / "mapping.toml")
            .read_text()
            .replace('{ path = "qty", convert = "decimal" }', '{ path = "number", convert = "decimal", default = "7" }')
        )
        (tmp_path / "region" / "mapping.toml").write_text(mended)
        assert await region.stop() == 0
        await region.start()
        code, _, _ = await region.run("letters", "retry")
        assert code == 0
        status = await region.settled()
        messages = await stored(hub.url)
        assert origins(messages) == ["1.1.0", "1.4.0", "1.2.0", "1.3.0"]
        assert [m.headers.get("entrepot-late") for m in messages] == [None, None, "true", None]
        assert status["balanced"]
        assert status["dead_lettered"] == 0


async def _delivered(region: Region, count: int) -> bool:
    return bool((await region.status()).get("delivered", 0) >= count)


async def test_promise_5_the_books_balance_in_status_metrics_and_checkpoint(hub: NatsServer, tmp_path: Path) -> None:
    policy = POLICY.replace("class = [", 'type = "stock.snapshot", class = [')
    region = Region(tmp_path / "region", hub.url, policy=policy, mapping=MAPPING + ADJUSTMENTS)
    async with region:
        rubbish = [b"{", b'{"kind":"STOCK","id":"x"}', b'{"kind":"WHAT","id":"y"}']
        withheld = [fact(100 + n, kind="ADJUST") for n in range(7)]
        await region.send_lines([fact(n) for n in range(50)] + rubbish + [fact(90, kind="PING"), *withheld])
        await region.send_lines([fact(n) for n in range(10)])
        status = await region.settled(facts=61)
        books = {"accepted": 61, "delivered": 50, "withheld": 7, "dead_lettered": 3, "ignored": 1}
        books |= {"expired": 0, "pending": 0}
        assert {name: status[name] for name in books} == books
        assert status["duplicates"] == 10
        await until(lambda: _shown(region, books), "the metrics say the same")
        assert await region.stop() == 0
        signed = [
            msgspec.json.decode(msgspec.json.decode(m.data, type=Signed).statement, type=Checkpoint)
            for m in await stored(hub.url, "EU-DE_CHECKPOINTS")
        ]
        assert all(2 * c.books["accepted"] == sum(c.books.values()) for c in signed)
        assert (signed[-1].final, signed[-1].books) == (True, books)
        assert (await region.verify(hub.url))["checkpoints"] == len(signed)


async def _shown(region: Region, books: dict[str, int]) -> bool:
    async with aiohttp.ClientSession() as http, http.get(f"{region.url}/metrics") as answer:
        shown = dict(line.split(" ") for line in (await answer.text()).splitlines() if line[0] != "#")
    assert float(shown.get("entrepot_books_difference_events", 0)) == 0
    return all(float(shown.get(f"entrepot_{name}_events", -1)) == count for name, count in books.items())


async def _proven(region: Region, hub: NatsServer) -> dict[str, object] | None:
    verdict = await region.verify(hub.url)
    return verdict if verdict.get("checkpoints") else None


async def test_promise_7_the_region_works_without_the_hub_and_catches_up(tmp_path: Path) -> None:
    hub = NatsServer(tmp_path / "hub")
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.send_lines([fact(n) for n in range(300)])
        status = await region.status()
        assert not status["hub_connected"]
        assert status["pending"] == 300
        assert status["disk_budget_bytes"] > status["disk_used_bytes"] > 0
        async with hub:
            await region.settled(facts=300)
            assert origins(await stored(hub.url)) == [f"1.{n}.0" for n in range(1, 301)]


async def test_promise_10_verify_proves_an_honest_stream_and_catches_a_planted_record(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.send_lines([fact(n) for n in range(100)])
        await region.settled(facts=100)
        await until(lambda: _proven(region, hub), "a checkpoint at the hub")
        assert await region.stop() == 0
        verdict = await region.verify(hub.url)
        assert verdict["ok"], verdict
        assert verdict["lanes"][0]["records"] == 100
        connection = await nats.connect(hub.url)
        genuine = events(await stored(hub.url))[-1]
        headers = {k: v for k, v in genuine.headers.items() if not k.startswith("Nats-")} | {"entrepot-seq": "101"}
        await connection.jetstream().publish(genuine.subject, b'{"sku":"forged"}', headers=headers)
        await connection.close()
        verdict = await region.verify(hub.url)
        assert not verdict["ok"]
