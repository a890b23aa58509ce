"""A region takes a configuration from headquarters through a real hub, or refuses it and says why."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from runtime.fleet import signing
from runtime.fleet.documents import REVISION
from sync import fleet_names as names
from tests.support.fleet import REGION, Headquarters, new_key, revision
from tests.support.nats import NatsServer
from tests.support.region import MAPPING, POLICY, Region, events, fact, stored, until

pytestmark = pytest.mark.anyio
KILOGRAMS = MAPPING.replace("version = 1", "version = 2").replace('"H87"', '"KGM"').encode()
LOOSE = POLICY.replace('"business.confidential"]', '"business.confidential", "personal.contact"]').encode()


class Fleet:
    """A hub, headquarters, and one region."""

    def __init__(self, hub: NatsServer, hq: Headquarters, region: Region) -> None:
        self.hub, self.hq, self.region = hub, hq, region

    async def confirmed(self, version: int) -> dict[str, Any]:
        await self.hq.staged(self.region, "confirmed", version)
        return await self.region.status()

    async def refused(self, told: str) -> None:
        """Headquarters hears why, an alert says it, and what was in force goes on."""
        found = await self.hq.staged(self.region, "rejected", reason=told)
        assert found.confirmed == 1
        now = await self.region.alerted("revision_rejected")
        assert any(told in alert["sentence"] for alert in now["alerts"])
        assert now["revision"]["in_force"] == 1
        await self.region.persist([fact(len(self.region.receipts) + 1)])


@asynccontextmanager
async def fleet(tmp_path: Path, **settings: float) -> AsyncIterator[Fleet]:
    async with NatsServer(tmp_path / "hub") as hub, Headquarters(hub.url) as hq:
        region = Region(tmp_path / "region", hub.url, more=hq.table(**settings))
        async with region:
            yield Fleet(hub, hq, region)


async def test_a_good_revision_is_confirmed_and_survives_a_restart(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        region, hq = it.region, it.hq
        before = await region.status()
        await hq.publish(1, {"journal": {"refill_hours": 48}}, {"mapping.toml": KILOGRAMS})
        now = await it.confirmed(1)
        assert now["config"] != before["config"]
        assert now["revision"] | {"reason": ""} == {
            "in_force": 1, "stage": "confirmed", "version": 1, "reason": "", "confirmed": 1, "override_until": "",
        }  # fmt: skip
        await region.persist([fact(1)])
        await region.stop()
        await region.start()
        assert (await region.status())["config"] == now["config"]
        await region.persist([fact(2)])
        await region.settled(facts=2)
        assert [orjson.loads(m.data)["unit"] for m in events(await stored(it.hub.url))] == ["KGM", "KGM"]


async def test_commands_see_what_is_in_force_and_where_it_comes_from(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        await it.hq.publish(1, {"gateway": {"burst": 777}}, {"mapping.toml": KILOGRAMS})
        now = await it.confirmed(1)
        for _ in range(2):  # with a running agent, then with a stopped one
            code, out, err = await it.region.run("revision", "show", "--json")
            assert code == 0, out + err
            shown = json.loads(out)
            assert (shown["in_force"], shown["settings"], shown["files"]) == (
                1,
                {"gateway.burst": "group/de"},
                ["mapping.toml"],
            )
            assert (shown["by"], shown["ticket"]) == ("ada", "CHG-1")
            _, out, err = await it.region.run("check", "--json")
            assert json.loads(out)["digest"] == now["config"], out + err
            await it.region.stop()


async def test_what_belongs_to_the_process_and_its_socket_is_steered_without_a_restart(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        settings = {"gateway": {"backlog_max": 77}, "journal": {"watchdog_seconds": 444}}
        await it.hq.publish(1, settings)
        await it.confirmed(1)
        listens = ["ss", "-ltnH", f"sport = :{it.region.port}"]
        asked = await anyio.run_process(listens)
        assert asked.stdout.split()[2] == b"77", "the queue that the operating system keeps"
        _, out, _ = await it.region.run("revision", "show", "--json")
        assert json.loads(out)["settings"].keys() == {"gateway.backlog_max", "journal.watchdog_seconds"}


async def test_a_reload_reads_the_local_file_under_the_revision(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        region = it.region
        await it.hq.publish(1, {"gateway": {"burst": 777}})
        await it.confirmed(1)
        region.config.write_text(region.config.read_text().replace("audit_seconds = 1.0", "audit_seconds = 2.0"))
        code, out, err = await region.run("reload", "--json")
        assert code == 0, out + err
        assert [(change["part"], change["detail"]) for change in json.loads(out)["changes"]] == [
            ("hub", "audit_seconds")
        ]
        assert (await region.status())["revision"]["in_force"] == 1


async def test_a_heartbeat_says_how_the_region_is(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        await it.region.persist([fact(n) for n in range(3)])
        await it.region.settled(facts=3)

        async def told() -> Any:
            found = await it.hq.presence(it.region)
            return found if found is not None and found.books["delivered"] == 3 else None

        found = await until(told, "a heartbeat")
        status = await it.region.status()
        assert (found.config, found.labels) == (status["config"], {"country": "DE"})
        assert found.lanes["realtime"]["acked"] == 3
        assert found.versions["nats-server"].startswith("2.")
        assert found.versions["sqlite"]
        assert found.versions["entrepot"] == status["version"]


# ---------------------------------------------------------------- refused, with the reason


@pytest.mark.parametrize(
    ("settings", "files", "told"),
    [
        ({"region": "eu-fr"}, {}, "`region`"),
        ({"environment": "prod"}, {}, "`environment`"),
        ({"data_dir": "elsewhere"}, {}, "`data_dir`"),
        ({"secrets": {"dir": "elsewhere"}}, {}, "`secrets`"),
        ({"fleet": {"release_keys": []}}, {}, "`fleet`"),
        ({"admin": {"listen": "0.0.0.0:1"}}, {}, "`admin`"),
        ({}, {"policy.toml": LOOSE}, "only the region may loosen: residency"),
        ({"gateway": {"trusted_proxies": ["10.0.0.9"]}}, {}, "only the region may loosen: gateway.trusted_proxies"),
        ({"gateway": {"listen": "0.0.0.0:8080"}}, {}, "the gateway does not listen on loopback"),
        ({"access": {"roles": {"all": ["source:wms:write"]}}}, {}, "only the region may loosen: access.roles.all"),
        (
            {"sources": {"open": {"adapter": "webhook", "mapping": "mapping.toml", "auth": {"scheme": "none"}}}},
            {},
            "only the region may loosen: sources.open.auth",
        ),
        ({"sources": {"wms": {"mapping": "gone.toml"}}}, {}, "gone.toml"),
        ({"sources": {"wms": {"mapping": "state/identity/signing.key"}}}, {}, "no file that it may name"),
        ({"lanes": {"realtime": {"lagg": 3}}}, {}, "lanes.realtime.lagg"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_headquarters_may_not_say_or_what_cannot_work_is_refused(
    tmp_path: Path, settings: dict[str, Any], files: dict[str, bytes], told: str
) -> None:
    async with fleet(tmp_path) as it:
        await it.hq.publish(1, {"gateway": {"burst": 777}})
        await it.confirmed(1)
        await it.hq.publish(2, settings, files)
        await it.refused(told)
        await it.hq.publish(3)
        await it.confirmed(3)
        await it.region.alerted("revision_rejected", raised=False)


async def test_what_the_region_has_signed_may_loosen(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        await it.hq.publish(1, {}, {"policy.toml": LOOSE}, signer=it.hq.regional)
        now = await it.confirmed(1)
        assert now["revision"]["in_force"] == 1


async def test_old_forged_replayed_and_expired_words_are_refused_and_nothing_goes_back(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        hq, stranger = it.hq, new_key()
        old = await hq.publish(1, {"gateway": {"burst": 777}})
        await it.confirmed(1)
        fresh = signing.sign(hq.release, REVISION, revision(2))

        await hq.stamp(2, fresh, signer=stranger)
        await it.refused("which is not trusted here")
        await hq.put(names.revision(REGION, 2), signing.sign(stranger, REVISION, revision(2)))
        await hq.stamp(2, fresh)
        await it.refused("which is not trusted here")
        await hq.put(names.revision(REGION, 2), fresh.replace(b"ada", b"eve"))
        await it.refused("it was changed, or forged")
        await hq.put(names.revision(REGION, 2), signing.sign(hq.release, REVISION, revision(2, {"lanes": {}})))
        await it.refused("is not what headquarters has signed for")
        await hq.stamp(1, old)
        await it.refused("although 2 has been seen")
        await hq.stamp(2, fresh, seconds=-1)
        await it.refused("(frozen)")
        await hq.stamp(2, signing.sign(hq.release, REVISION, revision(2, {"gateway": {"burst": 5}})))
        await it.refused("offered again with another content")

        await hq.put(names.revision(REGION, 2), fresh)
        await hq.stamp(2, fresh)
        await it.confirmed(2)


async def test_a_file_that_was_changed_at_the_hub_is_not_taken(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        await it.hq.publish(1, {"gateway": {"burst": 777}})
        await it.confirmed(1)
        document = signing.sign(it.hq.release, REVISION, revision(2, {}, {"mapping.toml": KILOGRAMS}))
        place = names.file(REGION, revision(2, {}, {"mapping.toml": KILOGRAMS}).files["mapping.toml"])
        await it.hq.put(place, MAPPING.encode())
        await it.hq.put(names.revision(REGION, 2), document)
        await it.hq.stamp(2, document)
        await it.refused("the file mapping.toml at the hub was changed, or forged")
        await it.hq.put(place, KILOGRAMS)
        await it.confirmed(2)


async def test_a_hub_that_was_rolled_back_makes_nobody_go_back(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        hub, hq = it.hub, it.hq
        await hq.publish(1, {"gateway": {"burst": 777}})
        await it.confirmed(1)
        hub.stop()
        hub.snapshot("older")
        await hub.start()
        await hq.publish(2, {"gateway": {"burst": 888}})
        now = await it.confirmed(2)
        hub.stop()
        hub.swap("older")
        await hub.start()
        await hq.staged(it.region, "rejected", reason="although 2 has been seen")
        after = await it.region.status()
        assert (after["config"], after["revision"]["in_force"]) == (now["config"], 2)
        await it.region.stop()
        await it.region.start()
        await it.region.alerted("revision_rejected")
        assert (await it.region.status())["config"] == now["config"]
        await hq.publish(3, {"gateway": {"burst": 888}})
        await it.confirmed(3)


async def test_a_word_that_has_expired_is_an_alert_and_data_goes_on(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        document = signing.sign(it.hq.release, REVISION, revision(1))
        await it.hq.put(names.revision(REGION, 1), document)
        await it.hq.stamp(1, document, seconds=2)
        await it.region.alerted("control_plane_stale")
        await it.region.persist([fact(1)])
        await it.region.settled(facts=1)
        await it.hq.publish(2, {"gateway": {"burst": 777}})
        await it.region.alerted("control_plane_stale", raised=False)
        await it.confirmed(2)


# ---------------------------------------------------------------- kill -9 in each state


async def test_a_kill_in_any_stage_leads_to_a_defined_start(tmp_path: Path) -> None:
    """What each stage waits for is kept from it, so that it can be killed there."""
    async with fleet(tmp_path, soak_seconds=60.0) as it:
        region, hq = it.region, it.hq
        files = {"mapping.toml": KILOGRAMS}
        document = signing.sign(hq.release, REVISION, revision(1, {}, files))
        await hq.stamp(1, document)
        await hq.staged(region, "offered", 1, "not at the hub yet")
        await again(region, in_force=0, stage="offered")

        await hq.put(names.revision(REGION, 1), document)
        await hq.staged(region, "verified", 1, "mapping.toml is not at the hub yet")
        await again(region, in_force=0, stage="verified")

        code, out, err = await region.run("revision", "override", "--hours", "1", "--reason", "stocktaking")
        assert code == 1, out + err
        digest = revision(1, {}, files).files["mapping.toml"]
        await hq.put(names.file(REGION, digest), KILOGRAMS)
        await hq.staged(region, "staged", 1, "a regional override is in force")
        await again(region, in_force=0, stage="staged")
        assert "override_in_force" in {alert["name"] for alert in (await region.status())["alerts"]}

        code, out, err = await region.run("revision", "resume")
        assert code == 0, out + err
        await hq.staged(region, "provisional", 1)
        assert (await region.status())["revision"]["in_force"] == 1
        await again(region, in_force=0, stage="reverted")
        told = await hq.staged(region, "reverted", 1, "without an orderly stop")
        assert told.failed == [1]
        await again(region, in_force=0, stage="reverted")


async def again(region: Region, *, in_force: int, stage: str) -> None:
    """kill -9, and what the next start makes of it."""
    region.kill()
    await region.start()
    found = (await region.status())["revision"]
    assert (found["in_force"], found["stage"]) == (in_force, stage)
    await region.persist([fact(len(region.receipts) + 1)])


async def test_an_orderly_restart_goes_on_with_the_trial(tmp_path: Path) -> None:
    async with fleet(tmp_path, soak_seconds=3.0) as it:
        await it.hq.publish(1, {}, {"mapping.toml": KILOGRAMS})
        await it.hq.staged(it.region, "provisional", 1)
        await it.region.stop()
        await it.region.start()
        assert (await it.region.status())["revision"]["in_force"] == 1
        await it.confirmed(1)


# ---------------------------------------------------------------- the region's own word


async def test_an_override_works_at_once_is_loud_and_ends_by_itself(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        region = it.region
        await it.hq.publish(1, {}, {"mapping.toml": KILOGRAMS})
        await it.confirmed(1)
        code, out, err = await region.run("revision", "override", "--hours", "0.001", "--reason", "wrong weights")
        assert code == 1, out + err
        assert "wrong weights" in out
        now = await region.alerted("override_in_force", raised=False)
        assert now["revision"]["in_force"] == 1
        assert "the regional override has ended" in region.log


async def test_an_override_of_a_stopped_agent_lets_it_start_by_its_local_file(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        region = it.region
        await it.hq.publish(1, {}, {"mapping.toml": KILOGRAMS})
        await it.confirmed(1)
        await region.stop()
        slot = region.state / "fleet" / "revision-1" / "files" / "mapping.toml"
        slot.write_bytes(slot.read_bytes() + b"#")
        code, out, err = await region.run("check")
        assert code == 2
        assert "missing or damaged" in err
        assert "entrepot revision override" in err
        code, out, err = await region.run("revision", "override", "--hours", "2", "--reason", "damaged disk")
        assert code == 1, out + err
        for _ in range(2):
            await region.start()
            assert (await region.status())["revision"]["in_force"] == 0
            entries = (await region.ask("access.audit"))["entries"]
            assert [(one["verb"], one["by"]) for one in entries] == [("revision.override", f"uid {os.getuid()}")]
            assert "damaged disk" in (await region.alerted("override_in_force"))["alerts"][0]["sentence"]
            assert "regional IT has decided while no agent ran" in region.log

            async def reported() -> bool:
                status = await it.hq.status(region)
                return status is not None and bool(status.override_until)

            await until(reported, "headquarters hears of the override")
            await region.stop()


async def test_a_veto_goes_back_and_the_version_is_not_taken_again(tmp_path: Path) -> None:
    async with fleet(tmp_path) as it:
        region, hq = it.region, it.hq
        await hq.publish(1, {"gateway": {"burst": 777}})
        await it.confirmed(1)
        document = await hq.publish(2, {}, {"mapping.toml": KILOGRAMS})
        await it.confirmed(2)
        code, out, err = await region.run("revision", "veto", "--reason", "not in the peak season")
        assert code == 1, out + err
        told = await hq.staged(region, "reverted", 2, "regional veto: not in the peak season")
        assert (told.confirmed, told.failed) == (1, [2])
        await hq.stamp(2, document)
        await hq.publish(3, {"gateway": {"burst": 999}})
        assert (await it.confirmed(3))["revision"]["in_force"] == 3


async def test_without_the_table_nobody_steers(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "hub") as hub, Region(tmp_path / "region", hub.url) as region:
        assert (await region.status())["revision"] is None
        code, _, err = await region.run("revision", "show")
        assert code == 2
        assert "there is no [fleet]" in err
