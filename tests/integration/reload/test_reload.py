"""A running agent takes another configuration: real process, real hub, senders that do not pause."""

from __future__ import annotations

import json
import signal
from os import kill
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.to_thread
import orjson
import pytest

from tests.support.load import Load, by_key
from tests.support.nats import NatsServer, free_port
from tests.support.region import MAPPING, POLICY, Region, events, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
KILOGRAMS = MAPPING.replace("version = 1", "version = 2").replace('"H87"', '"KGM"')
SECOND = """
[sources.carrier]
adapter = "webhook"
mapping = "mapping.toml"
auth = { scheme = "none" }
"""


def edit(region: Region, *pairs: tuple[str, str]) -> None:
    text = region.config.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    region.config.write_text(text)


async def reload(region: Region) -> dict[str, str]:
    """Part → what changed, by `entrepot reload`."""
    code, out, err = await region.run("reload", "--json")
    assert code == 0, out + err
    return {change["part"]: f"{change['change']} {change['detail']}".strip() for change in json.loads(out)["changes"]}


async def refused(region: Region) -> str:
    code, out, err = await region.run("reload")
    assert code == 2, out + err
    assert "Traceback" not in out + err
    return out + err


async def alerts(region: Region) -> dict[str, str]:
    return {alert["name"]: alert["sentence"] for alert in (await region.status())["alerts"]}


def units(messages: list[Any]) -> list[str]:
    return [orjson.loads(message.data)["unit"] for message in messages]


async def equal(region: Region, hub: NatsServer) -> list[Any]:
    """Everything that has a receipt is at the hub, once, in order; returns it."""
    await region.settled(facts=len({r["intake_seq"] for r in region.receipts}))
    messages = await stored(hub.url)
    assert origins(messages) == expected(region.receipts)
    return events(messages)


async def test_a_mapping_changed_under_load_translates_each_fact_once_in_order_and_cuts_nobody_off(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        before = await region.status()
        async with Load(region) as load:
            await load.more(200)
            (region.directory / "mapping.toml").write_text(KILOGRAMS)
            changed = await reload(region)
            at_least = load.count
            await load.more(200)
        assert changed.keys() == {"sources.wms"}
        assert "rules test-stock 1" in changed["sources.wms"]
        assert load.opened == 8, "a connection was dropped"
        messages = await equal(region, hub)
        assert by_key(messages) == {sku: list(range(count)) for sku, count in load.sent.items()}
        said = units(messages)
        assert said == sorted(said), "a fact after the change was translated by the old rules"
        assert 200 <= said.count("H87") <= at_least + 16
        assert said.count("KGM") >= 184
        after = await region.status()
        assert after["config"] != before["config"]
        assert after["config_since"] > before["config_since"]
        assert await config_of_last_checkpoint(hub) == after["config"]


async def config_of_last_checkpoint(hub: NatsServer) -> str:
    newest = (await stored(hub.url, "EU-DE_CHECKPOINTS"))[-1]
    return str(json.loads(json.loads(newest.data)["statement"])["config"])


async def test_many_reloads_in_a_row_under_load_keep_every_promise(hub: NatsServer, tmp_path: Path) -> None:
    """Mapping, gateway, hub and sources in turn, two at a time: tasks end and begin while others still end."""
    region = Region(tmp_path / "region", hub.url)
    plain, elsewhere = region.config.read_text(), f"nats://localhost:{hub.port}"
    variants = [
        plain,
        plain + SECOND,
        plain.replace(hub.url, elsewhere),
        plain.replace("[gateway]", "[gateway]\nburst = 999"),
    ]
    async with region:
        async with Load(region) as load:
            for turn in range(16):
                region.config.write_text(variants[turn % 4])
                (region.directory / "mapping.toml").write_text(KILOGRAMS if turn % 3 else MAPPING)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(region.ask, "reload")
                    tasks.start_soon(region.ask, "reload")
                await load.more(20)
        assert load.opened == 8
        assert by_key(await equal(region, hub)) == {sku: list(range(count)) for sku, count in load.sent.items()}
        assert (await region.status())["balanced"]
        assert (await region.verify(hub.url))["ok"]


async def test_an_unchanged_configuration_changes_nothing_and_says_so(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        before = await region.status()
        code, out, _ = await region.run("reload")
        assert code == 0
        assert "nothing has changed" in out
        assert await reload(region) == {}
        assert (await region.status())["config_since"] == before["config_since"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[lanes.realtime]", "[lanes.realtime]\nlagg = 3", "lanes.realtime.lagg"),
        ('mapping = "mapping.toml"', 'mapping = "maping.toml"', "maping.toml"),
        ('{ scheme = "none" }', '{ scheme = "bearer", secrets = ["secret://gone"] }', "gone"),
        ('environment = "test"', 'environment = "prod"', "environment can never change for a journal"),
        ('jurisdiction = "DE"', 'jurisdiction = "FR"', "restart to change jurisdiction"),
        ("[hub]", '[hub]\ncredentials = "gone.creds"', "gone.creds"),
    ],
)
async def test_a_configuration_that_cannot_be_used_is_refused_and_the_old_one_goes_on(
    hub: NatsServer, tmp_path: Path, old: str, new: str, told: str
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        good, before = region.config.read_text(), await region.status()
        async with Load(region, senders=2) as load:
            await load.more(5)
            edit(region, (old, new))
            assert told in await refused(region)
            now = await region.status()
            assert (now["config"], now["config_since"]) == (before["config"], before["config_since"])
            assert (await alerts(region))["reload_refused"].startswith("The last reload was refused: ")
            await load.more(5)
            region.config.write_text(good)
            assert await reload(region) == {}
            assert "reload_refused" not in await alerts(region)
        assert load.opened == 2
        await equal(region, hub)


async def test_a_new_address_that_is_taken_is_refused_before_anything_changes(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        edit(region, (f"127.0.0.1:{region.port}", f"127.0.0.1:{hub.port}"))
        (region.directory / "mapping.toml").write_text(KILOGRAMS)
        assert "taken by another process" in await refused(region)
        await region.persist([fact(1)])
        assert units(await equal(region, hub)) == ["H87"]


async def test_sources_come_and_go(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        async with Load(region, senders=4) as load:
            await load.more(20)
            plain = region.config.read_text()
            region.config.write_text(plain + SECOND)
            async with Load(region, source="carrier", patient=True) as carrier:
                assert await reload(region) == {"sources.carrier": "added adapter webhook"}
                await carrier.more(100)
                region.config.write_text(plain)
                assert await reload(region) == {"sources.carrier": "removed"}
            async with aiohttp.ClientSession() as http, http.post(f"{region.url}/in/carrier", data=fact(1)) as answer:
                assert answer.status == 404
            await load.more(20)
        assert load.opened == 4
        await equal(region, hub)
        assert (await region.status())["dead_lettered"] == 0, "what the removed source had told was not translated"


async def test_a_secret_is_rotated_with_two_live_at_once(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    secrets = region.directory / "secrets"
    secrets.mkdir()
    (secrets / "new").write_text("first-secret-of-the-partner")
    (secrets / "old").write_text("unused-secret-of-the-partner")
    bearer = '{ scheme = "bearer", secrets = ["secret://new", "secret://old"] }'
    edit(region, ('{ scheme = "none" }', bearer))
    region.config.write_text(region.config.read_text() + '[secrets]\ndir = "secrets"\n')
    async with region, aiohttp.ClientSession() as http:

        async def answer(secret: str) -> int:
            headers = {"authorization": f"Bearer {secret}-secret-of-the-partner"}
            async with http.post(f"{region.url}/in/wms", data=fact(1), headers=headers) as said:
                return said.status

        assert [await answer("first"), await answer("second")] == [202, 401]
        (secrets / "old").write_text("first-secret-of-the-partner")
        (secrets / "new").write_text("second-secret-of-the-partner")
        assert await reload(region) == {"sources.wms": "changed secrets"}
        assert [await answer("first"), await answer("second")] == [202, 202]
        (secrets / "old").write_text("unused-secret-of-the-partner")
        assert await reload(region) == {"sources.wms": "changed secrets"}
        assert [await answer("first"), await answer("second")] == [401, 202]


async def test_the_hub_moves_and_a_hub_that_never_answers_stops_no_intake(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        async with Load(region, senders=4) as load:
            await load.more(50)
            edit(region, (hub.url, f"nats://localhost:{hub.port}"))
            assert await reload(region) == {"hub": "changed servers"}
            await load.more(50)
            await until(lambda: is_connected(region, "localhost"), "the new address is in use")
            edit(region, (f"nats://localhost:{hub.port}", f"nats://127.0.0.1:{free_port()}"))
            await reload(region)
            await until(lambda: is_away(region), "the agent says that the hub is away")
            await load.more(50)
            edit(region, (region.config.read_text().split('servers = ["')[1].split('"')[0], hub.url))
            await reload(region)
            await load.more(50)
        assert load.opened == 4
        assert by_key(await equal(region, hub)) == {sku: list(range(count)) for sku, count in load.sent.items()}
        assert (await region.verify(hub.url))["ok"]


async def is_connected(region: Region, where: str) -> bool:
    now = await region.status()
    return bool(now["hub_connected"]) and where in now["hub"]


async def is_away(region: Region) -> bool:
    return "hub_away" in await alerts(region)


async def test_the_listener_moves_and_an_open_connection_gets_its_answer(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:

        async def post(number: int) -> aiohttp.ClientResponse:
            async with http.post(f"{region.url}/in/wms", data=fact(number)) as answer:
                said = await answer.json()
                assert answer.status == 202
                region.receipts.append(said)
                return answer

        assert "Connection" not in (await post(1)).headers
        old, new = region.port, free_port()
        edit(region, (f"127.0.0.1:{old}", f"127.0.0.1:{new}"))
        assert await reload(region) == {"gateway": "changed listen"}
        assert (await post(2)).headers["Connection"] == "close", "the sender does not learn that the address has gone"
        with pytest.raises(aiohttp.ClientConnectorError):
            await post(3)
        region.port = new
        assert "Connection" not in (await post(4)).headers
        await equal(region, hub)


async def test_limits_of_the_gateway_change_on_open_connections(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region, Load(region, senders=2) as load:
        await load.more(10)
        edit(region, ("[gateway]", "[gateway]\nbody_bytes_max = 200"))
        changed = await reload(region)
        assert changed == {"gateway": "changed body_bytes_max", "sources.wms": "changed limits.body_bytes_max"}
        assert (await region.send(fact(1, more="x" * 200)))[0] == 413
        await load.more(10)
        assert load.opened == 2


async def test_a_source_changes_its_lane_only_when_the_hub_has_what_it_put_on_the_old_one(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    edit(region, ("[lanes.realtime]", "[lanes.realtime]\n[lanes.bulk]"), ("on_letter", 'lane = "realtime"\non_letter'))
    async with region:
        async with Load(region, senders=4) as load:
            await load.more(50)
            hub.kill()
            await load.more(50)
            edit(region, ('lane = "realtime"', 'lane = "bulk"'))
            told = await refused(region)
            assert "lane realtime still has" in told
            assert "source wms changes its lane" in told
            await load.more(50)
            await hub.start()
            await until(lambda: moved(region), "the lane changes once the hub has the backlog")
            await load.more(100)
        assert load.opened == 4
        await region.settled()
        early, late = events(await stored(hub.url)), events(await stored(hub.url, "EU-DE_BULK"))
        assert origins(early) + origins(late) == expected(region.receipts)
        assert by_key([*early, *late]) == {sku: list(range(count)) for sku, count in load.sent.items()}
        assert len(late) >= 84
        assert max(m.time for m in early) <= min(m.time for m in late), "an event overtook one of the old lane"


async def moved(region: Region) -> bool:
    return (await region.run("reload"))[0] == 0


async def test_a_tightened_policy_holds_back_the_backlog_and_a_loosened_one_is_told(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        hub.kill()
        await region.persist([fact(n) for n in range(5)])
        (region.directory / "policy.toml").write_text(POLICY.replace('"allow"', '"drop"'))
        assert await reload(region) == {"residency": "changed policy"}
        await hub.start()
        status = await region.settled()
        assert (status["withheld"], status["delivered"]) == (5, 0)
        (region.directory / "policy.toml").write_text(POLICY)
        code, out, _ = await region.run("reload")
        assert code == 0
        assert "releases more than before: stock.snapshot sku: drop → allow" in out
        assert "stock.snapshot sku: drop → allow" in region.log
        await region.persist([fact(9)])
        assert (await region.settled())["delivered"] == 1


async def test_a_lane_that_still_has_events_is_not_removed(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    edit(region, ("[lanes.realtime]", "[lanes.realtime]\n[lanes.bulk]"), ("on_letter", 'lane = "bulk"\non_letter'))
    async with region:
        hub.kill()
        await region.persist([fact(1)])
        edit(region, ("[lanes.bulk]\n", ""), ('lane = "bulk"', 'lane = "realtime"'))
        assert "the lane is removed" in await refused(region)
        await hub.start()
        await until(lambda: moved(region), "the lane goes once it is empty")
        await region.persist([fact(2)])
        await region.settled()
        assert len(events(await stored(hub.url, "EU-DE_BULK"))) == len(events(await stored(hub.url))) == 1


@pytest.mark.parametrize("delay", [0.0, 0.35, 0.45, 0.6])
async def test_a_kill_in_the_middle_of_a_reload_loses_and_doubles_nothing(
    hub: NatsServer, tmp_path: Path, delay: float
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        async with Load(region, senders=4, patient=True) as load:
            await load.more(50)
            (region.directory / "mapping.toml").write_text(KILOGRAMS)
            region.config.write_text(region.config.read_text().replace("[lanes.realtime]", "[lanes.realtime]\n[lanes.bulk]")
                                     .replace("on_letter", 'lane = "realtime"\non_letter') + SECOND + 'lane = "bulk"\n')  # fmt: skip
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(region.run, "reload")
                await anyio.sleep(delay)
                region.kill()
            await region.start()
            await load.more(50)
        messages = await equal(region, hub)
        assert by_key(messages) == {sku: list(range(count)) for sku, count in load.sent.items()}
        assert units(messages) == sorted(units(messages))


DROP = """
[sources.legacy]
adapter = "file_drop"
mapping = "mapping.toml"
path = "{path}"
lines_batch_max = 1
poll_seconds = 0.05
stable_seconds = 0.05
"""


async def test_a_file_in_process_is_finished_where_it_lies_when_the_folder_changes(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    plain, lines = region.config.read_text(), 1_500
    region.config.write_text(plain + DROP.format(path="drop-1"))
    async with region:
        first, second = region.directory / "drop-1", region.directory / "drop-2"
        first.mkdir(exist_ok=True)  # the agent may not have come to it yet
        (first / "big.ndjson").write_bytes(b"\n".join(fact(n, sku="F") for n in range(lines)))
        await until(lambda: facts(region, 20), "the file is in process")
        region.config.write_text(plain + DROP.format(path="drop-2"))
        assert await reload(region) == {"sources.legacy": "changed path"}
        assert (first / "processing" / "big.ndjson").exists(), "too quick to show anything"
        second.mkdir(exist_ok=True)
        (second / "next.ndjson").write_bytes(b"\n".join(fact(lines + n, sku="F") for n in range(10)))
        await until(lambda: exists(second / "done" / "next.ndjson"), "the new folder is looked at")
        assert (first / "done" / "big.ndjson").exists(), "the file was left half done"
        status = await region.settled(facts=lines + 10)
        assert status["duplicates"] == 0
        assert by_key(events(await stored(hub.url))) == {"F": list(range(lines + 10))}


async def facts(region: Region, count: int) -> bool:
    return bool((await region.status())["facts"] >= count)


async def exists(path: Path) -> bool:
    return await anyio.to_thread.run_sync(path.exists)


async def test_sighup_reloads_and_tells_the_service_manager(
    hub: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = tmp_path / "notify"
    async with await anyio.create_unix_datagram_socket(local_path=door) as told:
        monkeypatch.setenv("NOTIFY_SOCKET", str(door))
        region = Region(tmp_path / "region", hub.url)
        async with region:

            async def next_state(of_interest: str) -> str:
                with anyio.fail_after(20):
                    while True:
                        text = (await told.receive())[0].decode()
                        if text.startswith(of_interest):
                            return text

            await next_state("READY=1")
            (region.directory / "mapping.toml").write_text(KILOGRAMS)
            kill(region.pid, signal.SIGHUP)
            state = await next_state("RELOADING=1")
            assert int(state.split("MONOTONIC_USEC=")[1]) > 0
            await next_state("READY=1")
            await region.persist([fact(1)])
            assert units(await equal(region, hub)) == ["KGM"]
            edit(region, ("[lanes.realtime]", "[lanes.realtime"))
            kill(region.pid, signal.SIGHUP)
            await next_state("RELOADING=1")
            await next_state("READY=1")
        edit(region, ("[lanes.realtime", "[lanes.realtime]"))
        assert '"the new configuration was refused' in region.log


async def test_a_schema_is_in_force_after_a_reload_and_its_refusals_are_counted(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    schema = region.directory / "wms.json"
    async with region:
        assert (await region.send(fact(1, sku="A-1")))[0] == 202
        schema.write_text('{"properties": {"sku": {"pattern": "^B"}}}')
        edit(region, ('mapping = "mapping.toml"', 'mapping = "mapping.toml"\nschema = "wms.json"'))
        assert await reload(region) == {"sources.wms": "changed schema"}
        status, said = await region.send(fact(2, sku="A-1"))
        assert (status, said["errors"]) == (422, [{"pointer": "/sku", "detail": "breaks the rule pattern"}])
        assert (await region.send(fact(3, sku="B-1")))[0] == 202
        schema.write_text('{"properties": {"sku": {"pattern": "^[AB]"}}}')
        assert await reload(region) == {"sources.wms": "changed rules of the schema"}
        assert (await region.send(fact(2, sku="A-1")))[0] == 202
        schema.write_text('{"$ref": "https://elsewhere.example/schema"}')
        assert "leads out of the file" in await refused(region)
        assert (await region.send(fact(4, sku="C-1")))[0] == 422, "the schema from before goes on"
        await region.settled(facts=3)

        async def counted() -> bool:
            async with aiohttp.ClientSession() as http, http.get(f"{region.url}/metrics") as answer:
                return 'entrepot_schema_refusals_total{source="wms"} 2.0' in await answer.text()

        await until(counted, "both refusals are in the metrics")
