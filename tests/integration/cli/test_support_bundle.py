"""A bundle of a busy region: canaries are everywhere that a secret or a person can be, and none of them gets out."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
from pathlib import Path

import anyio.to_thread
import pytest

from tests.support.nats import NatsServer, free_port
from tests.support.region import MAPPING, POLICY, Region, fact

CANARY = "K4NAR1"
FAKES = {
    "journalctl": [
        {"MESSAGE": json.dumps({"event": "refused", "level": "error", "lane": "realtime", "remark": f"{CANARY}-log"})},
        {"MESSAGE": f"File x.py, {CANARY}-traceback"},
        {"MESSAGE": "x", "ENTREPOT_EVENT": "slow", "ENTREPOT_SOURCE": "wms", "ENTREPOT_BODY": f"{CANARY}-native"},
        {"MESSAGE": "Started entrepot.service", "SYSLOG_IDENTIFIER": "systemd", "_PID": "1", "_CMDLINE": f"{CANARY}-cmd"},
    ],
    "systemctl": f"Id=entrepot.service\nActiveState=active\nEnvironment={CANARY}-env\n\nId=entrepot.socket\nActiveState=active",
}  # fmt: skip


def fakes(folder: Path) -> str:
    """Programs that answer as systemd's do; a PATH that finds them."""
    folder.mkdir()
    for name, said in FAKES.items():
        text = said if isinstance(said, str) else "\n".join(map(json.dumps, said))
        (folder / f"{name}.out").write_text(text + "\n")
        (folder / name).write_text(f'#!/bin/sh\nexec cat "{folder}/{name}.out"\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def busy(folder: Path, hub: str) -> Region:
    mapping = MAPPING.replace(
        'unit = { const = "H87" }', f'unit = {{ const = "H87" }}\nlot = {{ const = "{CANARY}-const" }}'
    )
    policy = POLICY.replace("version = 1", f'version = 1\n# {CANARY}-comment\ndescription = "{CANARY}-words"', 1)
    more = (
        f'auth = {{ scheme = "bearer", secrets = ["secret://wms"] }}\n[secrets]\ndir = "s"\n'
        f'[alerts]\nwebhook = "http://127.0.0.1:{free_port()}/hook/{CANARY}-webhook"\n# {CANARY}-remark'
    )
    region = Region(folder, hub, mapping=mapping, policy=policy, more=more)
    login = f'[hub]\nuser = "u-{CANARY}"\npassword = "secret://hub"\n'
    config = region.config.read_text().replace('auth = { scheme = "none" }\n', "").replace("[hub]\n", login)
    region.config.write_text(config)
    (folder / "s").mkdir()
    (folder / "s" / "wms").write_text(f"{CANARY}-secret-of-the-sender")
    (folder / "s" / "wms").chmod(0o600)
    (folder / "s" / "hub").write_text(f"p-{CANARY}")
    (folder / "s" / "hub").chmod(0o600)
    return region


async def post(region: Region, body: bytes, key: str) -> None:
    import aiohttp

    headers = {
        "content-type": "application/json",
        "idempotency-key": key,
        "authorization": f"Bearer {CANARY}-secret-of-the-sender",
    }
    async with aiohttp.ClientSession() as http, http.post(f"{region.url}/in/wms", data=body, headers=headers) as answer:
        assert answer.status == 202, await answer.text()
    async with aiohttp.ClientSession() as http, http.post(f"{region.url}/in/{CANARY}", data=body) as answer:
        assert answer.status == 404


def looked_through(path: Path) -> tuple[list[str], bytes]:
    with tarfile.open(path, "r:gz") as tar:
        files = {m.name: tar.extractfile(m) for m in tar}
        return sorted(files), b"".join(name.encode() + file.read() for name, file in files.items() if file)


@pytest.mark.anyio
async def test_no_secret_key_payload_or_person_gets_into_a_bundle_of_a_busy_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", fakes(tmp_path / "bin"))
    async with NatsServer(tmp_path) as hub:
        region = busy(tmp_path / "region", hub.url)
        async with region:
            for number in range(20):
                await post(region, fact(number, sku=f"{CANARY}-sku", note=f"{CANARY}-note"), f"{CANARY}-key-{number}")
            await post(region, f'{{"kind": "{CANARY}-rubbish", "person": "{CANARY}"}}'.encode(), f"{CANARY}-letter")
            await region.settled(facts=21)
            bundle = tmp_path / "bundle.tar.gz"
            _, out, err = await region.run("doctor", "--json", "--bundle", str(bundle))
            manifest = json.loads(out)["manifest"]
    names, content = await anyio.to_thread.run_sync(looked_through, bundle)
    assert CANARY.encode() not in content, content[max(0, content.index(CANARY.encode()) - 300) :][:400]
    assert CANARY not in out + err
    for key in ("signing.key", "commitment.key"):
        raw = (region.state / "identity" / key).read_bytes()
        assert all(form not in content for form in (raw, base64.b64encode(raw), raw.hex().encode()))
    parts = "configuration files findings journal policy status units versions".split()
    expected = {*(f"{part}.json" for part in parts), "log.jsonl", "metrics.txt"}
    assert set(manifest["files"]) == expected, manifest["left_out"]
    assert {name.rpartition("/")[2] for name in names} == {*expected, "manifest.json"}
    for shown in (
        b'"accepted": 21',
        b'"facts": 21',
        b"entrepot_accepted_events",
        b'"event": "slow"',
        b'"ActiveState": "active"',
    ):
        assert shown in content, shown
    assert io.BytesIO(bundle.read_bytes()).read(2) == b"\x1f\x8b"
