"""Headquarters at a real hub: files become signed revisions, waves stop at what breaks, and the audit tells all of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import nats
import pytest
from nats.errors import Error as NatsError

from runtime.errors import Overtaken
from runtime.fleet.documents import ACTION, ANSWER, RESULT, Action, Answer, Result, Revision
from runtime.fleet.layers import render
from runtime.fleet.plan import go_back
from runtime.fleet.signing import read, sign
from runtime.headquarters.folder import open_folder
from runtime.headquarters.key import load
from runtime.headquarters.office import Office
from sync import HUB
from sync import fleet_names as names
from sync.settings import HubSettings
from tests.support.fleet import new_key
from tests.support.nats import NatsServer
from tests.support.region import until
from tests.support.simulated_fleet import BASE, ENVIRONMENT, Fleet

AT = "2026-11-23T10:00:00+00:00"
pytestmark = pytest.mark.anyio


async def made(tmp_path: Path, hub: NatsServer, *regions: str, **more: Any) -> Fleet:
    """A fleet whose streams are there."""
    fleet = await Fleet.made(tmp_path / "fleet", hub.url, regions or ("eu-de", "eu-fr", "eu-pl"), **more)
    code, out, err = await fleet.run("topology", "--apply")
    assert code == 0, out + err
    return fleet


def versions(fleet: Fleet) -> dict[str, int]:
    return {region: agent.confirmed for region, agent in fleet.agents.items()}


async def has_version(fleet: Fleet, region: str, version: int) -> None:
    async def is_so() -> bool:
        await anyio.lowlevel.checkpoint()
        return fleet.agents[region].confirmed == version

    await until(is_so, f"{region} has version {version}; refusals {fleet.agents[region].refusals}")


async def test_streams_are_made_once_and_the_audit_cannot_be_deleted(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await Fleet.made(tmp_path / "fleet", hub.url, ["eu-de"])
    code, before = await fleet.json("topology")
    assert (code, {row["exists"] for row in before}) == (1, {False})
    assert (await fleet.json("topology", "--apply"))[0] == 0
    code, after = await fleet.json("topology")
    assert (code, {row["exists"] for row in after}) == (0, {True})
    client = await nats.connect(hub.url)
    await client.jetstream().publish(names.audit("test"), b"x")
    for call in (
        client.jetstream().delete_msg(names.AUDIT_STREAM, 1),
        client.jetstream().purge_stream(names.AUDIT_STREAM),
    ):
        with pytest.raises(NatsError):
            await call
    await client.close()


async def test_a_hub_of_another_environment_is_left_alone(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub)
    file = fleet.directory / "fleet.toml"
    file.write_text(file.read_text().replace('environment = "test"', 'environment = "prod"'))
    for words in (("ls",), ("topology", "--apply"), ("apply", "eu-de", "--yes")):
        code, _, err = await fleet.run(*words)
        assert code == 2
        assert "environment is `test`, fleet.toml says `prod`" in err


async def test_without_streams_the_next_step_is_said(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await Fleet.made(tmp_path / "fleet", hub.url, ["eu-de"])
    code, _, err = await fleet.run("ls")
    assert code == 2
    assert "entrepot fleet topology --apply" in err


async def test_what_is_planned_is_applied_confirmed_and_told(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub)
    fleet.write("regions/eu-fr/entrepot.toml", "[journal]\nrefill_hours = 96\n")
    code, planned = await fleet.json("plan")
    assert (code, planned[0]["trial"]["refused"]) == (1, ""), "the source asks nobody who they are: a warning"
    assert [(one["region"], one["plan"]["version"], one["plan"]["base"]) for one in planned] == [
        (region, 1, 0) for region in fleet.agents
    ]
    async with fleet.at_work():
        code, out, err = await fleet.run("apply", "eu-fr", "--yes", "--by", "ada", "--ticket", "T-1", "--note", "first")
        assert code == 0, out + err
        await has_version(fleet, "eu-fr", 1)
        agent = fleet.agents["eu-fr"]
        assert agent.settings["journal"] == {"refill_hours": 96}
        assert set(agent.files) == {"policy.toml", "mappings/wms.toml"}
        assert versions(fleet) == {"eu-de": 0, "eu-fr": 1, "eu-pl": 0}
        code, planned = await fleet.json("plan", "eu-fr")
        assert (code, planned[0]["plan"]["keys"], planned[0]["plan"]["files"]) == (0, [], [])

        async def seen() -> bool:
            _, rows = await fleet.json("ls", "eu-fr")
            return bool(rows[0]["stage"] == "confirmed" and not rows[0]["drift"])

        await until(seen, "headquarters sees that it confirmed")
        _, shown = await fleet.json("show", "eu-fr")
        assert shown["revision"]["provenance"]["journal.refill_hours"] == "region/eu-fr"
        assert shown["revision"]["provenance"]["lanes.realtime"] == "base"
    code, history = await fleet.json("history")
    assert (code, history["ok"]) == (0, True)
    (record,) = history["records"]
    assert (record["what"], record["by"], record["ticket"]) == ("revision.publish", "ada", "T-1")
    assert "journal.refill_hours: – → 96" in record["detail"]["changes"][0]["changes"]


async def test_what_is_wrong_in_the_files_is_refused_before_anything_is_sent(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub)
    fleet.write("groups/eu/entrepot.toml", "[journal]\nkey_dayz = 1\n")
    code, _, err = await fleet.run("rollout", "--yes")
    assert code == 2
    assert "journal.key_dayz" in err
    assert "said by group/eu" in err
    assert (await fleet.json("history"))[1]["count"] == 0


def every_third(region: str, revision: Revision) -> str:
    """Breaks every third region, as soon as a revision asks for it."""
    asks = revision.settings["journal"]["refill_hours"] == 100
    return "intake did not come back within 60 s" if asks and int(region[-2:]) % 3 == 2 else ""


async def test_a_revision_that_breaks_every_third_of_fifty_stops_in_its_wave_and_is_taken_back(
    tmp_path: Path, hub: NatsServer
) -> None:
    regions = [f"r-{number:02}" for number in range(50)]
    fleet = await made(tmp_path, hub, *regions, breaks=every_third)
    async with fleet.at_work():
        code, out, err = await fleet.run("rollout", "--yes", "--note", "the first one")
        assert code == 0, out + err
        assert versions(fleet) == dict.fromkeys(regions, 1)

        fleet.write("base/entrepot.toml", BASE.replace("72", "100"))
        code, out, err = await fleet.run("rollout", "--yes", "--json")
        assert code == 2, out + err
        looks = [json.loads(line) for line in out.splitlines()]
        reason = "reverted: intake did not come back within 60 s"
        assert looks[-1]["state"] == "aborted"
        assert {region: why for look in looks for region, why in look["broken"].items()} == {"r-02": reason}
        assert max(look["wave"] for look in looks) == 2

        offered_it = regions[:5]
        untouched = [agent for region, agent in fleet.agents.items() if region not in offered_it]
        assert {(agent.confirmed, agent.seen) for agent in untouched} == {(1, 1)}
        for region in regions[1:5]:
            await has_version(fleet, region, 3)
            assert fleet.agents[region].settings["journal"] == {"refill_hours": 72}
        assert fleet.agents["r-02"].failed == [2]
        assert fleet.agents["r-00"].settings["journal"] == {"refill_hours": 100}, "its wave was good"

        code, out, err = await fleet.run("rollback", "--reason", "all of it")
        assert code == 0, out + err
        await has_version(fleet, "r-00", 3)
        assert fleet.agents["r-00"].settings["journal"] == {"refill_hours": 72}
        assert all(agent.refusals == [] for agent in fleet.agents.values())
    code, history = await fleet.json("history", "--limit", "100")
    assert (code, history["ok"]) == (0, True)
    words = [record["what"] for record in history["records"]]
    assert words[0] == "rollout.start"
    assert words[-2:] == ["rollout.rollback", "rollout.aborted"]
    assert reason in json.dumps(history)


async def test_a_killed_desk_is_followed_by_another_machine(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub)
    fleet.configure(rollout="soak_seconds = 3600\npoll_seconds = 0.2")
    command = [
        sys.executable,
        "-m",
        "runtime.cli",
        "fleet",
        "rollout",
        "--yes",
        "--json",
        "--fleet",
        str(fleet.directory),
    ]
    async with fleet.at_work():
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as desk:
            await has_version(fleet, "eu-de", 1)
            desk.kill()
        assert versions(fleet) == {"eu-de": 1, "eu-fr": 0, "eu-pl": 0}
        code, _, err = await fleet.run("rollout", "--yes")
        assert code == 2
        assert "one at a time" in err
        code, _, err = await fleet.run("apply", "eu-fr", "--yes")
        assert code == 2
        assert "has these regions" in err

        elsewhere = tmp_path / "elsewhere"
        shutil.copytree(fleet.directory, elsewhere)
        fleet.directory = elsewhere
        code, out, err = await fleet.run("abort", "--reason", "another idea", "--by", "grace")
        assert code == 0, out + err
        await has_version(fleet, "eu-de", 2)
        assert fleet.agents["eu-de"].settings == {}, "before, there was the local file alone"
        assert versions(fleet) == {"eu-de": 2, "eu-fr": 0, "eu-pl": 0}

        fleet.configure()
        code, out, err = await fleet.run("rollout", "--yes")
        assert code == 0, out + err
        assert versions(fleet) == {"eu-de": 3, "eu-fr": 2, "eu-pl": 2}
    _, history = await fleet.json("history", "--limit", "100")
    assert history["ok"]
    assert ("rollout.abort", "grace") in [(r["what"], r["by"]) for r in history["records"]]


async def test_a_paused_rollout_goes_on_where_it_was(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub)
    fleet.configure(rollout="soak_seconds = 3600\npoll_seconds = 0.2")
    command = [
        sys.executable,
        "-m",
        "runtime.cli",
        "fleet",
        "rollout",
        "--yes",
        "--json",
        "--fleet",
        str(fleet.directory),
    ]
    async with fleet.at_work():
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as desk:
            await has_version(fleet, "eu-de", 1)
            code, paused = await fleet.json("pause", "--reason", "lunch")
            assert (code, paused["state"]) == (0, "paused")
            assert desk.stdout is not None
            lines = iter(desk.stdout)
            said = await anyio.to_thread.run_sync(lambda: next(line for line in lines if '"paused"' in line))
            assert json.loads(said)["says"] == "paused: nothing more is offered"
            desk.kill()
        assert versions(fleet) == {"eu-de": 1, "eu-fr": 0, "eu-pl": 0}
        code, out, err = await fleet.run("abort", "--reason", "enough")
        assert code == 0, out + err


async def test_a_word_that_the_region_has_not_signed_is_not_believed(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub, "eu-de")
    async with fleet.at_work() as client:
        await has_version(fleet, "eu-de", 0)
        stranger = (await Fleet.made(tmp_path / "stranger", hub.url, ["eu-de"])).agents["eu-de"]
        stranger.confirmed = 99
        await stranger.report(client, "confirmed", 99)
        code, rows = await fleet.json("ls")
        assert code == 1
        assert (rows[0]["version"], rows[0]["stage"]) == (0, None)
        assert any("not trusted here" in problem for problem in rows[0]["problems"])


async def test_old_content_comes_back_under_a_higher_version(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub, "eu-de")
    async with fleet.at_work():
        await fleet.run("apply", "eu-de", "--yes")
        await has_version(fleet, "eu-de", 1)
        fleet.write("base/entrepot.toml", BASE.replace("72", "80"))
        await fleet.run("apply", "eu-de", "--yes")
        await has_version(fleet, "eu-de", 2)
        code, out, err = await fleet.run("rollback", "eu-de", "--to", "1", "--reason", "slow")
        assert code == 0, out + err
        await has_version(fleet, "eu-de", 3)
        assert fleet.agents["eu-de"].settings["journal"] == {"refill_hours": 72}
        code, _, err = await fleet.run("rollback", "eu-de", "--to", "9", "--reason", "x")
        assert code == 2
        assert "no longer has revision 9" in err
        assert (await fleet.run("rollback", "eu-de", "--to", "0", "--reason", "x"))[0] == 0
        await has_version(fleet, "eu-de", 4)
        assert (fleet.agents["eu-de"].settings, fleet.agents["eu-de"].files) == ({}, {})


async def test_a_timestamp_is_renewed_for_the_same_version_before_it_ends(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub, "eu-de", "eu-fr")
    async with fleet.at_work() as client:
        await fleet.run("apply", "eu-de", "--yes")
        await has_version(fleet, "eu-de", 1)
        context = client.jetstream()
        before = await context.get_last_msg(names.CONFIG_STREAM, names.timestamp("eu-de"))
        assert await fleet.json("refresh") == (0, {"eu-de": "fresh", "eu-fr": "nothing offered"})
        assert await fleet.json("refresh", "--all") == (0, {"eu-de": "renewed", "eu-fr": "nothing offered"})
        after = await context.get_last_msg(names.CONFIG_STREAM, names.timestamp("eu-de"))
        assert after.seq > before.seq
        assert versions(fleet) == {"eu-de": 1, "eu-fr": 0}
        assert fleet.agents["eu-de"].refusals == []


async def test_after_the_hub_lost_some_nothing_old_is_said_again_and_versions_still_grow(
    tmp_path: Path, hub: NatsServer
) -> None:
    fleet = await made(tmp_path, hub, "eu-de")
    async with fleet.at_work():
        await fleet.run("apply", "eu-de", "--yes")
        await has_version(fleet, "eu-de", 1)
    hub.stop()
    hub.snapshot("older")
    await hub.start()
    fleet.write("base/entrepot.toml", BASE.replace("72", "80"))
    async with fleet.at_work():
        await fleet.run("apply", "eu-de", "--yes")
        await has_version(fleet, "eu-de", 2)
    hub.stop()
    hub.swap("older")
    await hub.start()
    async with fleet.at_work() as client:
        agent = fleet.agents["eu-de"]
        await agent.report(client, "confirmed", 2)
        code, drift = await fleet.json("drift")
        assert (code, drift) == (1, {"eu-de": ["it has version 2, and the hub offers 1: the hub has lost some"]})
        code, said = await fleet.json("refresh", "--all")
        assert code == 1
        assert "entrepot fleet apply" in said["eu-de"]
        await fleet.run("apply", "eu-de", "--yes")
        await has_version(fleet, "eu-de", 3)
        assert agent.settings["journal"] == {"refill_hours": 80}


async def test_a_freeze_and_a_veto_hold_what_is_new(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub, "eu-de")
    freeze = '[[freeze]]\nfrom = "2020-01-01T00:00:00Z"\nuntil = "2199-01-01T00:00:00Z"\nreason = "peak season"\n'
    fleet.configure(more=freeze)
    code, _, err = await fleet.run("apply", "eu-de", "--yes")
    assert code == 2
    assert "frozen until 2199-01-01T00:00:00Z (peak season)" in err
    assert (await fleet.run("apply", "eu-de", "--yes", "--despite-freeze"))[0] == 2
    assert (await fleet.run("apply", "eu-de", "--yes", "--despite-freeze", "--ticket", "T-9"))[0] == 0
    fleet.configure(more='veto = "stocktaking"\n')
    fleet.write("base/entrepot.toml", BASE.replace("72", "80"))
    code, _, err = await fleet.run("apply", "eu-de", "--yes")
    assert code == 2
    assert "stocktaking" in err


async def test_a_probe_is_answered_or_says_who_is_missing(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub, "eu-de")
    code, _, err = await fleet.run("diagnose", "eu-de", "status")
    assert code == 2
    assert "nobody listens on fleet.eu-de.probe.status" in err
    code, _, err = await fleet.run("diagnose", "eu-de", "statsu")
    assert "did you mean 'status'" in err
    client = await nats.connect(hub.url)

    async def answer(message: Any) -> None:
        await message.respond(b'{"pending": 0}')

    older = await client.subscribe(names.probe("eu-de", "status"), cb=answer)
    await client.flush()
    assert await fleet.json("diagnose", "eu-de", "status") == (1, {"pending": 0})
    assert "is not signed: its agent is older" in (await fleet.run("diagnose", "eu-de", "status"))[2]
    await older.unsubscribe()

    async def forge(message: Any) -> None:
        nonce = json.loads(message.data)["nonce"]
        said = Answer(
            environment=ENVIRONMENT, region="eu-de", issued_at=AT, probe="status", nonce=nonce, answer={"pending": 0}
        )
        await message.respond(sign(new_key(), ANSWER, said))

    await client.subscribe(names.probe("eu-de", "status"), cb=forge)
    await client.flush()
    code, out, err = await fleet.run("diagnose", "eu-de", "status")
    assert (code, out) == (2, ""), out
    assert "somebody has answered in the name of eu-de" in err
    await client.close()


async def test_an_action_is_signed_audited_and_its_result_is_told(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub, "eu-de")
    agent = fleet.agents["eu-de"]
    release = load(fleet.directory / "release.key").public_key
    client = await nats.connect(hub.url)
    done: list[Action] = []

    async def obey(message: Any) -> None:
        action = read(message.data, ACTION, Action, keys=[release], environment=ENVIRONMENT, region="eu-de")
        done.append(action)
        result = Result(
            environment=ENVIRONMENT,
            region="eu-de",
            issued_at=action.issued_at,
            id=action.id,
            verb=action.verb,
            state="done",
        )
        await client.jetstream().publish(names.result("eu-de", action.id), sign(agent._signer, RESULT, result))

    await client.subscribe(names.newest_action("eu-de"), cb=obey)
    await client.flush()
    words = ("action", "eu-de", "pause", "--parameter", "source=wms", "--id", "p-1", "--wait", "20", "--expires", "2h")
    code, said = await fleet.json(*words)
    assert (code, said["result"]["state"]) == (0, "done")
    assert (done[0].parameters, done[0].id) == ({"source": "wms"}, "p-1")
    assert (await fleet.json(*words))[1]["result"]["state"] == "done"
    assert len(done) == 1, "the same id is sent once"
    code, _, err = await fleet.run("action", "eu-de", "pause", "--id", "p.1")
    assert (code, "is no id" in err) == (2, True)
    await client.close()
    _, history = await fleet.json("history")
    assert [record["what"] for record in history["records"]] == ["action.send"]


async def test_two_desks_at_once_write_one_chain(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub, "eu-de", "eu-fr", "eu-pl")
    codes: list[int] = []

    async def act(region: str) -> None:
        codes.append((await fleet.run("action", region, "drain"))[0])

    async with anyio.create_task_group() as tasks:
        for region in fleet.agents:
            tasks.start_soon(act, region)
    assert codes == [0, 0, 0]
    _, history = await fleet.json("history")
    assert (history["ok"], [record["number"] for record in history["records"]]) == (True, [1, 2, 3])


async def test_a_desk_that_is_overtaken_writes_nothing_until_it_has_read_again(tmp_path: Path, hub: NatsServer) -> None:
    fleet = await made(tmp_path, hub, "eu-de")
    folder = await anyio.to_thread.run_sync(open_folder, fleet.directory)
    key = await anyio.to_thread.run_sync(load, folder.release_key)
    settings = HubSettings(servers=[hub.url])
    async with HUB.desk(settings, folder.scope()) as first, HUB.desk(settings, folder.scope()) as second:
        one, other = Office(folder, first, key, by="one"), Office(folder, second, key, by="other")
        before = await other.standing()
        await one.note("test.first", {})
        with pytest.raises(Overtaken):
            await other.write_down(before, "test.second", {})
        await other.note("test.second", {})

        sight = (await other.sights(["eu-de"]))["eu-de"]
        assert sight.offered == 0
        for office, version in ((one, 1), (other, 2)):
            back = go_back(
                None, region="eu-de", environment="test", version=version, at=AT, by=office.by, ticket="", note=""
            )
            await office.lay_down(back, render([]))
        await one.sights(["eu-de"])
        await one.offer("eu-de", 1)
        with pytest.raises(Overtaken):
            await other.offer("eu-de", 2)
        assert (await other.sights(["eu-de"]))["eu-de"].offered == 1
        await other.offer("eu-de", 2)
    _, history = await fleet.json("history")
    assert (history["ok"], [record["by"] for record in history["records"]]) == (True, ["one", "other"])


async def test_a_planted_record_of_the_audit_is_found_and_nothing_is_written_behind_it(
    tmp_path: Path, hub: NatsServer
) -> None:
    fleet = await made(tmp_path, hub, "eu-de")
    assert (await fleet.run("action", "eu-de", "drain"))[0] == 0
    client = await nats.connect(hub.url)
    await client.jetstream().publish(names.audit("action"), b'{"statement": "{}", "key_id": "0", "signature": ""}')
    await client.close()
    code, history = await fleet.json("history")
    assert (code, history["ok"]) == (2, False)
    code, _, err = await fleet.run("action", "eu-de", "drain")
    assert code == 2
    assert "not trusted here" in err
