"""`entrepot certify` on this machine's disk and a real hub: passed beside a working agent, and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import nats
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, fact, stored

pytestmark = pytest.mark.anyio


async def streams(hub: NatsServer) -> list[str]:
    connection = await nats.connect(hub.url)
    try:
        return sorted(s.config.name or "" for s in await connection.jetstream().streams_info())
    finally:
        await connection.close()


async def test_a_good_host_is_certified_beside_the_agent_and_nothing_is_left(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "hub") as hub:
        region = Region(tmp_path / "region", hub.url)
        async with region:
            await region.persist([fact(n) for n in range(5)])
            await region.settled()
            before = await streams(hub), sorted(p.name for p in region.state.iterdir())
            words = ("certify", "--minutes", "0.05", "--out", str(tmp_path), "--json")
            code, out, err = await region.run(*words)
            said = json.loads(out)
            verdicts = {t["trial"]: (t["verdict"], t["sentence"]) for t in said["certificate"]["trials"]}
            timeless = {name: verdict for name, (verdict, _) in verdicts.items() if name != "flush"}
            assert set(timeless) == {"clock", "disk_full", "partition", "kill", "power"}
            assert set(timeless.values()) == {"passed"}, verdicts
            assert (await streams(hub), sorted(p.name for p in region.state.iterdir())) == before
            assert len(await stored(hub.url)) == 5

            code, out, err = await region.run("certify", "--verify", said["file"])
            assert code in {0, 2}, out + err  # 2: this disk answers faster than a disk can
            assert Path(said["file"]).with_suffix(".md").read_text().startswith("# Durability certificate")
            spoilt = Path(said["file"])
            spoilt.write_text(spoilt.read_text().replace("cuts", "cats", 1))
            code, out, err = await region.run("certify", "--verify", str(spoilt))
            assert code == 2
            assert "signature under the certificate is false" in err


async def test_without_the_hub_its_trial_is_not_tried_and_says_why(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "hub") as hub:
        region = Region(tmp_path / "region", hub.url)
        async with region:
            await region.persist([fact(1)])
            await region.settled()
            hub.kill()
            _, out, err = await region.run("certify", "--minutes", "0.01", "--out", str(tmp_path), "--json")
            said = json.loads(out)["certificate"]
            tried = {t["trial"]: t for t in said["trials"]}
            assert tried["partition"]["verdict"] == "not tried", err
            assert "takes no scratch stream" in tried["partition"]["sentence"]
            assert said["verdict"] in {"incomplete", "failed"}


async def test_before_the_first_start_there_is_no_key_to_sign_with(tmp_path: Path) -> None:
    region = Region(tmp_path / "region", "nats://127.0.0.1:4222")
    code, out, err = await region.run("certify")
    assert (code, out) == (2, "")
    assert "has no keys yet" in err
    assert not region.state.exists()
