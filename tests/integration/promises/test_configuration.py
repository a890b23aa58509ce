"""Promise 9: a revision that breaks an agent reverts by itself, without the hub."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import Headquarters
from tests.support.nats import NatsServer, free_port
from tests.support.region import MAPPING, Region, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
SECRET = "a-secret-that-no-sender-has-yet"
NOT_TRANSLATABLE = MAPPING.replace('on_hand = { path = "qty"', 'on_hand = { path = "quantity"').encode()
TIGHTER = {"sources": {"wms": {"auth": {"scheme": "bearer", "secrets": ["secret://wms"]}}}}
ENOUGH = 12


def region_of(tmp_path: Path, hub: NatsServer, table: str) -> Region:
    region = Region(tmp_path / "region", hub.url, more=table + '\n[secrets]\ndir = "secrets"\n')
    (region.directory / "secrets").mkdir()
    (region.directory / "secrets" / "wms").write_text(SECRET)
    return region


async def on_trial(region: Region, version: int) -> None:
    """It is in force, not only about to be."""

    async def is_so() -> bool:
        now = (await region.status())["revision"]
        assert now["stage"] not in {"reverted", "rejected"}, now
        told = [line for line in region.log.splitlines() if "of headquarters is on trial" in line]
        return now["in_force"] == version and any(f'"version":{version}' in line for line in told)

    await until(is_so, f"revision {version} is on trial; {region.log[-1500:]}")


async def reverted(region: Region, told: str) -> dict[str, Any]:
    now = await region.alerted("revision_reverted")
    assert any(told in alert["sentence"] for alert in now["alerts"]), now["alerts"]
    assert now["revision"]["in_force"] == now["revision"]["confirmed"]
    return now


@pytest.mark.parametrize(
    ("settings", "files", "told"),
    [
        (TIGHTER, {}, "requests to wms are refused"),
        ({"gateway": {"rate_per_second": 0.001, "burst": 1}}, {}, "requests to wms are refused"),
        ({"sources": {"wms": {"limits": {"body_bytes_max": 10}}}}, {}, "requests to wms are refused"),
        ({}, {"mapping.toml": NOT_TRANSLATABLE}, "messages of wms became letters"),
    ],
    ids=["senders are turned away", "too slow for everybody", "nothing fits", "nothing can be translated"],
)
async def test_promise_9_broken_intake_reverts_by_itself_with_the_hub_cut_off(
    hub: NatsServer, tmp_path: Path, settings: dict[str, Any], files: dict[str, bytes], told: str
) -> None:
    async with Headquarters(hub.url) as hq:
        region = region_of(tmp_path, hub, hq.table(soak_seconds=60.0, hub_seconds_max=500.0))
        async with region:
            before = await region.status()
            await region.persist([fact(n) for n in range(ENOUGH)])
            await region.settled(facts=ENOUGH)
            await hq.publish(1, settings, files)
            await on_trial(region, 1)
            hub.kill()

            async def taken_back() -> bool:
                with suppress(OSError):
                    await region.send(fact(1_000 + len(region.receipts)))
                return (await region.status())["revision"]["stage"] == "reverted"

            await until(taken_back, f"it is taken back; {region.log[-1500:]}")
            now = await reverted(region, told)
            assert now["config"] == before["config"]
            await region.persist([fact(5_000 + n) for n in range(3)])
            await hub.start()
            said = await hq.staged(region, "reverted", 1, told)
            assert (said.failed, said.confirmed, said.effective) == ([1], 0, before["config"])
            await hq.publish(2, {"gateway": {"burst": 999}})
            assert (await hq.staged(region, "provisional", 2)).confirmed == 0


async def test_promise_9_a_broken_hub_link_reverts_by_itself_and_loses_nothing(hub: NatsServer, tmp_path: Path) -> None:
    async with Headquarters(hub.url) as hq:
        region = region_of(tmp_path, hub, hq.table(hub_seconds_max=3.0))
        async with region:
            await hq.publish(1, {"gateway": {"burst": 777}})
            await hq.staged(region, "confirmed", 1)
            await hq.publish(2, {"hub": {"servers": [f"nats://127.0.0.1:{free_port()}"]}})
            await on_trial(region, 2)
            await region.persist([fact(n) for n in range(ENOUGH)])
            await reverted(region, "there is no connection to the hub")
            said = await hq.staged(region, "reverted", 2, "not confirmed within 3 s")
            assert (said.failed, said.confirmed) == ([2], 1)
            await region.settled(facts=ENOUGH)
            assert origins(await stored(hub.url)) == expected(region.receipts)


async def test_promise_9_a_hub_without_headquarters_is_no_hub_to_stay_with(hub: NatsServer, tmp_path: Path) -> None:
    """The data would flow, and nobody could ever steer the region again."""
    async with Headquarters(hub.url) as hq, NatsServer(tmp_path / "other") as other:
        region = region_of(tmp_path, hub, hq.table(hub_seconds_max=3.0))
        async with region:
            await hq.publish(1, {"hub": {"servers": [other.url]}})
            await hq.staged(region, "reverted", 1, "cannot be read at the hub")


async def test_promise_9_an_address_that_is_taken_changes_nothing(hub: NatsServer, tmp_path: Path) -> None:
    async with Headquarters(hub.url) as hq:
        region = region_of(tmp_path, hub, hq.table())
        async with region:
            await hq.publish(1, {"gateway": {"listen": f"127.0.0.1:{hub.port}"}}, {"mapping.toml": NOT_TRANSLATABLE})
            await hq.staged(region, "rejected", 1, "taken by another process")
            await region.persist([fact(1)])
            assert (await region.settled(facts=1))["dead_lettered"] == 0


async def test_promise_9_a_revision_that_ends_the_process_is_gone_at_the_next_start(
    hub: NatsServer, tmp_path: Path
) -> None:
    async with Headquarters(hub.url) as hq:
        region = region_of(tmp_path, hub, hq.table(soak_seconds=60.0))
        async with region:
            await hq.publish(1, {"gateway": {"burst": 777}})
            await on_trial(region, 1)
            region.kill()
            hub.kill()
            await region.start()
            now = await reverted(region, "without an orderly stop")
            assert now["revision"]["in_force"] == 0
            await region.persist([fact(1)])


async def test_promise_9_a_lane_changes_when_it_has_drained_and_back_at_once_without_the_hub(
    hub: NatsServer, tmp_path: Path
) -> None:
    """Going back must not wait for the hub, and must not let an event overtake another on its new lane."""
    async with Headquarters(hub.url) as hq:
        region = region_of(tmp_path, hub, hq.table(soak_seconds=60.0, hub_seconds_max=500.0) + "\n[lanes.bulk]\n")
        text = region.config.read_text()
        region.config.write_text(
            text.replace('mapping = "mapping.toml"', 'mapping = "mapping.toml"\nlane = "realtime"')
        )
        async with region:
            before = await region.status()
            await region.persist([fact(n) for n in range(ENOUGH)])
            await hq.publish(
                1,
                {
                    "sources": {"wms": {"limits": {"body_bytes_max": 200}}},
                    "routes": [{"lane": "bulk", "when": {"source": "wms"}}],
                },
            )
            await on_trial(region, 1)
            hub.kill()
            await region.persist([fact(1_500 + n) for n in range(3)])

            async def taken_back() -> bool:
                await region.send(fact(2_000, site="x" * 200))
                return (await region.status())["revision"]["stage"] == "reverted"

            await until(taken_back, f"it is taken back; {region.log[-1500:]}")
            await region.persist([fact(3_000 + n, site="x" * 200) for n in range(3)])
            assert (await region.status())["config"] != before["config"], "the lanes did not wait"
            await hub.start()

            async def all_is_back() -> bool:
                return (await region.status())["config"] == before["config"]

            await until(all_is_back, f"the lanes follow; {region.log[-1500:]}")
            await region.persist([fact(4_000 + n) for n in range(3)])
            await region.settled(facts=len({r["intake_seq"] for r in region.receipts}))
            lanes = [await stored(hub.url, f"EU-DE_{name}") for name in ("REALTIME", "BULK")]
            assert all(lanes), "only one lane was ever used"
            together = sorted((message for lane in lanes for message in lane), key=lambda message: message.time)
            assert origins(together) == expected(region.receipts), "an event overtook another on its new lane"
            assert (await hq.staged(region, "reverted", 1)).failed == [1]
