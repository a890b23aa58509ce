"""A pack knows each message by its type, else by its shape, and gives it to the mapping that was written for it."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.envelope import Event, Ignored
from runtime.errors import ConfigError, Untranslatable
from runtime.mapping import try_pack
from runtime.mapping.pack import LIST_STEP
from tests.support.packs import AT, PACK, STOCK, data, envelope, probe, translate

COUNTED = {"sku": "A-1", "counted": 5, "at": AT}
MOVED = {"sku": "A-1", "moved": -2, "at": AT}
TOPIC = {"x-topic": "stock/counted"}


def kinds(message: Any, headers: dict[str, str] | None = None) -> list[str]:
    return [type(result.data).__name__ for result in translate(probe(), message, headers) if isinstance(result, Event)]


@pytest.mark.parametrize(
    ("message", "headers", "kind"),
    [
        (COUNTED, TOPIC, "StockSnapshot"),
        (COUNTED, {"x-topic": "Stock/Counted"}, "StockSnapshot"),
        ({**COUNTED, "kind": "STOCK_COUNTED"}, {}, "StockSnapshot"),
        (COUNTED, {}, "StockSnapshot"),
        (MOVED, {}, "StockAdjusted"),
        ({**MOVED, "counted": 5}, {"x-topic": "stock/moved"}, "StockAdjusted"),
        ({**MOVED, "kind": "STOCK_COUNTED", "counted": 1}, {"x-topic": "stock/moved"}, "StockAdjusted"),
        ({"item": MOVED}, {}, "StockAdjusted"),
        ({"item": MOVED, "more": False}, {}, "StockAdjusted"),
        ({"item": {"color": "red"}, **MOVED}, {}, "StockAdjusted"),
    ],
)
def test_a_message_is_known_by_its_header_then_its_field_then_its_shape(
    message: dict[str, Any], headers: dict[str, str], kind: str
) -> None:
    assert kinds(message, headers) == [kind]


def test_a_message_that_means_nothing_is_ignored_with_the_reason() -> None:
    assert translate(probe(), {}, {"x-topic": "cart/changed"}) == [Ignored(reason="a cart is no order")]


def test_a_list_of_messages_gives_each_its_own_numbers() -> None:
    results = translate(probe(), {"items": [COUNTED, MOVED]})
    assert [result.output for result in results] == [LIST_STEP, 2 * LIST_STEP + 10_000]


def test_an_empty_list_says_nothing() -> None:
    assert translate(probe(), {"items": []}) == [Ignored(reason="nothing to tell: the list is empty")]


@pytest.mark.parametrize(
    ("message", "headers", "position", "says"),
    [
        ({}, {"x-topic": "stock/eaten"}, "header:x-topic", "no message of this type"),
        ({"kind": "EATEN"}, {}, "/kind", "no message of this type"),
        ({**COUNTED, "kind": "EATEN"}, {}, "/kind", "no message of this type"),
        ({"colour": "red"}, {}, "", "no known message of Probe"),
        ([COUNTED, 2], {}, "/1", "no known message of Probe"),
        (17, {}, "", "no known message of Probe"),
        ({"items": [COUNTED, {}]}, {}, "/items/1", "no known message of Probe"),
        ({"items": [COUNTED] * 1001}, {}, "/items", "more than 1000 messages"),
        ({"items": [COUNTED, {**MOVED, "moved": "x"}]}, {}, "/items/1/moved", "not a number"),
        ({"item": {**COUNTED, "sku": None}}, {}, "/item/sku", "is missing"),
    ],
)
def test_what_a_pack_does_not_know_is_a_letter_with_its_place(
    message: Any, headers: dict[str, str], position: str, says: str
) -> None:
    with pytest.raises(Untranslatable, match=says) as caught:
        translate(probe(), message, headers)
    assert caught.value.position == position


def test_a_letter_of_a_pack_repeats_nothing_of_the_message() -> None:
    with pytest.raises(Untranslatable) as caught:
        translate(probe(), {"kind": "Ada Lovelace"}, {"x-at": "Ada Lovelace"})
    assert "Ada" not in f"{caught.value} {caught.value.hint}"


def test_a_header_can_be_a_value_and_the_key() -> None:
    headers = {"x-at": AT, "x-delivery": "d-1"}
    assert data(translate(probe(), {"sku": "A", "counted": 1}, headers))[0]["occurred_at"] == AT
    assert probe().key(b"\xff", "text/plain", headers) == "d-1"
    assert probe().key(b'{"x-delivery":"d-2"}', "application/json", {"x-at": AT}) is None


def test_the_partition_key_of_a_message_that_failed_is_that_of_its_own_mapping() -> None:
    broken = {"item": {**COUNTED, "counted": "x"}}
    assert probe().partition_key(envelope(broken)) == "A-1"
    assert probe().partition_key(envelope({"items": [COUNTED, COUNTED]})) is None
    assert probe().partition_key(envelope(b"{")) is None


# ---------------------------------------------------------------- options


def test_an_option_names_the_column_even_with_dots_in_it() -> None:
    found = translate(probe(options={"sku": "Art.Nr", "unit": "KGM"}), {"Art.Nr": "X", "counted": 1, "at": AT})
    assert data(found) == [{"occurred_at": "2026-03-02T08:00:00Z", "sku": "X", "on_hand": "1", "unit": "KGM"}]


def test_a_field_whose_option_is_not_set_is_left_out() -> None:
    stock = STOCK.replace('change = "moved"', 'change = "moved"\nbin = { path = "${unit}" }\nlot = "${unit}"')
    pack = probe(files={"stock.toml": stock})
    assert set(data(translate(pack, MOVED))[0]) == {"occurred_at", "sku", "change"}


def test_the_digest_of_a_pack_covers_its_options_and_every_file() -> None:
    same, option = probe(), probe(options={"sku": "x"})
    changed = probe(files={"stock.toml": STOCK + "\n# a word"})
    assert len({same.sha256, option.sha256, changed.sha256}) == 3
    assert same.sha256 == probe().sha256


# ---------------------------------------------------------------- mistakes in a pack


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('"stock.toml"\nshape = "exists(counted)"', '"stok.toml"', r"messages\[0\].mapping: cannot read stok.toml"),
        ('ignore = "a cart is no order"', "", r"messages\[2\]: a message has one of mapping"),
        ('"exists(moved)"', '"moved +"', r"messages\[1\].shape: not an expression"),
        ('"exists(moved)"', "\"header('x-shop') == 'a'\"", r"messages\[1\].shape: the header is not among headers"),
        ('"STOCK_COUNTED"', '"cart/changed"', r'messages\[2\]: "cart/changed" stands for two messages'),
        ('"X-At"]', '"Authorization"]', "authorization proves who sends, so it is never kept"),
        ('"X-At"]', '"x y"]', "expected the name of a header"),
        ('"X-At"]', ", ".join(['"X-At"', *(f'"x-{n}"' for n in range(8))]) + "]", "at most 8 names of headers"),
        ("version = 1", "versio = 1", "versio"),
        ("pack = ", "pack ", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_pack_is_one_sentence_with_its_place(was: str, becomes: str, says: str) -> None:
    assert was in PACK
    with pytest.raises(ConfigError, match=says) as caught:
        probe(PACK.replace(was, becomes, 1))
    assert "probe/" in str(caught.value)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('["stock/moved"]', '["stock/movd"]', 'no message "stock/movd".*did you mean .stock/moved'),
        ('["stock/moved"]', "[]", "expected a list of messages"),
        ('"${unit}"', '"${uni}"', "there is no option uni.*unit"),
    ],
)
def test_a_mistake_in_a_mapping_of_a_pack_is_one_sentence_with_its_place(was: str, becomes: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        probe(files={"stock.toml": STOCK.replace(was, becomes, 1)})
    assert "probe/stock.toml: outputs" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"ski": "x"}, "no such option.*sku"), ({}, "must be set: Which site")],
)
def test_a_wrong_option_is_one_sentence(options: dict[str, str], says: str) -> None:
    pack = PACK.replace("[[messages]]", '[options.site]\nsays = "Which site."\nrequired = true\n[[messages]]', 1)
    with pytest.raises(ConfigError, match=says):
        probe(pack, options=options)


# ---------------------------------------------------------------- a trial names what each message became


def test_a_trial_names_the_message_what_it_was_known_by_and_what_it_became() -> None:
    first, second = try_pack(
        probe(), b'{"items":[{"sku":"A","counted":1,"at":"%s"},{"kind":"cart/changed"}]}' % AT.encode()
    )
    assert (first.message, first.known_by, first.position) == ("stock/counted", "shape", "/items/0")
    assert [output["type"] for output in first.outputs] == ["stock.snapshot"]
    assert (second.message, second.known_by) == ("cart/changed", "type")
    assert second.outputs == [{"ignored": "a cart is no order", "output": 2 * LIST_STEP}]


def test_a_trial_of_an_unknown_message_says_where_and_what_stands_there() -> None:
    (trial,) = try_pack(probe(), b'{"kind":"EATEN"}')
    assert (trial.errors[0].position, trial.errors[0].value) == ("/kind", '"EATEN"')
