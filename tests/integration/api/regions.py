"""A region with an API, a warehouse system that says everything, and callers; its hub is away unless a test brings one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.support.nats import free_port
from tests.support.region import Region, until

MAPPING = """
mapping = "test-everything"
version = 1
key = "id"
zone = "Europe/Berlin"
[[outputs]]
type = "stock.snapshot"
when = "kind == 'STOCK'"
partition_key = "sku"
[outputs.fields]
sku = "sku"
location_id = "place"
on_hand = { path = "qty", convert = "decimal" }
occurred_at = { path = "at", convert = "instant" }
unit = { const = "H87" }
[[outputs]]
type = "shipment.milestone"
when = "kind == 'SCAN'"
partition_key = "parcel"
[outputs.fields]
tracking_number = "parcel"
order_id = "order"
carrier = { const = "BLITZ" }
milestone = "code"
occurred_at = { path = "at", convert = "instant" }
[[outputs]]
type = "product.changed"
when = "kind == 'ITEM'"
partition_key = "sku"
[outputs.fields]
sku = "sku"
name = "name"
occurred_at = { path = "at", convert = "instant" }
[[outputs]]
type = "partner.changed"
when = "kind == 'PARTNER'"
partition_key = "partner"
[outputs.fields]
partner_id = "partner"
name = "name"
kind = "is"
role = { const = "customer" }
occurred_at = { path = "at", convert = "instant" }
"""
ORDERS = """
[sources.orders]
adapter = "webhook"
translator = "order-document"
auth = { scheme = "caller" }
"""
API = """
[api]
orders = "orders"
"""
SCOPES = ("orders:write", "shipments:read", "stock:read", "products:read", "partners:read", "timeline:read")
ORDER = {
    "order_id": "1001",
    "occurred_at": "2026-03-02T08:00:00Z",
    "lines": [{"line_id": "1", "sku": "A-1", "quantity": "3", "unit": "H87"}],
    "customer": {"name": "Ada Lovelace", "address": {"street": "Ring 1", "country": "DE"}},
}


def region_with_api(directory: Path, *, api: str = API, more: str = "", hub: str = "") -> Region:
    """Not started yet."""
    return Region(directory, hub or f"nats://127.0.0.1:{free_port()}", mapping=MAPPING, more=ORDERS + api + more)


async def grant(region: Region, name: str, *scopes: str, limits: tuple[str, ...] = ()) -> str:
    """The key of a caller who may do this and nothing else."""
    words = [word for scope in scopes for word in ("--scope", scope)]
    code, out, err = await region.run("access", "grant", name, *words, *limits, "--json")
    assert code == 0, out + err
    return str(json.loads(out)["key"])


async def grant_all(region: Region, name: str = "shop") -> str:
    return await grant(region, name, *(f"api:{scope}" for scope in SCOPES))


async def ask(
    region: Region, path: str, key: str = "", body: Any = None, method: str = "", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Status, decoded JSON and headers (names in lower case) below /api/v1."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        named["authorization"] = f"Bearer {key}"
    data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
    url = f"{region.url}/api/v1{path}"
    async with (
        aiohttp.ClientSession() as http,
        http.request(method or ("GET" if data is None else "POST"), url, data=data, headers=named) as answer,
    ):
        said = await answer.json(content_type=None)
        return answer.status, said, {name.lower(): value for name, value in answer.headers.items()}


async def tell(region: Region, *messages: dict[str, Any]) -> None:
    """The warehouse system says something; returns when it has been translated."""
    for number, said in enumerate(messages, len(region.receipts)):
        status, answer = await region.send(orjson.dumps({"id": f"m-{number}", "at": "2026-03-02T09:00:00Z"} | said))
        assert status == 202, answer

    async def translated() -> bool:
        now = await region.status()
        return bool(now) and now["untranslated"] == 0

    await until(translated, "everything is translated")
