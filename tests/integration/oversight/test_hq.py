"""Headquarters beside a real hub and a real region: it verifies as records come, finds what is lost, and reads along."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from sync import fleet_names
from tests.support.hubs import link
from tests.support.nats import NatsServer
from tests.support.region import Region, fact, stored, until

pytestmark = pytest.mark.anyio
COMMAND = [sys.executable, "-m", "runtime.cli", "hq"]


class Headquarters:
    """The commands of a central team, with a state of their own."""

    def __init__(self, folder: Path, hub: str) -> None:
        self.keys, self.state = folder / "keys", folder / "state"
        self.keys.mkdir(parents=True)
        self._hub = ["--hub", hub, "--environment", "test"]

    def know(self, region: Region) -> None:
        (self.keys / "eu-de.pub").write_text(region.public_key.read_text())

    @property
    def verifying(self) -> list[str]:
        return [*COMMAND, "verify", "--json", *self._hub, "--keys", str(self.keys), "--state", str(self.state)]

    async def verify(self, *more: str) -> tuple[int, list[dict[str, Any]]]:
        return await self._lines([*self.verifying, "--once", *more])

    async def export(self, *more: str) -> list[dict[str, Any]]:
        code, lines = await self._lines([*COMMAND, "export", *self._hub, *more])
        assert code == 0
        return lines

    async def _lines(self, command: list[str]) -> tuple[int, list[dict[str, Any]]]:
        done = await anyio.run_process(command, check=False)
        return done.returncode, [json.loads(text) for text in done.stdout.splitlines()]

    def tailing(self) -> list[str]:
        return [*COMMAND, "tail", *self._hub]


@asynccontextmanager
async def started(command: list[str]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """A command that goes on, and its lines."""
    async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None

        async def lines() -> AsyncIterator[dict[str, Any]]:
            rest = b""
            async for chunk in process.stdout or ():
                *whole, rest = (rest + chunk).split(b"\n")
                for text in whole:
                    yield json.loads(text)

        try:
            yield lines()
        finally:
            process.kill()


async def make_config_stream(hub: NatsServer) -> None:
    config = {"name": fleet_names.CONFIG_STREAM, "subjects": [fleet_names.CONFIG_SUBJECTS], "storage": "file"}
    async with link(hub.url).opened() as channel:
        await channel.ask(f"STREAM.CREATE.{fleet_names.CONFIG_STREAM}", config)


def kinds(findings: list[dict[str, Any]]) -> list[str]:
    return [finding["kind"] for finding in findings]


async def test_each_look_verifies_what_is_new_and_a_lost_stretch_is_found_and_its_refill_too(
    hub: NatsServer, tmp_path: Path
) -> None:
    hq = Headquarters(tmp_path / "hq", hub.url)
    async with Region(tmp_path / "region", hub.url) as region:
        hq.know(region)
        await region.send_lines([fact(n) for n in range(100)])
        await region.settled(facts=100)
        code, found = await hq.verify()
        assert (code, kinds(found), found[0]["records"]) == (0, ["verified"], 100)
        hub.stop()
        hub.snapshot("older")
        await hub.start()
        await region.send_lines([fact(n) for n in range(100, 160)])
        await region.settled(facts=160)
        code, found = await hq.verify()
        assert (code, found[0]["records"]) == (0, 60)
    hub.stop()
    hub.swap("older")
    await hub.start()
    code, found = await hq.verify()
    assert code == 2
    texts = [finding["text"] for finding in found]
    assert any("lost records 101 to 160, which were verified" in text for text in texts), texts
    async with region:

        async def refilled() -> bool:
            return len(await stored(hub.url)) == 160

        await until(refilled, "the hub has everything again")
        await until(lambda: holds(hq), "headquarters finds everything whole again")


async def holds(hq: Headquarters) -> bool:
    return (await hq.verify())[0] == 0


async def test_a_record_that_was_changed_at_the_hub_is_never_passed(hub: NatsServer, tmp_path: Path) -> None:
    hq = Headquarters(tmp_path / "hq", hub.url)
    async with Region(tmp_path / "region", hub.url) as region:
        hq.know(region)
        await region.send_lines([fact(n) for n in range(20)])
        await region.settled(facts=20)
        assert (await hq.verify())[0] == 0
    await forge(hub)
    for _ in range(2):
        code, found = await hq.verify()
        assert code == 2
        assert any("record 21" in finding["text"] for finding in found)
    notes = json.loads((hq.state / "verified.json").read_text())
    assert notes["regions"]["eu-de"]["proven"]["lanes"]["realtime"]["seq"] == 20


async def forge(hub: NatsServer) -> None:
    from sync.wire import message_frame

    async with link(hub.url).opened() as channel:
        headers = {
            "entrepot-seq": "21",
            "entrepot-epoch": "1",
            "entrepot-origin": "1.21.0",
            "entrepot-chain": "00" * 32,
        }
        await channel.write(message_frame("ev.eu-de.realtime.stock.snapshot", "nobody", headers, b"{}"))
        await channel.ask("STREAM.INFO.EU-DE_REALTIME")


async def test_the_watermark_is_announced_signed_once_it_has_stood(hub: NatsServer, tmp_path: Path) -> None:
    hq = Headquarters(tmp_path / "hq", hub.url)
    await make_config_stream(hub)
    key = tmp_path / "release.key"
    key.write_bytes(bytes(range(32)))
    async with Region(tmp_path / "region", hub.url) as region:
        hq.know(region)
        await region.send_lines([fact(n) for n in range(30)])
        await region.settled(facts=30)
        command = [*hq.verifying, "--sign-with", str(key), "--settle-seconds", "0.5"]
        async with started(command) as findings:
            async for finding in findings:
                if finding["kind"] == "announced":
                    break
    assert finding["lanes"]["realtime"]["seq"] == 30
    async with link(hub.url).opened() as channel:
        assert (await channel.ask(f"STREAM.INFO.{fleet_names.CONFIG_STREAM}"))["state"]["messages"] == 1


async def test_export_gives_every_event_once_in_order_and_tail_the_ones_that_come(
    hub: NatsServer, tmp_path: Path
) -> None:
    hq = Headquarters(tmp_path / "hq", hub.url)
    async with Region(tmp_path / "region", hub.url) as region:
        await region.send_lines([fact(n) for n in range(50)])
        await region.settled(facts=50)
        events = await hq.export("--region", "eu-*")
        assert [event["entrepotseq"] for event in events] == list(range(1, 51))
        assert {event["type"] for event in events} == {"io.entrepot.stock.snapshot.v1"}
        assert await hq.export("--region", "us-*") == []
        assert await hq.export("--since", "2100-01-01T00:00:00+00:00") == []
        assert len(await hq.export("--since", "2020-01-01T00:00:00+00:00")) == 50
        async with started([*hq.tailing(), "--since", "2020-01-01T00:00:00+00:00"]) as lines:
            seen: list[int] = []
            async for event in lines:
                seen.append(event["entrepotseq"])
                if len(seen) == 50:
                    await region.send_lines([fact(n) for n in range(50, 60)])
                if len(seen) == 60:
                    break
        assert seen == list(range(1, 61))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["verify", "--keys", "nowhere"], "nowhere is no folder"),
        (["export", "--since", "yesterday"], "is no RFC 3339 instant"),
        (["export", "--since", "2026-11-23T09:30:00"], "has no offset"),
        (["tail", "--credentials", "nowhere.creds"], "cannot read nowhere.creds"),
    ],
)
async def test_bad_input_is_one_sentence(words: list[str], sentence: str) -> None:
    done = await anyio.run_process([*COMMAND, *words, "--hub", "nats://127.0.0.1:9"], check=False)
    assert done.returncode == 2
    assert sentence in done.stderr.decode()
    assert b"Traceback" not in done.stderr
