"""A record says what the newest occurrence says, whatever order events come in, and holds nothing of a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.canonical.masterdata import PartnerChanged, ProductChanged
from runtime.canonical.orders import OrderCreated
from runtime.canonical.parties import Address, Party, Place
from runtime.canonical.registry import NAMES
from runtime.canonical.shipments import ShipmentDispatched, ShipmentMilestone, ShipmentRequested
from runtime.canonical.stock import StockAdjusted, StockSnapshot
from runtime.standing.fold import KEY_CHARS_MAX, merge, read_mention, statements, subjects, together
from runtime.standing.records import Partner, Record, Shipment, StockLevel

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def said(event: Any) -> list[Record]:
    return [one.record for one in statements(NAMES[type(event)], msgspec.json.encode(event))]


def named(event: Any) -> list[str]:
    return subjects(NAMES[type(event)], read_mention(msgspec.json.encode(event)))


def fold(*events: Any) -> Any:
    """What becomes of the first object that each event speaks of."""

    def step(before: Record | None, event: Any) -> Record | None:
        return merge(before, said(event)[0]) or before

    return reduce(step, events, None)


def milestone(hours: int, what: Any, **more: Any) -> ShipmentMilestone:
    return ShipmentMilestone(occurred_at=at(hours), tracking_number="T1", milestone=what, **more)


WAY = [
    milestone(1, "picked_up", carrier="DHL", order_id="1001"),
    milestone(2, "departed", place=Place(country="DE", location_id="HUB")),
    milestone(3, "out_for_delivery"),
    milestone(4, "delivered", place=Place(country="FR")),
]


@given(st.permutations(WAY))
def test_the_newest_milestone_wins_in_whatever_order_they_come(events: list[ShipmentMilestone]) -> None:
    found = fold(*events)
    assert (found.status, found.country, found.location_id, found.occurred_at) == ("delivered", "FR", None, at(4))
    assert (found.carrier, found.order_id) == ("DHL", "1001"), "what no newer one contradicts is kept"


def test_a_shipment_is_known_by_its_id_and_by_its_tracking_number() -> None:
    requested = ShipmentRequested(occurred_at=at(0), shipment_id="S1", lines=(), order_id="1001")
    dispatched = ShipmentDispatched(occurred_at=at(1), shipment_id="S1", tracking_number="T1", carrier="DHL")
    of_both = statements("shipment.dispatched", msgspec.json.encode(dispatched))
    assert [one.key for one in of_both] == ["S1", "T1"]
    by_id = fold(requested, dispatched)
    moved = fold(milestone(5, "delivered"))
    found = together([by_id, moved])
    assert isinstance(found, Shipment)
    assert (found.id, found.status, found.order_id, found.tracking_number) == ("S1", "delivered", "1001", "T1")


def snapshot(hours: int, on_hand: int, **more: Any) -> StockSnapshot:
    return StockSnapshot(occurred_at=at(hours), sku="A", location_id="B1", on_hand=Decimal(on_hand), **more)


def adjustment(hours: int, **more: Any) -> StockAdjusted:
    return StockAdjusted(occurred_at=at(hours), sku="A", location_id="B1", **more)


def test_a_count_replaces_the_level_and_an_adjustment_moves_it() -> None:
    found = fold(snapshot(1, 10, available=Decimal(8)), adjustment(2, change=Decimal(-3)))
    assert (found.on_hand, found.available, found.adjusted) == (7, 5, True)
    found = fold(snapshot(1, 10, available=Decimal(8)), adjustment(2, quantity_after=Decimal(4)))
    assert (found.on_hand, found.available) == (4, 2)
    found = fold(snapshot(1, 10, available=Decimal(8)), snapshot(2, 3))
    assert (found.on_hand, found.available, found.adjusted) == (3, None, False), "a count says everything anew"


def test_what_happened_before_the_count_is_in_the_count() -> None:
    assert fold(snapshot(2, 10), adjustment(1, change=Decimal(-3)), snapshot(0, 99)).on_hand == 10


def test_a_level_that_nobody_counted_is_not_guessed() -> None:
    assert fold(adjustment(1, change=Decimal(5))) is None
    assert fold(adjustment(1, quantity_after=Decimal(5))).on_hand == 5
    boxes = fold(snapshot(1, 10, unit="H87"), adjustment(2, change=Decimal(1), unit="XBX"))
    assert boxes.on_hand == 10, "boxes are not added to pieces"


def test_lots_and_locations_are_counted_apart() -> None:
    (one,) = statements("stock.snapshot", msgspec.json.encode(snapshot(1, 1, lot="L1")))
    (other,) = statements("stock.snapshot", msgspec.json.encode(snapshot(1, 1)))
    assert (one.key, one.group) == (other.key, other.group) == ("A", "B1")
    assert one.part != other.part


def test_a_product_keeps_what_another_message_said_of_it_and_no_costs() -> None:
    named = ProductChanged(occurred_at=at(1), sku="A", name="Lamp", cost=Decimal("9.99"), currency="EUR")
    customs = ProductChanged(occurred_at=at(2), sku="A", hs_code="9405", active=False)
    for events in ((named, customs), (customs, named)):
        found = fold(*events)
        assert (found.name, found.hs_code, found.active, found.occurred_at) == ("Lamp", "9405", False, at(2))
        assert b"9.99" not in msgspec.json.encode(found)


def partner(hours: int, **more: Any) -> PartnerChanged:
    return PartnerChanged(
        occurred_at=at(hours), partner_id="P1", name="Ada Lovelace", contact_name="Ada", email="ada@example.org",
        phone="+49 1", tax_id="DE1", iban="DE2", address=Address(street="Ring 1", city="Ulm", country="DE"), **more,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [None, "person"])
def test_of_a_person_neither_name_nor_contact_nor_address_is_kept(kind: Any) -> None:
    found = fold(partner(1, kind=kind, role="customer"))
    assert found == Partner(occurred_at=at(1), partner_id="P1", kind=kind, role="customer", country="DE")


def test_an_organisation_has_a_name_until_it_turns_out_to_be_a_person() -> None:
    assert fold(partner(1, kind="organisation")).name == "Ada Lovelace"
    assert fold(partner(1, kind="organisation"), partner(2)).name == "Ada Lovelace"
    for events in ((1, 2), (2, 1)):
        kinds: dict[int, Any] = {1: "organisation", 2: "person"}
        assert fold(*(partner(hours, kind=kinds[hours]) for hours in events)).name is None


def test_an_event_belongs_to_the_timeline_of_every_key_that_it_names() -> None:
    assert named(WAY[0]) == ["order/1001", "tracking/T1"]
    order = OrderCreated(occurred_at=at(0), order_id="1001", lines=(), customer=Party(party_id="C1", name="Ada"))
    assert named(order) == ["order/1001"]


def test_keys_that_nobody_could_ask_for_are_left_out() -> None:
    long = "x" * (KEY_CHARS_MAX + 1)
    for sku in ("", long):
        event = StockSnapshot(occurred_at=at(1), sku=sku, on_hand=Decimal(1))
        assert said(event) == []
        assert named(event) == []
    assert said(snapshot(1, 1, lot=long * 2)) == []


def test_every_record_reads_back_as_it_was() -> None:
    level = fold(snapshot(1, 10, lot="L1", available=Decimal("7.5")))
    assert msgspec.json.decode(msgspec.json.encode(level), type=StockLevel) == level
