"""The API of a running agent: orders with an answer, and questions answered from the journal while the hub is away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.regions import API, ORDER, ask, grant, grant_all, region_with_api, tell
from tests.support.region import Region, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def region(tmp_path: Path) -> AsyncIterator[Region]:
    async with region_with_api(tmp_path / "region") as region:
        yield region


async def known(region: Region, path: str, key: str) -> Any:
    """The answer once the region knows it: translation follows the receipt a moment later."""

    async def found() -> Any:
        status, said, _ = await ask(region, path, key)
        return (said,) if status == 200 and said.get("items", True) else None

    return (await until(found, f"{path} is known"))[0]


# ---------------------------------------------------------------- orders


async def test_an_order_is_answered_with_its_receipt_and_what_it_became(region: Region) -> None:
    key = await grant_all(region)
    status, said, _ = await ask(region, "/orders", key, ORDER, idempotency_key="k-1")
    assert status == 202, said
    assert said["outputs"] == [{"output": 0, "type": "order.created", "partition_key": "1001"}]
    assert said["rules"] == "order-document 1"
    assert not said["receipt"]["duplicate"]
    timeline = await known(region, "/timeline/order/1001", key)
    assert [(e["type"], e["source"]) for e in timeline["items"]] == [("order.created", "orders")]
    assert timeline["items"][0]["origin"] == f"1.{said['receipt']['intake_seq']}.0"


async def test_the_same_key_gets_the_same_receipt_and_another_body_a_conflict(region: Region) -> None:
    key = await grant_all(region)
    _, first, _ = await ask(region, "/orders", key, ORDER, idempotency_key="k-1")
    status, again, _ = await ask(region, "/orders", key, ORDER, idempotency_key="k-1")
    assert status == 202
    assert again["receipt"] == first["receipt"] | {"duplicate": True}
    status, said, _ = await ask(region, "/orders", key, ORDER | {"channel": "web"}, idempotency_key="k-1")
    assert (status, said["type"]) == (409, "urn:entrepot:problem:key-conflict")


async def test_without_a_key_the_number_of_the_order_is_its_key(region: Region) -> None:
    key = await grant_all(region)
    await ask(region, "/orders", key, ORDER)
    assert (await ask(region, "/orders", key, ORDER))[1]["receipt"]["duplicate"]
    assert (await ask(region, "/orders", key, ORDER | {"channel": "web"}))[0] == 409


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"order_id": ""}, "/order_id"), ({"order_id": 7}, "/order_id"), ({"lines": []}, "/lines"),
        ({"lines": [{"line_id": "1", "sku": "A", "quantity": "three"}]}, "/lines/0/quantity"),
        ({"lines": [{"line_id": "1", "sku": "A", "quantity": "NaN"}]}, "/lines/0/quantity"),
        ({"lines": [{"line_id": "1", "quantity": "1"}]}, "/lines/0"), ({"currency": "Euro"}, "/currency"),
        ({"occurred_at": "2026-03-02T08:00:00"}, "/occurred_at"), ({"gross_total": "1E15"}, "/gross_total"),
    ],
)  # fmt: skip
async def test_an_order_that_is_not_valid_is_refused_with_its_place_and_nothing_is_kept(
    change: dict[str, Any], pointer: str, shared: tuple[Region, str]
) -> None:
    region, key = shared
    before = (await region.status())["facts"]
    status, said, headers = await ask(region, "/orders", key, ORDER | change, idempotency_key="k")
    assert (status, headers["content-type"]) == (422, "application/problem+json")
    assert [error["pointer"] for error in said["errors"]] == [pointer], said
    assert (await region.status())["facts"] == before
    assert "Ada" not in json.dumps(said)


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, anyio_backend: Any) -> AsyncIterator[tuple[Region, str]]:
    """For questions that leave nothing behind."""
    async with region_with_api(tmp_path_factory.mktemp("api") / "region") as region:
        yield region, await grant_all(region)


# ---------------------------------------------------------------- questions


async def test_stock_shipments_products_and_partners_are_known_while_the_hub_is_away(region: Region) -> None:
    key = await grant_all(region)
    await tell(
        region,
        {"kind": "STOCK", "sku": "A-1", "place": "B1", "qty": 7},
        {"kind": "STOCK", "sku": "A-1", "place": "B2", "qty": 5},
        {"kind": "SCAN", "parcel": "T1", "order": "1001", "code": "picked_up"},
        {"kind": "SCAN", "parcel": "T1", "code": "delivered", "at": "2026-03-02T11:00:00+01:00"},
        {"kind": "ITEM", "sku": "A-1", "name": "Lamp"},
        {"kind": "PARTNER", "partner": "P1", "name": "Ada Lovelace", "is": "person"},
    )
    stock = (await ask(region, "/stock?sku=A-1", key))[1]["items"]
    assert [(row["location_id"], row["on_hand"], row["unit"]) for row in stock] == [
        ("B1", "7", "H87"),
        ("B2", "5", "H87"),
    ]
    assert (await ask(region, "/stock?location_id=B2", key))[1]["items"] == stock[1:]
    status, shipment, _ = await ask(region, "/shipments/T1", key)
    assert (status, shipment["status"], shipment["occurred_at"]) == (200, "delivered", "2026-03-02T10:00:00Z")
    assert (shipment["order_id"], shipment["carrier"]) == ("1001", "BLITZ")
    assert (await ask(region, "/products/A-1", key))[1]["name"] == "Lamp"
    partner = (await ask(region, "/partners/P1", key))[1]
    assert partner == {
        "occurred_at": "2026-03-02T09:00:00Z", "partner_id": "P1", "kind": "person", "role": "customer"
    }  # fmt: skip
    timeline = (await ask(region, "/timeline/tracking/T1", key))[1]["items"]
    assert [entry["status"] for entry in timeline] == ["picked_up", "delivered"]
    assert [e["status"] for e in (await ask(region, "/timeline/order/1001", key))[1]["items"]] == ["picked_up"]
    assert not (await region.status())["hub_connected"]


async def test_what_was_known_before_a_kill_is_known_after_it_and_told_once(region: Region) -> None:
    key = await grant_all(region)
    await tell(region, *({"kind": "STOCK", "sku": "A-1", "place": "B1", "qty": n} for n in range(5)))
    region.kill()
    await region.start()
    assert len((await known(region, "/timeline/product/A-1", key))["items"]) == 5
    assert (await ask(region, "/stock", key))[1]["items"][0]["on_hand"] == "4"


async def test_pages_follow_each_other_without_a_gap(region: Region) -> None:
    key = await grant_all(region)
    await tell(region, *({"kind": "STOCK", "sku": f"S{n:02}", "place": "B1", "qty": n} for n in range(11)))
    seen: list[str] = []
    path = "/stock?limit=4"
    while True:
        page = (await ask(region, path, key))[1]
        seen += [row["sku"] for row in page["items"]]
        if "next" not in page:
            break
        path = f"/stock?limit=4&cursor={page['next']}"
    assert seen == [f"S{n:02}" for n in range(11)]
    status, said, _ = await ask(region, f"{path}&sku=S01", key)
    assert (status, said["type"]) == (404, "urn:entrepot:problem:no-page"), "a cursor of another question"


async def test_what_is_not_known_is_a_problem_that_says_so(shared: tuple[Region, str]) -> None:
    region, key = shared
    for path in ("/shipments/none", "/products/none", "/partners/none"):
        status, said, headers = await ask(region, path, key)
        assert (status, said["type"], headers["content-type"]) == (
            404, "urn:entrepot:problem:not-known", "application/problem+json"
        )  # fmt: skip
    assert (await ask(region, "/timeline/order/none", key))[1] == {"items": []}
    assert (await ask(region, "/nothing", key))[0] == 404
    status, _, headers = await ask(region, "/stock", key, method="DELETE")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


# ---------------------------------------------------------------- who, and how often


async def test_a_caller_may_ask_what_was_granted_and_every_decision_is_written_down(region: Region) -> None:
    key = await grant(region, "shop", "api:stock:read")
    assert (await ask(region, "/stock"))[0] == 401
    assert (await ask(region, "/stock", key))[0] == 200
    for path, body in (("/products", None), ("/timeline/order/1", None), ("/orders", ORDER)):
        status, said, _ = await ask(region, path, key, body)
        assert (status, said["type"]) == (403, "urn:entrepot:problem:forbidden")
    await region.stop()
    code, out, _ = await region.run("access", "audit", "--json")
    assert code == 0
    entries = json.loads(out)["entries"]
    seen = {
        (e["event"], e["caller"], e.get("reason"), e["source"]) for e in entries if e["event"] in {"used", "denied"}
    }
    assert seen == {
        ("used", "shop", None, "api:stock"),
        ("denied", "", "missing", "api:stock"),
        *(("denied", "shop", "scope", f"api:{part}") for part in ("products", "timeline", "orders")),
    }


async def test_a_key_for_the_api_opens_no_source_and_the_other_way_round(region: Region) -> None:
    key = await grant(region, "shop", "api:*:*")
    assert (await ask(region, "/../../in/orders", key, ORDER))[0] == 403
    other = await grant(region, "wms", "source:*:*")
    assert (await ask(region, "/orders", other, ORDER))[0] == 403
    assert (await ask(region, "/stock", other))[0] == 403


async def test_a_caller_over_its_limit_is_told_how_long_to_wait(region: Region) -> None:
    key = await grant(region, "shop", "api:stock:read", limits=("--rate-per-second", "0.01", "--burst", "2"))
    answers = [await ask(region, "/stock", key) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert answers[0][2]["ratelimit"].startswith('"rate";r=1')
    assert int(answers[2][2]["retry-after"]) > 50
    other = await grant(region, "wms", "api:stock:read")
    assert (await ask(region, "/stock", other))[0] == 200


async def test_all_callers_together_ask_no_faster_than_the_api_allows_and_strangers_use_up_nothing(
    tmp_path: Path,
) -> None:
    api = '[api]\norders = "orders"\nrate_per_second = 0.01\nburst = 2\n'
    async with region_with_api(tmp_path / "region", api=api) as region:
        key, other = await grant_all(region), await grant_all(region, "other")
        assert [(await ask(region, "/stock"))[0] for _ in range(3)] == [401] * 3
        answers = [await ask(region, "/stock", key), await ask(region, "/products", other)]
        assert [(status, headers["ratelimit"].split(";")[1]) for status, _, headers in answers] == [
            (200, "r=1"),
            (200, "r=0"),
        ]
        status, said, headers = await ask(region, "/stock", other)
        assert (status, said["type"]) == (429, "urn:entrepot:problem:too-many")
        assert headers["ratelimit-policy"].startswith('"rate";q=2')
        assert int(headers["retry-after"]) > 50
        assert (await ask(region, "/orders", key, ORDER))[0] == 202, "orders have the limits of their source"


# ---------------------------------------------------------------- versions


ENDING = """
[api.deprecated.list-stock]
since = 2026-01-01T00:00:00Z
sunset = 2026-12-31T23:00:00Z
link = "https://docs.example/stock"
"""


async def test_what_will_end_says_so_from_the_reload_on_also_in_refusals(region: Region) -> None:
    key = await grant_all(region)
    assert "deprecation" not in (await ask(region, "/stock", key))[2]
    region.config.write_text(region.config.read_text() + ENDING)
    code, _, err = await region.run("reload")
    assert code == 0, err
    for path in ("/stock", "/stock?limit=0"):
        headers = (await ask(region, path, key))[2]
        assert (headers["deprecation"], headers["sunset"]) == ("@1767225600", "Thu, 31 Dec 2026 23:00:00 GMT")
    assert "deprecation" not in (await ask(region, "/products", key))[2]
    _, document, _ = await ask(region, "/openapi.json")
    assert document["paths"]["/api/v1/stock"]["get"]["deprecated"]


async def test_the_api_comes_and_goes_with_a_reload_and_what_was_kept_for_it_too(tmp_path: Path) -> None:
    async with region_with_api(tmp_path / "region", api="") as region:
        key = await grant_all(region)
        await tell(region, {"kind": "STOCK", "sku": "A-1", "place": "B1", "qty": 7})
        assert (await ask(region, "/stock", key))[0] == 404
        before = region.config.read_text()
        region.config.write_text(before + API)
        assert (await region.run("reload"))[0] == 0
        assert (await known(region, "/stock", key))["items"][0]["on_hand"] == "7", "told from the events that are kept"
        region.config.write_text(before)
        assert (await region.run("reload"))[0] == 0
        assert (await ask(region, "/stock", key))[0] == 404


async def test_orders_need_a_source_that_takes_them(tmp_path: Path) -> None:
    region = region_with_api(tmp_path / "region", api='[api]\norders = "oders"\n')
    code, _, err = await region.run("check")
    assert code == 2
    assert "api.orders is 'oders'; did you mean 'orders'" in err.replace("\n", " ")


async def test_a_platform_that_insists_on_200_gets_it(tmp_path: Path) -> None:
    region = region_with_api(tmp_path / "region", api="")
    region.config.write_text(region.config.read_text().replace('on_letter = "pass"', "answer_status = 200"))
    async with region:
        status, said = await region.send(b'{"id": "m-1", "kind": "STOCK"}')
        assert (status, said["intake_seq"]) == (200, 1)
