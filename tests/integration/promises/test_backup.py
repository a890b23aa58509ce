"""Promise 6 with backups: made under load, put back by the command, fenced by design, and the ledgers are equal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, events, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio


def numbers(messages: list[Any]) -> list[int]:
    """What the stored events say, in order: one number a fact."""
    return [int(m.data.split(b'"on_hand":"')[1].split(b'"')[0]) for m in events(messages)]


async def test_promise_6_a_backup_made_under_load_is_restored_and_the_ledgers_are_equal(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    bodies = {n: fact(n) for n in range(1_000)}
    async with region:
        saved: list[str] = []

        async def save() -> None:
            code, out, err = await region.run("journal", "backup", str(tmp_path / "backup"), "--json")
            assert code == 0, out + err
            saved.append(out)

        sent = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(save)
            while not saved:
                await region.persist([bodies[sent]])
                sent += 1
        manifest = json.loads(saved[0])["manifest"]
        assert 0 < manifest["facts"] <= sent
        await region.persist([bodies[n] for n in range(sent, sent + 5)])  # reach the hub, and are not in the backup
        await region.settled()
        hub.kill()
        await region.persist([bodies[n] for n in range(sent + 5, sent + 10)])  # are lost with the disk
        region.kill()
        await hub.start()

        code, out, err = await region.run("journal", "restore", str(tmp_path / "backup"), "--json")
        assert code == 0, out + err
        assert (Path(json.loads(out)["aside"]) / "journal.db").exists()
        await region.start()
        status = await region.fenced("stale_self")
        assert "entrepot adopt" in status["lanes"]["realtime"]["fence"]["action"]
        assert numbers(await stored(hub.url)) == list(range(sent + 5)), "a fenced lane has sent something"
        code, out, err = await region.run("adopt", "--reason", "restored", "--yes", "--json")
        assert code == 0, out + err

        covered = [r for r in region.receipts if r["intake_seq"] <= manifest["facts"]]
        for receipt in covered:
            code, again = await region.send(receipt["body"])
            assert (code, again["intake_seq"], again["duplicate"]) == (202, receipt["intake_seq"], True)
        unseen = sorted(set(range(sent + 10)) - set(numbers(await stored(hub.url))))
        assert unseen == list(range(sent + 5, sent + 10))
        await region.persist([bodies[n] for n in unseen])  # what headquarters does not see is sent again
        await region.settled()
        messages = await stored(hub.url)
        assert sorted(numbers(messages)) == list(range(sent + 10)), "lost or doubled"
        assert len(set(origins(messages))) == len(origins(messages))

        async def proven() -> bool:
            return bool((await region.verify(hub.url))["ok"])

        await until(proven, f"verify: {await region.verify(hub.url)}")


async def test_promise_6_a_backup_restored_beside_its_original_sends_nothing(hub: NatsServer, tmp_path: Path) -> None:
    region, clone = Region(tmp_path / "region", hub.url), Region(tmp_path / "clone", hub.url)
    async with region:
        await region.persist([fact(n) for n in range(5)])
        await region.settled()
        code, out, err = await region.run("journal", "backup", str(tmp_path / "backup"), "--with-keys")
        assert code == 0, out + err
        code, out, err = await clone.run("journal", "restore", str(tmp_path / "backup"))
        assert code == 0, out + err
        async with clone:
            await clone.fenced("stale_self")  # at once, though the hub has nothing that the clone lacks
            await clone.persist([fact(200 + n) for n in range(3)])
            await region.persist([fact(100 + n) for n in range(5)])
            await region.settled()
            assert (await clone.status())["pending"] == 3
            assert origins(await stored(hub.url)) == expected(region.receipts)
            code, out, err = await clone.run("adopt", "--reason", "the original is thrown away", "--yes", "--json")
            assert code == 0, out + err
            await clone.settled()
            await region.persist([fact(300)])

            async def fenced() -> bool:
                return (await region.status())["lanes"]["realtime"]["fenced"] in {"diverged", "stale_self"}

            await until(fenced, "the first position went to the clone, so the original is fenced")
            said = numbers(await stored(hub.url))
            assert said == [*range(5), *range(100, 105), *range(200, 203)]


async def test_a_running_agent_keeps_its_journal(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.persist([fact(1)])
        assert (await region.run("journal", "backup", str(tmp_path / "backup")))[0] == 0
        code, out, err = await region.run("journal", "restore", str(tmp_path / "backup"))
        assert (code, out) == (2, "")
        assert "the agent is running" in err
        assert (await region.send(fact(2)))[0] == 202
        await region.settled()


async def test_promise_6_a_damaged_journal_is_repaired_and_nothing_is_doubled_or_lost_in_silence(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    bodies = {n: fact(n, remarks="x" * 900) for n in range(1, 61)}
    async with region:
        await region.persist([bodies[n] for n in range(1, 41)])
        await region.settled()
        assert await region.stop() == 0
        hub.kill()
        await region.start()
        await region.persist([bodies[n] for n in range(41, 61)])  # only this disk has them
        assert await region.stop() == 0
        wrecked = await anyio.to_thread.run_sync(wreck_bodies, region.state / "journal.db")
        assert wrecked
        await hub.start()

        code, out, err = await region.run("journal", "repair", "--json")
        assert code == 1, out + err
        code, out, err = await region.run("journal", "repair", "--yes", "--json")
        assert code == 1, out + err  # something is lost
        found = json.loads(out)["report"]["facts"]
        lost = [n for gap in found["lost"] for n in range(gap["first"], gap["last"] + 1)]
        assert lost
        assert set(lost) <= set(range(41, 61)), "what the hub has is no loss"
        await region.start()
        await region.fenced("stale_self")
        code, out, err = await region.run("adopt", "--reason", "repaired", "--yes", "--json")
        assert code == 0, out + err
        await region.persist([bodies[n] for n in lost])  # what the report names, and nothing else
        for n in (1, 40):
            assert (await region.send(bodies[n]))[1]["duplicate"], "a receipt that proves right was forgotten"
        await region.settled()
        assert sorted(numbers(await stored(hub.url))) == list(range(1, 61)), "lost or doubled"

        async def proven() -> bool:
            return bool((await region.verify(hub.url))["ok"])

        await until(proven, f"verify: {await region.verify(hub.url)}")


def wreck_bodies(journal: Path) -> int:
    """Zero every third leaf of the table of bodies; returns how many."""
    content = bytearray(journal.read_bytes())
    with closing(sqlite3.connect(f"file:{journal}?immutable=1", uri=True)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'bodies'").fetchone()[0]
        page = connection.execute("PRAGMA page_size").fetchone()[0]
    start = (root - 1) * page
    assert content[start] == 5, "the table has one page only: nothing to wreck"
    cells = int.from_bytes(content[start + 3 : start + 5], "big")
    pointers = [int.from_bytes(content[start + 12 + 2 * n :][:2], "big") for n in range(cells)]
    leaves = [int.from_bytes(content[start + at :][:4], "big") for at in pointers][::3]
    for leaf in leaves:
        content[(leaf - 1) * page : leaf * page] = bytes(page)
    journal.write_bytes(content)
    return len(leaves)
