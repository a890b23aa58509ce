"""A first mapping from a sample: it compiles whatever the sample is, says that it guesses, and repeats no one's data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.canonical.registry import TYPES
from runtime.cli.entry import main
from runtime.mapping import load, try_mapping
from runtime.mapping.decode import decode_json
from runtime.mapping.scaffold import draft, look, write

SAMPLES = Path(__file__).parents[3] / "examples" / "eu-de" / "samples" / "wms"
ORDER = {
    "topic": "order.new",
    "deliveryId": "9f1c",
    "pedido": {"numero": 4711, "fecha": "17/03/2026 09:30", "moneda": "EUR", "importe": "1.234,50"},
    "cliente": {"nombre": "Ana García", "correo": "ana@example.org"},
    "lineas": [{"articulo": "A-1", "cantidad": 2, "precio": "9,95"}],
    "extra": {"gift": True},
}


def scaffold(*messages: Any, type_name: str | None = None) -> str:
    seen = look([decode_json(json.dumps(message).encode(), "application/json") for message in messages])
    return write(draft(seen, type_name), "acme", "sample.json")


def events(text: str, message: Any) -> list[dict[str, Any]]:
    trial = try_mapping(load(text, "acme.toml", {}.__getitem__), json.dumps(message).encode())
    assert not trial.errors, trial.errors
    return trial.outputs


@pytest.mark.parametrize(
    ("sample", "type_name"),
    [
        ("01-order-new.json", "order.created"),
        ("02-pick.json", "stock.picked"),
        ("03-ship.json", "shipment.dispatched"),
        ("04-receipt.json", "goods.received"),
        ("05-adjust.json", "stock.adjusted"),
    ],
)
def test_the_type_of_a_real_message_is_guessed(sample: str, type_name: str) -> None:
    message = decode_json((SAMPLES / sample).read_bytes(), "application/json")
    assert draft(look([message])).type == type_name


def test_a_message_in_another_language_becomes_a_correct_order() -> None:
    (event,) = events(scaffold(ORDER), ORDER)
    data = event["data"]
    assert event["type"] == "order.created"
    assert (data["order_id"], data["currency"], data["gross_total"]) == ("4711", "EUR", "1234.50")
    assert str(data["occurred_at"]).replace(" ", "T").startswith("2026-03-17T09:30:00")
    assert (data["customer"]["name"], data["customer"]["email"]) == ("Ana García", "ana@example.org")
    (line,) = data["lines"]
    assert (line["sku"], line["quantity"], line["unit_price"]) == ("A-1", "2", "9.95")


def test_every_rule_says_that_it_is_a_guess_and_how_sure() -> None:
    text = scaffold(ORDER)
    rules = [line for line in text.splitlines() if "=" in line and not line.startswith(("#", "mapping", "version"))]
    assert rules
    assert [line for line in rules if "# guess " not in line] == []


def test_what_could_not_be_placed_is_listed_without_its_value() -> None:
    text = scaffold({**ORDER, "secret_word": "only for Ana"})
    assert "#   extra.gift (true or false)" in text
    assert "#   secret_word (text)" in text
    for personal in ("Ana", "only for", "example.org"):
        assert personal not in text


def test_a_stock_list_becomes_one_event_for_each_element() -> None:
    message = {"sentAt": "2026-03-02T08:00:00Z", "items": [{"sku": "A", "onHand": 3}, {"sku": "B", "onHand": 0}]}
    found = events(scaffold(message, type_name="stock.snapshot"), message)
    assert [(event["data"]["sku"], event["data"]["on_hand"]) for event in found] == [("A", "3"), ("B", "0")]


@pytest.mark.parametrize("type_name", TYPES)
def test_a_scaffold_of_every_type_compiles_even_from_a_message_that_fits_nothing(type_name: str) -> None:
    load(scaffold({"x": {"y": 1}}, type_name=type_name), "acme.toml", {}.__getitem__)


KEYS = st.sampled_from(
    ["id", "order", "sku", "qty", "lines", "at", "type", "status", "email", "Ämter", 'a"b', "a.b", "^", "0", "\n", "in", "weight", "value", "city", "\x7f", ""]
)  # fmt: skip
VALUES = (
    st.none() | st.booleans() | st.integers(-10, 2_000_000_000) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6) | st.sampled_from(["EUR", "03/04/2026", "1,5", "a@b.co", "delivered", "4006381333931", "'", "\\"])
)  # fmt: skip
MESSAGES = st.recursive(
    VALUES, lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=6), max_leaves=25
)


@settings(max_examples=150, deadline=None)
@given(MESSAGES)
def test_whatever_the_sample_is_its_scaffold_compiles_and_can_be_tried(message: Any) -> None:
    body = json.dumps(message).encode()
    seen = look([decode_json(body, "application/json")])
    if seen:
        mapping = load(write(draft(seen), "acme", "s.json"), "acme.toml", {}.__getitem__)
        try_mapping(mapping, body)


def test_a_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "acme.toml"
    words = ["map", "new", "--from", str(SAMPLES / "01-order-new.json"), "--to", str(target)]
    assert main(words) == 0
    written = target.read_text()
    assert main(words) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert target.read_text() == written
    assert main(["map", "test", str(target), str(SAMPLES / "01-order-new.json")]) in {0, 1}


def test_an_unknown_type_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "new", "--from", str(SAMPLES / "01-order-new.json"), "--type", "order.craeted"]) == 2
    assert "did you mean 'order.created'?" in capsys.readouterr().err
