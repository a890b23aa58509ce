"""Promise 4 on real agents, a real hub and a real target: what headquarters orders is done once, whatever dies."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.support.branches import branch, done, headquarters, ids
from tests.support.ledger import Ledger
from tests.support.nats import NatsServer
from tests.support.region import Region, expected, fact, until

pytestmark = pytest.mark.anyio


async def test_promise_4_a_command_is_executed_once_through_kills_of_agent_hub_and_target(
    hub: NatsServer, ledger: Ledger, tmp_path: Path
) -> None:
    hq, region = headquarters(tmp_path / "hq", hub), branch(tmp_path / "region", hub, ledger)
    async with hq, region:
        async with anyio.create_task_group() as tasks:
            for sender in range(3):
                tasks.start_soon(hq.persist, [fact(sender * 1_000 + n, sku=f"K{n % 7}") for n in range(60)])
            for turn in range(3):
                await until(lambda t=turn: _at_least(ledger, 20 + 40 * t), "commands are executed")  # type: ignore[misc]
                region.kill()
                await ledger.restart()
                await hub.restart()
                await region.start()
        await hq.settled(facts=180)
        status = await done(region, ledger, 180)
        assert len(expected(hq.receipts)) == 180
        assert sorted(ledger.keys) == ids(180), "each command once, and no other"
        assert status["targets"]["erp"]["balanced"]
        assert status["targets"]["erp"]["idempotent"]
        by_key: dict[str, list[int]] = {}
        for effect in ledger.effects:
            by_key.setdefault(effect["said"]["sku"], []).append(int(effect["key"].rpartition(".")[2]))
        assert all(numbers == sorted(numbers) for numbers in by_key.values()), "commands of one key in order"
        verified = await region.ask("journal.verify")
        assert verified["ok"], verified


async def _at_least(ledger: Ledger, count: int) -> bool:
    return len(ledger.keys) >= count


async def test_promise_4_a_region_without_its_hub_goes_on_delivering_what_it_has(
    hub: NatsServer, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.kill()
    hq, region = headquarters(tmp_path / "hq", hub), branch(tmp_path / "region", hub, ledger)
    async with hq, region:
        await hq.send_lines([fact(n) for n in range(40)])
        await until(lambda: _taken_in(region, 40), "the region has taken in what headquarters sent")
        hub.kill()
        await region.stop()
        await ledger.start()
        await region.start()
        status = await done(region, ledger, 40)
        assert not status["hub_connected"]
        assert sorted(ledger.keys) == ids(40)


async def _taken_in(region: Region, count: int) -> bool:
    return bool((await region.status()).get("targets", {}).get("erp", {}).get("received") == count)


async def test_promise_6_a_downlink_that_does_not_continue_stops_and_a_person_decides(
    hub: NatsServer, ledger: Ledger, tmp_path: Path
) -> None:
    hq, region = headquarters(tmp_path / "hq", hub), branch(tmp_path / "region", hub, ledger)
    async with hq, region:
        await hq.send_lines([fact(n) for n in range(10)])
        await done(region, ledger, 10)
    hub.kill()
    async with NatsServer(tmp_path / "other") as other:
        stranger = headquarters(tmp_path / "stranger", other)
        region.configure(other.url, more=region.config.read_text().partition("on_letter")[2].partition("\n")[2])
        async with stranger, region:
            await stranger.send_lines([fact(n, sku="Z") for n in range(100, 115)])
            await until(lambda: _stopped(region, "diverged"), "the downlink has stopped")
            status = await region.alerted("downlink_fenced")
            assert status["level"] == "critical"
            assert status["downlinks"][0]["seq"] == 10
            code, out, _ = await region.run("status")
            assert code == 2
            assert "headquarters (hq) is not read any more (diverged)" in out
            code, out, _ = await region.run("deliveries", "adopt", "--after", "12")
            assert code == 1
            assert "--confirm goes on behind record 12" in out
            assert (await region.run("deliveries", "adopt", "--after", "12", "--confirm"))[0] == 0
            await done(region, ledger, 13)
            await region.alerted("downlink_fenced", raised=False)
        assert sorted(ledger.keys) == sorted([*ids(10), *ids(3, after=12)])


async def _stopped(region: Region, kind: str) -> bool:
    downlinks = (await region.status()).get("downlinks") or [{"fence": None}]
    return (downlinks[0]["fence"] or {}).get("kind") == kind
