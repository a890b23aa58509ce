"""Targets come, change and go in a running agent, and people decide about what was rejected: nothing lost, nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.branches import branch, done, headquarters, ids, target
from tests.support.ledger import Ledger
from tests.support.nats import NatsServer
from tests.support.region import Region, fact, until

pytestmark = pytest.mark.anyio


async def reload(region: Region) -> tuple[int, dict[str, str]]:
    code, out, err = await region.run("reload", "--json")
    changes = json.loads(out)["changes"] if code == 0 else [{"part": "refused", "change": out + err}]
    return code, {change["part"]: change["change"] for change in changes}


async def deliveries(region: Region, *words: str) -> Any:
    code, out, err = await region.run("deliveries", *words, "--json")
    assert code == 0, out + err
    return json.loads(out)


async def until_target(region: Region, name: str = "erp", **figures: int) -> dict[str, Any]:
    """The target's status once it has these figures."""

    async def is_so() -> dict[str, Any] | None:
        found = (await region.status()).get("targets", {}).get(name, {})
        return found if all(found.get(figure) == value for figure, value in figures.items()) else None

    return dict(await until(is_so, f"{name} has {figures}; it has {(await region.status()).get('targets')}"))


async def test_targets_change_come_and_go_under_load_and_each_gets_its_own_once_in_order(
    hub: NatsServer, ledger: Ledger, tmp_path: Path
) -> None:
    hq, region = headquarters(tmp_path / "hq", hub), branch(tmp_path / "region", hub, ledger)
    async with Ledger(tmp_path / "second") as second, hq, region:
        await hq.send_lines([fact(n, sku=f"K{n % 5}") for n in range(60)])
        region.config.write_text(region.config.read_text().replace("seconds_max = 0.2", "seconds_max = 0.3"))
        code, changed = await reload(region)
        assert (code, changed) == (0, {"targets.erp": "changed"})
        await done(region, ledger, 60)
        region.config.write_text(region.config.read_text() + target("bi", second))
        assert await reload(region) == (0, {"targets.bi": "added"})
        await until_target(region, "bi", received=0)
        await hq.send_lines([fact(n, sku=f"K{n % 5}") for n in range(100, 140)])
        await done(region, ledger, 100)
        await done(region, second, 40, "bi")
        assert second.keys != []
        assert sorted(second.keys) == ids(40, after=60), "a later target begins with what comes from then on"
        ledger.kill()
        await hq.send_lines([fact(200)])
        await until_target(region, pending=1)
        everything = region.config.read_text()
        region.config.write_text(everything.replace(target("erp", ledger).replace("= 0.2\n", "= 0.3\n"), ""))
        code, said = await reload(region)
        assert code == 2
        assert "target erp still has 1 deliveries to make" in said["refused"]
        await ledger.start()
        await done(region, ledger, 101)
        assert await reload(region) == (0, {"targets.erp": "removed"})
        await hq.send_lines([fact(201)])
        await done(region, second, 42, "bi")
        assert "erp" not in (await region.status())["targets"]
        assert sorted(ledger.keys) == ids(101)
        for each in (ledger, second):
            by_key: dict[str, list[int]] = {}
            for effect in each.effects:
                by_key.setdefault(effect["said"]["sku"], []).append(int(effect["key"].rpartition(".")[2]))
            assert all(numbers == sorted(numbers) for numbers in by_key.values())
        assert (await region.ask("journal.verify"))["ok"]


async def test_what_was_rejected_is_shown_masked_and_retried_or_discarded_and_a_disabled_target_enabled(
    hub: NatsServer, ledger: Ledger, tmp_path: Path
) -> None:
    hq, region = headquarters(tmp_path / "hq", hub), branch(tmp_path / "region", hub, ledger)
    async with hq, region:
        ledger.answer(422)
        await hq.send_lines([fact(1, sku="SECRET-1"), fact(2, sku="SECRET-2")])
        found = await until_target(region, letters=2)
        assert (found["dead_lettered"], found["pending"]) == (2, 0)
        first, second = await deliveries(region, "list", "--state", "letter")
        assert "answered 422" in first["reason"]
        assert (first["target"], first["attempts"]) == ("erp", 1)
        shown = await deliveries(region, "show", str(first["id"]))
        assert shown["masked"]
        assert "SECRET" not in shown["data"]
        assert "SECRET" in (await deliveries(region, "show", str(first["id"]), "--unmask"))["data"]
        ledger.answer(None)
        await deliveries(region, "retry", str(first["id"]))
        await until_target(region, delivered=1, letters=1)
        await deliveries(region, "discard", str(second["id"]))
        await until_target(region, delivered=1, letters=0, dead_lettered=1, pending=0)
        ledger.answer(410)
        await hq.send_lines([fact(3), fact(4)])
        status = await region.alerted("target_disabled")
        assert "answered 410" in status["targets"]["erp"]["disabled"]
        ledger.answer(None)
        assert "answered 410" in (await deliveries(region, "enable", "erp"))["was"]
        await until_target(region, delivered=3, pending=0)
        assert sorted(ledger.keys) == ["hq.eu-de.1.1", "hq.eu-de.1.3", "hq.eu-de.1.4"]
        await region.alerted("target_disabled", raised=False)
        code, out, _ = await region.run("status")
        assert "target" in out
        assert code in {0, 1}


async def test_a_target_that_was_removed_from_a_stopped_agent_keeps_its_deliveries_and_a_person_decides(
    hub: NatsServer, ledger: Ledger, tmp_path: Path
) -> None:
    hq, region = headquarters(tmp_path / "hq", hub), branch(tmp_path / "region", hub, ledger)
    ledger.kill()
    async with hq, region:
        await hq.send_lines([fact(1), fact(2)])
        await until_target(region, pending=2)
        assert await region.stop() == 0
        everything = region.config.read_text()
        region.config.write_text(everything.replace(target("erp", ledger), ""))
        await region.start()
        status = await region.alerted("target_left")
        assert (status["targets"]["erp"]["configured"], status["targets"]["erp"]["pending"]) == (False, 2)
        assert await region.stop() == 0
        first, second = await deliveries(region, "list")
        await deliveries(region, "discard", str(first["id"]))
        region.config.write_text(everything)
        await ledger.start()
        await region.start()
        await until_target(region, delivered=1, dead_lettered=1, pending=0)
        assert ledger.keys == [second["key_id"]] == ["hq.eu-de.1.2"]
