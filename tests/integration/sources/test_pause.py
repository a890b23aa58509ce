"""A source that shall wait: its senders are asked to try again, nothing of theirs is lost, and others never notice."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, fact, origins, stored, until

pytestmark = pytest.mark.anyio
MORE = """
[sources.legacy]
adapter = "file_drop"
path = "drops"
mapping = "mapping.toml"
"""


async def send(region: Region, number: int) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(f"{region.url}/in/wms", data=fact(number)) as answer:
        return answer.status, answer.headers.get("Retry-After", "")


async def test_a_paused_source_asks_its_senders_to_wait_through_a_restart_and_its_files_stay(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url, more=MORE)
    drops = region.directory / "drops"
    async with region:
        assert (await send(region, 1))[0] == 202
        for source in ("wms", "legacy"):
            code, _, said = await region.run("source", "pause", source, "--reason", "stocktaking")
            assert (code, said) == (0, "")
        assert await send(region, 2) == (503, "30")
        drops.mkdir(exist_ok=True)
        (drops / "a.ndjson").write_bytes(fact(7) + b"\n")
        assert {a["name"] for a in (await region.alerted("source_paused"))["alerts"]} >= {"source_paused"}
    async with region:
        assert (await send(region, 2))[0] == 503
        _, out, _ = await region.run("source", "list", "--json")
        assert [s["paused"]["reason"] for s in json.loads(out)] == ["stocktaking", "stocktaking"]
        assert [path.name for path in drops.glob("*.ndjson")] == ["a.ndjson"]
        for source in ("wms", "legacy"):
            assert (await region.run("source", "resume", source))[0] == 0
        assert (await send(region, 2))[0] == 202
        await region.alerted("source_paused", raised=False)

        async def all_there() -> bool:
            return len(origins(await stored(hub.url))) == 3

        await until(all_there, "both messages and the file's line are at the hub")


async def test_an_unknown_source_and_a_pause_without_reason_are_one_sentence(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        code, _, said = await region.run("source", "pause", "wsm", "--reason", "x")
        assert (code, "there is no source 'wsm'" in said, "wms" in said) == (2, True, True)
        code, _, said = await region.run("source", "pause", "wms", "--reason", " ")
        assert (code, "a pause needs a reason" in said) == (2, True)
