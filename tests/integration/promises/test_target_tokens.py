"""A target that wants OAuth2 tokens, on a real agent: once through kills, a secret rotated by `reload`, and nothing secret anywhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.branches import DOWNLINK, headquarters, ids
from tests.support.nats import NatsServer
from tests.support.region import Region, fact, until
from tests.support.tokens import SECRET, SECRET_NAME, Guarded, guarded

pytestmark = pytest.mark.anyio
TARGET = """
[secrets]
dir = "s"
[targets.erp]
adapter = "http"
url = "{url}"
auth = {{ token_url = "{token_url}", client_id = "{client_id}", secret = "{secret}" }}
idempotency_header = "Idempotency-Key"
allow_private = true
"""
PATIENT = """
[targets.erp.retry]
seconds_min = 0.05
seconds_max = 0.2
"""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "hub") as server:
        yield server


def branch(directory: Path, hub: NatsServer, there: Guarded, more: str = "") -> Region:
    """The region `eu-de` with the target `erp` behind a token server."""
    target = TARGET.format(url=there.settings["url"], **there.tokens.auth)
    region = Region(directory, hub.url, more=DOWNLINK + target + more)
    (directory / "s").mkdir()
    give(region, SECRET)
    return region


def give(region: Region, secret: bytes) -> None:
    path = region.directory / "s" / SECRET_NAME.removeprefix("secret://")
    path.write_bytes(secret)
    path.chmod(0o600)


async def figures(region: Region) -> dict[str, Any]:
    return dict((await region.status()).get("targets", {}).get("erp", {}))


async def delivered(region: Region, count: int) -> dict[str, Any]:
    async def so_many() -> dict[str, Any] | None:
        found = await figures(region)
        return found if found.get("delivered") == count and not found["pending"] else None

    return dict(await until(so_many, f"{count} commands are executed: {await figures(region)} {region.log[-1500:]}"))


@pytest.mark.parametrize("moment", ["no token yet", "a token and no answer"])
async def test_promise_4_a_kill_between_token_and_delivery_leaves_one_effect(
    hub: NatsServer, tmp_path: Path, moment: str
) -> None:
    async with guarded("tokens" if moment == "no token yet" else "api") as there:
        hq, region = headquarters(tmp_path / "hq", hub), branch(tmp_path / "region", hub, there, PATIENT)
        async with hq, region:
            there.fault("hangs")
            await hq.send_lines([fact(1)])
            with anyio.fail_after(30):
                await there.reached()
            region.kill()
            there.fault(None)
            await region.start()
            await hq.send_lines([fact(2)])
            await delivered(region, 2)
        assert there.effects() == ids(2)
        shown = [each.headers["Idempotency-Key"] for each in there.api.received]
        assert shown == [*ids(1), *ids(2)] if moment == "a token and no answer" else ids(2), "the same id again"
        assert len(there.tokens.asked) == 2, "each process has asked once"


async def test_a_rotated_secret_is_read_by_reload_and_nothing_secret_is_ever_told(
    hub: NatsServer, tmp_path: Path
) -> None:
    async with guarded() as there:
        there.tokens.secret = "the next one"
        hq, region = headquarters(tmp_path / "hq", hub), branch(tmp_path / "region", hub, there)
        told: list[str] = []

        async def asks(*words: str) -> Any:
            code, out, err = await region.run(*words, "--json")
            told.extend([out, err])
            assert "Traceback" not in err
            return code, json.loads(out)

        async with hq, region:
            await hq.send_lines([fact(1)])

            async def failed() -> Any:
                _, rows = await asks("deliveries", "list")
                return next((row for row in rows if row["attempts"]), None)

            row = await until(failed, "the delivery has failed")
            assert row["reason"] == f"{there.tokens.url} gives no token (401 invalid_client)"
            await hq.send_lines([fact(2, sku="B"), fact(3, sku="C")])
            await until(lambda: _received(region, 3), "the others have come in")
            for words in (("check",), ("doctor",), ("status",), ("deliveries", "show", str(row["id"]))):
                await asks(*words)
            assert len(there.tokens.asked) <= 2, "whoever gives tokens is left in peace"
            assert there.api.received == []
            give(region, b"the next one")
            code, said = await asks("reload")
            [change] = said["changes"]
            assert (code, change["part"], change["detail"]) == (0, "targets.erp", "secrets")
            found = await delivered(region, 3)
            assert found["balanced"]
            there.tokens.revoke()
            await hq.send_lines([fact(4)])
            await delivered(region, 4)
            assert sorted(there.effects()) == ids(4)
            assert len(there.tokens.given) == 2
            await asks("status")
            told.append(region.log)
        kept = [path.read_bytes() for path in region.directory.rglob("*") if path.is_file() and path.parent.name != "s"]
        for word in (SECRET, b"the next one", b"tok-1", b"tok-2"):
            assert not any(word in text for text in kept)
            assert not any(word.decode() in text for text in told)


async def test_a_target_without_tokens_is_left_alone_by_the_breaker_and_every_delivery_waits(
    hub: NatsServer, tmp_path: Path
) -> None:
    careful = "in_flight_max = 1\nbreaker_failures_max = 2\nbreaker_open_seconds = 3600\n"
    async with guarded("tokens") as there:
        hq = headquarters(tmp_path / "hq", hub)
        region = branch(tmp_path / "region", hub, there, careful + PATIENT)
        async with hq, region:
            there.fault("failing")
            await hq.send_lines([fact(n, sku=f"K{n}") for n in range(5)])
            await until(lambda: _troubled(region, "gives no token (503)"), "the breaker has opened")
            await hq.send_lines([fact(n, sku=f"K{n}") for n in range(5, 9)])
            await until(lambda: _received(region, 9), "the others have come in")
            found = await figures(region)
            assert (found["pending"], found["letters"]) == (9, 0)
            assert len(there.tokens.asked) == 2
            there.fault(None)
            assert await region.stop() == 0
            await region.start()
            await delivered(region, 9)
        assert sorted(there.effects()) == ids(9)
        assert len(there.tokens.given) == 1


async def _troubled(region: Region, words: str) -> bool:
    return words in (await figures(region)).get("trouble", "")


async def _received(region: Region, count: int) -> bool:
    return bool((await figures(region)).get("received") == count)
