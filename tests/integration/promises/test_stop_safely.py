"""Promise 6 on a real agent and a real hub: a doubt stops the lane, keeps the evidence, and a person decides."""

from __future__ import annotations

from pathlib import Path

import nats
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, events, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio


async def test_promise_6_a_second_process_is_refused_and_told_why(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        code, out, err = await region.run("run")
        assert code == 75
        assert "another process" in out + err
        assert "Traceback" not in out + err
        assert (await region.send(fact(1)))[0] == 202


async def test_promise_6_a_restored_journal_is_fenced_and_adopt_loses_and_doubles_nothing(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.persist([fact(n) for n in range(10)])
        for turn in (1, 2):
            await region.settled()
            assert await region.stop() == 0
            region.copy(tmp_path / f"backup-{turn}")
            await region.start()
            lost = [fact(1_000 * turn + n) for n in range(8)]
            await region.persist(lost)
            before = (await region.settled())["lanes"]["realtime"]["acked"]
            assert await region.stop() == 0
            region.restore(tmp_path / f"backup-{turn}")
            await region.start()
            await region.fenced("stale_self")
            await region.persist([fact(1_000 * turn + 100 + n) for n in range(12)])  # numbers that were given before
            assert (await region.status())["pending"] == 12
            code, out, _ = await region.run("adopt", "--reason", "restored backup", "--yes", "--json")
            assert code == 0, out
            status = await region.settled()
            assert status["epoch"] == turn + 1
            assert status["balanced"]
            assert status["lanes"]["realtime"]["acked"] == before + 1 + 12
            await region.alerted("lane_fenced", raised=False)
        messages = await stored(hub.url)
        assert len(set(origins(messages))) == len(origins(messages)) == 10 + 2 * (8 + 12)
        bodies = sorted(int(m.data.split(b'"on_hand":"')[1].split(b'"')[0]) for m in events(messages))
        turns = [1_000 * t + n for t in (1, 2) for n in (*range(8), *range(100, 112))]
        assert bodies == sorted([*range(10), *turns])
        assert [m.subject.rsplit(".", 1)[1] for m in messages].count("epoch") == 2

        async def proven() -> bool:
            return bool((await region.verify(hub.url))["ok"])

        await until(proven, f"verify: {await region.verify(hub.url)}")


async def test_promise_6_a_cloned_journal_is_fenced_and_the_first_goes_on(hub: NatsServer, tmp_path: Path) -> None:
    region, clone = Region(tmp_path / "region", hub.url), Region(tmp_path / "clone", hub.url)
    async with region:
        await region.persist([fact(n) for n in range(5)])
        await region.settled()
        assert await region.stop() == 0
        region.copy(clone.state)
        async with clone:
            await clone.settled()
            await region.start()
            await region.persist([fact(100 + n) for n in range(5)])
            await region.settled()
            await clone.persist([fact(200 + n) for n in range(3)])
            status = await until(lambda: _any_fence(clone), "the clone is fenced")
            assert status["pending"] == 3
            await region.persist([fact(300)])
            await region.settled()
        assert origins(await stored(hub.url)) == expected(region.receipts)


async def _any_fence(region: Region) -> dict[str, object] | None:
    now = await region.status()
    return now if now and now["lanes"]["realtime"]["fenced"] in {"diverged", "stale_self"} else None


async def test_promise_6_a_deleted_stream_is_not_made_again_by_itself(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.persist([fact(n) for n in range(20)])
        await region.settled()
        assert await region.stop() == 0
        region.configure(hub.url, manage=False)
        connection = await nats.connect(hub.url)
        await connection.jetstream().delete_stream("EU-DE_REALTIME")
        await connection.close()
        await region.start()
        await region.fenced("hub_recreated")
        assert (await region.send(fact(20)))[0] == 202
        code, out, err = await region.run("topology", "apply")
        assert code in {0, 1}, out + err
        await region.settled()
        assert origins(await stored(hub.url)) == expected(region.receipts)


async def test_promise_6_the_stream_of_another_environment_gets_nothing(hub: NatsServer, tmp_path: Path) -> None:
    test, prod = Region(tmp_path / "test", hub.url), Region(tmp_path / "prod", hub.url, environment="prod")
    async with test:
        await test.persist([fact(1)])
        await test.settled()
    async with prod:
        await prod.persist([fact(2)])
        await prod.fenced("wrong_stream")
        assert origins(await stored(hub.url)) == ["1.1.0"]
        assert (await prod.status())["pending"] == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[lanes.realtime]", "[lanes.realtime]\nlagg = 3", "lanes.realtime.lagg"),
        ('adapter = "webhook"', 'adapter = "webhok"', "webhook"),
        ('mapping = "mapping.toml"', 'mapping = "maping.toml"', "maping.toml"),
        ('policy = "policy.toml"', "policy = 7", "residency.policy"),
        ("[gateway]", "[gateway", "no valid TOML"),
        ('environment = "test"', 'environment = "prd"', "prod"),
    ],
)
async def test_promise_6_a_wrong_word_is_one_sentence_and_exit_code_2(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    region = Region(tmp_path / "region", "nats://127.0.0.1:4222")
    region.config.write_text(region.config.read_text().replace(old, new))
    for verb in ("check", "run"):
        code, out, err = await region.run(verb)
        assert code == 2
        assert told in out + err
        assert str(region.directory) in out + err
        assert len((out + err).strip().splitlines()) <= 3, "a sentence and the next step"
        assert "Traceback" not in out + err
    assert not region.state.exists()


async def test_promise_6_an_address_that_somebody_else_holds_is_one_sentence(hub: NatsServer, tmp_path: Path) -> None:
    region, other = Region(tmp_path / "region", hub.url), Region(tmp_path / "other", hub.url)
    other.port = region.port
    other.configure(hub.url)
    async with region:
        code, out, err = await other.run("run")
        assert code == 2, out + err
        assert f"127.0.0.1:{region.port}" in out + err
        assert "Traceback" not in out + err
        assert (await region.send(fact(1)))[0] == 202


async def test_promise_6_a_journal_without_its_keys_does_not_start_with_new_ones(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.persist([fact(1)])
        await region.settled()
        assert await region.stop() == 0
        key = region.state / "identity" / "signing.key"
        kept = key.read_bytes()
        key.unlink()
        code, out, err = await region.run("run")
        assert code == 66, out + err
        assert f"missing: {key};" in out + err
        assert f"restore {key} from the backup" in out + err
        assert not key.exists()
        key.write_bytes(kept)
        await region.start()
        await region.persist([fact(2)])
        await region.settled()
        assert origins(await stored(hub.url)) == expected(region.receipts)
