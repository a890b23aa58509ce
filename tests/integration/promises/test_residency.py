"""Promise 8 on a real agent and a real hub: canaries in every personal field never appear anywhere outside."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, stored

pytestmark = pytest.mark.anyio
EXAMPLE = Path(__file__).parents[3] / "examples" / "eu-de"
PERSONAL = ("name", "email", "phone", "street")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "hub") as server:
        yield server


def _order() -> tuple[bytes, list[str]]:
    """The example order with a marker in every personal field and in the remark."""
    order = json.loads((EXAMPLE / "samples" / "wms" / "01-order-new.json").read_text())
    canaries = []
    for field in PERSONAL:
        canary = f"canary{field}xq7"
        canaries.append(canary)
        order["order"]["recipient"][field] = f"{canary}@x.example" if field == "email" else canary
    order["order"]["note"] = "canarynotexq7"
    return json.dumps(order).encode(), [*canaries, "canarynotexq7"]


def _shapes(canary: str) -> list[str]:
    """How a leak might look."""
    raw = canary.encode()
    return [canary, canary[::-1], quote(canary), raw.hex(), base64.b64encode(raw).decode().rstrip("=")[:-1]]


async def test_promise_8_no_personal_field_leaves_by_any_channel(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(
        tmp_path / "region",
        hub.url,
        mapping=(EXAMPLE / "mappings" / "acme-wms.toml").read_text(),
        policy=(EXAMPLE / "policy.toml").read_text(),
    )
    body, canaries = _order()
    broken = body.replace(b'"NEW"', b'"NONSENSE"').replace(b"sk-0", b"sk-1")
    async with region:
        assert (await region.send(body))[0] == 202
        assert (await region.send(broken))[0] == 202
        status = await region.settled()
        assert (status["delivered"], status["dead_lettered"]) == (1, 1), status
        messages = await stored(hub.url)
        seen = [f"{m.subject}\n{m.headers}\n{m.data.decode()}" for m in messages]
        seen.append(json.dumps(status))
        seen += [(await region.run(*words))[1] for words in (["letters", "list"], ["letters", "show", "1"], ["status"])]
        async with aiohttp.ClientSession() as http, http.get(f"{region.url}/metrics") as answer:
            seen.append(await answer.text())
        checkpoints = await stored(hub.url, "EU-DE_CHECKPOINTS")
        seen += [m.data.decode() for m in checkpoints]
        assert await region.stop() == 0
        seen.append(region.log)
    assert "SO-104711" in seen[0], "the order itself did leave"
    leaked = [
        (canary, text[:200]) for canary in canaries for shape in _shapes(canary) for text in seen if shape in text
    ]
    assert not leaked


async def test_promise_8_a_withheld_event_leaves_a_stub_of_constant_size(hub: NatsServer, tmp_path: Path) -> None:
    policy = 'policy = "closed"\nversion = 1\n[[rules]]\nid = "only-returns"\nwhen = { type = "return.*", class = "business" }\naction = "allow"\n'
    region = Region(tmp_path / "region", hub.url, policy=policy)
    async with region:
        for number, sku in ((1, "A"), (2, "A-very-much-longer-sku-that-would-show-in-the-size")):
            body = json.dumps(
                {"id": f"{number}", "kind": "STOCK", "sku": sku, "qty": number, "at": "2026-03-02T08:14:09Z"}
            )
            assert (await region.send(body.encode()))[0] == 202
        status = await region.settled()
        assert (status["withheld"], status["delivered"]) == (2, 0)
        first, second = await stored(hub.url)
        assert len(first.data) == len(second.data)
        assert first.subject == second.subject == "ev.eu-de.realtime.entrepot.withheld"
        assert set(first.headers) == set(second.headers)
        assert "ce-subject" not in first.headers
        assert "ce-correlationid" not in first.headers
