"""The recipes that packs give for hints are configurations that work: they check, and lead from a hint to its address."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.webhook import ADAPTER
from runtime import packs
from runtime.envelope import Envelope
from runtime.mapping.decode import ANY
from runtime.mapping.faults import Spot
from runtime.mapping.link import Link, compile_link
from tests.packs import golden
from tests.support.mappings import ACCEPTED_US

SHARED = {"adapter", "pack", "mapping", "dedupe"}
LED = [
    ("ups", "track-alert-delivered", "https://onlinetools.ups.com/api/track/v1/details/{}?locale=en_US", ("trackingNumber",)),
    (
        "amazon-sp-api", "order-change-buyer-request", "https://sellingpartnerapi-eu.amazon.com/orders/v0/orders/{}",
        ("Payload", "OrderChangeNotification", "AmazonOrderId"),
    ),
    (
        "dynamics-365", "purchase-order-received",
        "https://ORG.operations.dynamics.com/data/ProductReceiptLines?cross-company=true&$filter=ProductReceiptNumber%20eq%20%27{}%27",
        ("ProductReceiptId",),
    ),
]  # fmt: skip


def recipe(name: str) -> dict[str, Any]:
    """The one source of a pack's recipe."""
    (source,) = tomllib.loads(golden.pack(name).manifest.platform.follow)["sources"].values()
    return dict(source)


def settings(name: str) -> Any:
    found = recipe(name)
    assert found["adapter"] == ADAPTER.name
    assert ("pack" in found) != ("mapping" in found)
    return msgspec.convert({key: value for key, value in found.items() if key not in SHARED}, ADAPTER.settings)


def link(name: str) -> Link:
    rule = ADAPTER.follow(settings(name))
    assert rule is not None
    if recipe(name).get("pack") == name:
        return compile_link(rule.when, rule.url, golden.pack(name), Spot(name))
    return Link(rule.when, rule.url, (), ANY, Spot(name))


def envelope(body: bytes) -> Envelope:
    return Envelope(
        source="s", body=body, content_type="application/json", intake_seq=1, epoch=1, received_us=ACCEPTED_US,
        correlation_id="0" * 32,
    )  # fmt: skip


def test_every_recipe_is_tried_here() -> None:
    assert {name for name in packs.names() if golden.pack(name).manifest.platform.follow} == {name for name, *_ in LED}


@pytest.mark.parametrize("name", [name for name, *_ in LED])
def test_a_recipe_is_a_configuration_that_can_be_used_from_anywhere(name: str) -> None:
    ADAPTER.check(settings(name), loopback=False)
    asking = settings(name).follow
    assert asking.networks == [], "only the public Internet"
    assert asking.login.kind == "oauth2"


@pytest.mark.parametrize(("name", "sample", "url", "place"), LED, ids=[name for name, *_ in LED])
def test_a_hint_of_the_platform_leads_to_its_address(name: str, sample: str, url: str, place: tuple[str, ...]) -> None:
    (file,) = [each for each in Path(golden.HERE, name).glob("*.json") if each.stem == sample]
    said = msgspec.json.decode(file.read_bytes())
    for key in place:
        said = said[key]
    assert link(name).url(envelope(file.read_bytes())) == url.format(str(said).strip())


def test_what_the_track_api_of_ups_answers_is_no_hint_and_is_translated() -> None:
    body = Path(golden.HERE, "ups", "track-history.json").read_bytes()
    assert link("ups").url(envelope(body)) is None
    assert golden.pack("ups").translate(envelope(body))


def test_a_quote_in_a_receipts_number_does_not_reach_the_filter() -> None:
    body = b'{"BusinessEventId": "PurchaseOrderReceivedBusinessEvent", "ProductReceiptId": "x\' or 1 eq 1"}'
    assert link("dynamics-365").url(envelope(body)) is None
