"""Promise 4 on real agents, a real hub and a real target: what headquarters orders is done once, whatever dies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.ledger import Ledger
from tests.support.nats import NatsServer
from tests.support.probes import installed
from tests.support.region import Region, expected, fact, until

pytestmark = pytest.mark.anyio
DELIVERING = """
[downlink]
region = "hq"
[targets.erp]
adapter = "probe"
url = "{url}"
[targets.erp.retry]
seconds_min = 0.05
seconds_max = 0.2
"""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "hub") as server:
        yield server


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with Ledger(tmp_path / "ledger") as running:
        yield running


def headquarters(directory: Path, hub: NatsServer) -> Region:
    """The same program; its lane `eu-de` is the downlink of the region."""
    return Region(directory, hub.url, region="hq", lane="eu-de")


def branch(directory: Path, hub: NatsServer, ledger: Ledger, more: str = DELIVERING) -> Region:
    region = Region(directory, hub.url, more=more.format(url=ledger.url))
    region.variables |= installed(directory / "plugins")
    return region


def ids(count: int) -> list[str]:
    """One id for each command, by its place in headquarters' lane."""
    return sorted(f"hq.eu-de.1.{number}" for number in range(1, count + 1))


async def done(region: Region, ledger: Ledger, count: int) -> dict[str, Any]:
    """The status once so many commands were executed and the region knows it."""

    async def is_so() -> dict[str, Any] | None:
        now = await region.status()
        target = now.get("targets", {}).get("erp", {})
        return now if target.get("delivered", 0) >= count and not target["pending"] else None

    said = f"{len(ledger.effects)} effects; {(await region.status()).get('targets')}; {region.log[-1500:]}"
    return dict(await until(is_so, f"{count} commands are executed: {said}"))


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
