"""Old and new results side by side: every changed leaf, and no word about a person."""

from __future__ import annotations

import json
from typing import Any

from runtime.pipeline.difference import DIFFERENCES_MAX, find_differences


def order(**fields: Any) -> tuple[str, bytes]:
    return "order.created", json.dumps({"order_id": "A", "lines": [{"sku": "S", "quantity": "1"}], **fields}).encode()


def rows(before: tuple[str, bytes] | None, after: tuple[str, bytes] | None) -> list[tuple[str, str | None, str | None]]:
    return [(one.leaf, one.before, one.after) for one in find_differences(before, after)]


def test_only_leaves_that_differ_are_shown() -> None:
    later = order(lines=[{"sku": "S", "quantity": "2"}], channel="shop")
    assert rows(order(), later) == [("lines[0].quantity", "1", "2"), ("channel", None, "shop")]


def test_data_of_persons_and_free_text_are_masked_on_both_sides() -> None:
    before = order(ship_to={"name": "Ana", "address": {"city": "Jena"}}, remarks="ring twice")
    after = order(ship_to={"name": "Eva", "address": {"city": "Ulm"}}, remarks="ring once")
    found = rows(before, after)
    assert {leaf for leaf, _, _ in found} == {"ship_to.name", "ship_to.address.city", "remarks"}
    assert all(value is not None and value.startswith("(text, ") for _, old, new in found for value in (old, new))


def test_what_has_no_known_class_is_masked() -> None:
    assert rows(order(), order(unheard=[{"of": 5}])) == [("unheard[0].of", None, "(masked)")]


def test_another_type_is_a_difference_of_its_own() -> None:
    assert rows(order(), ("order.changed", order()[1]))[0] == ("(type)", "order.created", "order.changed")


def test_an_event_that_is_new_or_gone_shows_all_its_leaves_up_to_a_limit() -> None:
    many = order(lines=[{"sku": str(n)} for n in range(DIFFERENCES_MAX + 10)])
    assert rows(None, order())[:2] == [("(type)", None, "order.created"), ("order_id", None, "A")]
    assert len(find_differences(many, None)) == DIFFERENCES_MAX
