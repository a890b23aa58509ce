"""The vocabulary as a whole: names, classes, keys, and what decoding promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from runtime.canonical import NAMES, TYPES, decoder
from runtime.canonical.classes import CLASSES, UNCLASSIFIED
from runtime.canonical.leaves import fields_of, leaves
from runtime.canonical.ownership import OWNERSHIP, owner
from runtime.canonical.registry import parse_ce_type
from runtime.canonical.stock import StockSnapshot
from runtime.errors import Permanent
from runtime.record import event_subject

NAMED_IN_THE_DESIGN = {
    "order.created", "order.changed", "order.cancelled", "order.acknowledged",
    "shipment.requested", "shipment.dispatched", "shipment.milestone",
    "stock.reserved", "stock.picked", "stock.adjusted", "stock.snapshot", "goods.received",
    "invoice.posted", "invoice.credited", "invoice.paid",
    "return.requested", "return.approved", "return.received",
    "product.changed", "partner.changed", "price.changed",
    "document.acknowledged", "document.rejected",
}  # fmt: skip


def test_every_type_of_the_design_is_there_and_no_other() -> None:
    assert set(TYPES) == NAMED_IN_THE_DESIGN


def test_a_struct_belongs_to_one_type_only() -> None:
    assert len(NAMES) == len(TYPES)
    assert all(NAMES[entry.struct] == name for name, entry in TYPES.items())


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_leaf_has_a_class_of_the_set(name: str) -> None:
    unclassified = [leaf.path for leaf in leaves(TYPES[name].struct) if leaf.class_name not in CLASSES]
    assert unclassified == []


@pytest.mark.parametrize("name", sorted(TYPES))
def test_the_business_key_is_a_required_text_at_the_top(name: str) -> None:
    field = next(field for field in fields_of(TYPES[name].struct) if field.name == TYPES[name].key_field)
    assert field.required
    assert field.type is str
    assert field.nested is None


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_event_must_say_when_it_occurred(name: str) -> None:
    field = next(field for field in fields_of(TYPES[name].struct) if field.name == "occurred_at")
    assert field.required


@pytest.mark.parametrize("name", sorted(TYPES))
def test_no_leaf_holds_a_shape_that_the_walker_cannot_see_into(name: str) -> None:
    for struct in _structs(TYPES[name].struct):
        for field in fields_of(struct):
            assert field.nested is not None or field.type not in (dict, list, tuple, object)


def _structs(struct: type[msgspec.Struct]) -> set[type[msgspec.Struct]]:
    inner = {found for field in fields_of(struct) if field.nested for found in _structs(field.nested)}
    return {struct} | inner


def test_a_leaf_without_a_class_is_seen_as_unclassified() -> None:
    class Careless(msgspec.Struct):
        note: str

    assert [leaf.class_name for leaf in leaves(Careless)] == [UNCLASSIFIED]


def test_the_subject_of_a_party_is_the_role_that_it_plays() -> None:
    subjects = {leaf.path: leaf.subject for leaf in leaves(TYPES["order.created"].struct)}
    assert subjects["customer.email"] == "customer"
    assert subjects["ship_to.email"] == "consignee"
    assert subjects["order_id"] is None


def test_paths_of_list_elements_carry_brackets() -> None:
    paths = {leaf.path for leaf in leaves(TYPES["return.requested"].struct)}
    assert {"lines[].sku", "lines[].photo_urls[]", "customer.address.city"} <= paths


def test_the_ce_type_carries_prefix_and_version_and_can_be_read_back() -> None:
    assert TYPES["stock.snapshot"].ce_type == "io.entrepot.stock.snapshot.v1"
    assert all(parse_ce_type(entry.ce_type) == (name, 1) for name, entry in TYPES.items())


@pytest.mark.parametrize(
    "text", ["stock.snapshot.v1", "io.entrepot.v1", "io.entrepot.stock.snapshot", "io.entrepot.a.b.vx"]
)
def test_a_foreign_type_name_is_refused(text: str) -> None:
    with pytest.raises(Permanent):
        parse_ce_type(text)


def test_short_names_are_fit_for_subjects() -> None:
    assert all(event_subject("eu-de", "bulk", name).isascii() and name.count(".") == 1 for name in TYPES)


def test_every_type_has_an_owner_and_every_row_of_the_table_is_used() -> None:
    used = {owner(name).domain for name in TYPES}
    assert used == {row.domain for row in OWNERSHIP}


def test_the_narrower_row_of_the_ownership_table_counts() -> None:
    assert owner("return.requested").master == "odoo"
    assert owner("return.received").master == "region"


SNAPSHOT = {"occurred_at": "2026-11-23T09:00:00+01:00", "sku": "A-1", "on_hand": "5.50"}


@pytest.mark.parametrize(
    ("given", "kept"), [("5.50", "5.50"), (5, "5"), (1.1, "1.1"), ("75.000", "75.000"), (-0.25, "-0.25")]
)
def test_quantities_come_from_texts_and_numbers_and_leave_as_texts(given: object, kept: str) -> None:
    event = msgspec.convert({**SNAPSHOT, "on_hand": given}, StockSnapshot, strict=False)
    assert event.on_hand == Decimal(kept)
    assert f'"on_hand":"{kept}"'.encode() in msgspec.json.encode(event)


def test_instants_keep_the_offset_they_came_with() -> None:
    event = msgspec.convert(SNAPSHOT, StockSnapshot, strict=False)
    assert event.occurred_at == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert event.occurred_at.utcoffset() == timedelta(hours=1)


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.convert({**SNAPSHOT, "occurred_at": "2026-11-23T09:00:00"}, StockSnapshot, strict=False)


def test_a_currency_that_is_no_code_is_refused() -> None:
    raw = {**SNAPSHOT, "price": "1", "currency": "Euro"}
    with pytest.raises(msgspec.ValidationError, match="currency"):
        msgspec.convert(raw, TYPES["price.changed"].struct, strict=False)


def test_decoding_skips_fields_of_a_later_version() -> None:
    event = decoder("stock.snapshot").decode(msgspec.json.encode({**SNAPSHOT, "colour": "blue"}))
    assert event.sku == "A-1"


def test_the_decoder_of_a_type_is_made_once() -> None:
    assert decoder("order.created") is decoder("order.created")
