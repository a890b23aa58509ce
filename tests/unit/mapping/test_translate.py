"""What the rules of a mapping mean, one by one, on small messages."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.envelope import Event, Ignored
from runtime.errors import ConfigError, Untranslatable
from tests.support.mappings import STOCK, compiled, envelope, only, plain, snapshot, translate


def refused(mapping: Any, message: Any) -> Untranslatable:
    with pytest.raises(Untranslatable) as caught:
        mapping.translate(envelope(message))
    return caught.value


# ---------------------------------------------------------------- where a value comes from


@pytest.mark.parametrize(
    ("rule", "message", "lot"),
    [
        ('"a.b"', {"a": {"b": "x"}}, "x"),
        ('"a.0"', {"a": ["x", "y"]}, "x"),
        ('"a.-1"', {"a": ["x", "y"]}, "y"),
        ('"a.7"', {"a": ["x"]}, None),
        ('"a.0"', {"a": {"0": "x"}}, "x"),
        ("'\"a.b\"'", {"a.b": "x"}, "x"),
        ('"a.b"', {"a": None}, None),
        ('"a"', {"a": ""}, None),
        ('"a"', {"a": None}, None),
        ('"a"', {}, None),
        ('{ const = "L" }', {}, "L"),
        ('{ path = "a", default = "d" }', {}, "d"),
        ('{ path = "a", default = "d" }', {"a": "x"}, "x"),
        ('{ first = ["b", "a"] }', {"a": "x"}, "x"),
        ('{ first = ["b", "a"] }', {"b": "", "a": "x"}, "x"),
        ('{ first = [["b", "c"], "a"] }', {"b": "1", "c": 2, "a": "x"}, "1 2"),
        ('{ first = [["b", "c"], "a"] }', {"b": "1", "a": "x"}, "x"),
        ('{ first = [["b", "c"], ["a"]] }', {"c": "1", "a": "x"}, "x"),
        ('{ join = ["a", "b"] }', {"a": "x", "b": 7}, "x 7"),
        ('{ join = ["a", "b"], with = "" }', {"a": "x", "b": "y"}, "xy"),
        ('{ join = ["a", "b"] }', {"a": "x"}, None),
        ("""{ jmespath = "items[?type=='X'].value | [0]" }""", {"items": [{"type": "X", "value": "v"}]}, "v"),
        ("""{ jmespath = "items[?type=='X'].value | [0]" }""", {"items": [{"type": "Y", "value": "v"}]}, None),
        ('{ jmespath = "to_string(sum(items))", convert = "string" }', {"items": [1, 2]}, "3"),
        ('{ jmespath = "sum(items)", convert = "string" }', {"items": [0.1, 0.2]}, "0.3"),
        ('{ path = "a", convert = ["strip", "upper"] }', {"a": " x "}, "X"),
        ('{ path = "a", convert = ["strip", "upper"] }', {"a": "  "}, None),
        ('{ path = "a", table = "t" }', {"a": "1"}, "one"),
        ('{ path = "a", table = "t" }', {"a": 1}, "one"),
        ('{ path = "a", table = "t", unknown = "keep" }', {"a": "9"}, "9"),
        ('{ path = "a", table = "t", unknown = "omit" }', {"a": "9"}, None),
        ('{ path = "a", table = "t", default = "none" }', {"a": "9"}, "none"),
        ('{ first = ["fine", "coarse"], table = "t" }', {"fine": "9", "coarse": "1"}, "one"),
        ('{ first = ["fine", "coarse"], table = "t" }', {"fine": "1", "coarse": "9"}, "one"),
        ('{ first = ["fine", "coarse"], table = "t", convert = "strip" }', {"fine": " 9", "coarse": " 1 "}, "one"),
        ('{ first = ["fine", "coarse"], table = "t", unknown = "keep" }', {"fine": "8", "coarse": "9"}, "8"),
        ('{ first = ["fine", "coarse"], table = "t", default = "none" }', {"fine": "8", "coarse": 9}, "none"),
    ],
)
def test_a_field_gets_its_value(rule: str, message: dict[str, Any], lot: str | None) -> None:
    mapping = snapshot(f'lot = {rule}\n[tables.t]\n1 = "one"')
    assert only(mapping, STOCK | message).get("lot") == lot


@pytest.mark.parametrize(
    ("rule", "message", "position", "words"),
    [
        ('"a"', {"a": 7}, "/a", 'a number instead of text (convert = "string" accepts both)'),
        ('"a"', {"a": ["x"]}, "/a", "a list instead of text"),
        ('"a.b"', {"a": "x"}, "/a/b", "not an object"),
        ('"a.b.c"', {"a": ["x"]}, "/a/b/c", "not an object"),
        ('{ path = "a", missing = "letter" }', {}, "/a", "is missing"),
        ('{ path = "a", table = "t" }', {"a": "9"}, "/a", "table t does not have"),
        ('{ path = "a", table = "t" }', {"a": {}}, "/a", "expected text or a number, got an object"),
        ('{ path = "a", convert = "strip" }', {"a": True}, "/a", "expected text or a number"),
        ('{ jmespath = "length(a)", convert = "string" }', {"a": 5}, "", "jmespath"),
    ],
)
def test_a_value_that_does_not_fit_is_a_letter_with_its_position(
    rule: str, message: dict[str, Any], position: str, words: str
) -> None:
    error = refused(snapshot(f'lot = {rule}\n[tables.t]\n1 = "one"'), STOCK | message)
    assert error.position == position
    assert words in str(error)


def test_a_missing_required_field_names_field_type_mapping_and_rule() -> None:
    error = refused(snapshot(), {"sku": "A", "at": "2026-03-02T08:00:00Z"})
    assert str(error) == "on_hand of stock.snapshot: is missing (mapping probe 1, outputs[0].fields.on_hand)"
    assert error.position == "/qty"


def test_an_error_never_repeats_what_the_message_said() -> None:
    error = refused(snapshot('status = "s"'), STOCK | {"s": "Erika Beispiel"})
    assert "Erika" not in str(error) + error.position + error.hint


# ---------------------------------------------------------------- kinds of fields


def test_numbers_keep_their_digits() -> None:
    body = b'{"sku":"A","qty":12345678901234567.89,"at":"2026-03-02T08:00:00Z"}'
    assert only(snapshot(), body)["on_hand"] == "12345678901234567.89"


def test_a_choice_takes_its_own_words_only() -> None:
    mapping = snapshot('status = { path = "s", convert = "lower" }')
    assert only(mapping, STOCK | {"s": "BLOCKED"})["status"] == "blocked"
    assert "none of available, blocked" in str(refused(mapping, STOCK | {"s": "gone"}))


def test_a_pattern_of_the_vocabulary_is_kept() -> None:
    mapping = compiled(
        '[[outputs]]\ntype = "price.changed"\n[outputs.fields]\nsku = "s"\nprice = "p"\ncurrency = "c"\noccurred_at = "t"'
    )
    message = {"s": "A", "p": "1.50", "c": "EUR", "t": "2026-03-02T08:00:00Z"}
    assert only(mapping, message)["currency"] == "EUR"
    assert refused(mapping, message | {"c": "euro"}).position == "/c"


def test_a_date_is_read_from_what_is_a_time() -> None:
    found = only(snapshot('best_before = { path = "d", format = "%d/%m/%Y" }'), STOCK | {"d": "31/08/2027"})
    assert found["best_before"] == "2027-08-31"
    assert only(snapshot('best_before = "d"'), STOCK | {"d": "20270831"})["best_before"] == "2027-08-31"


@pytest.mark.parametrize(
    ("at", "quality"),
    [("2026-03-02T08:00:00", "assumed_zone"), ("2026-03-02", "date_only"), ("2026-03-02T08:00:00Z", None)],
)
def test_the_quality_of_a_time_is_told(at: str, quality: str | None) -> None:
    mapping = snapshot(top='zone = "Europe/Berlin"')
    assert only(mapping, STOCK | {"at": at}).get("time_quality") == quality


def test_the_time_of_acceptance_can_stand_in() -> None:
    fields = 'sku = "sku"\non_hand = "qty"\noccurred_at = { path = "at", missing = "received" }'
    mapping = compiled(f'[[outputs]]\ntype = "stock.snapshot"\n[outputs.fields]\n{fields}')
    found = only(mapping, {"sku": "A", "qty": 1})
    assert (found["occurred_at"], found["time_quality"]) == ("2026-03-02T08:00:00Z", "received")
    assert "time_quality" not in only(mapping, STOCK)


def test_the_zone_of_a_field_wins_over_that_of_the_mapping() -> None:
    fields = 'sku = "sku"\non_hand = "qty"\noccurred_at = { path = "at", zone = "America/Chicago" }'
    mapping = compiled(f'zone = "Europe/Berlin"\n[[outputs]]\ntype = "stock.snapshot"\n[outputs.fields]\n{fields}')
    assert only(mapping, STOCK | {"at": "2026-03-02T08:00:00"})["occurred_at"] == "2026-03-02T08:00:00-06:00"


@pytest.mark.parametrize(
    ("rule", "uom", "unit", "raw"),
    [
        ('"uom"', "H87", "H87", None),
        ('"uom"', "Stck", None, "Stck"),
        ('"uom"', None, None, None),
        ('"uom"', "  ", None, None),
        ('{ path = "uom", table = "t" }', "ST", "H87", None),
        ('{ path = "uom", table = "t" }', "XY", None, "XY"),
        ('{ path = "uom", table = "t", convert = "upper" }', "st", "H87", None),
        ('{ path = "uom", table = "t", unknown = "omit" }', "XY", None, None),
        ('{ path = "uom", table = "t", default = "EA" }', "XY", "EA", None),
        ('{ path = "uom", convert = "unit" }', "kg", "KGM", None),
        ('{ path = "uom", convert = "unit" }', "Kanne", None, "Kanne"),
        ('{ const = "KGM" }', None, "KGM", None),
    ],
)
def test_an_unknown_unit_is_kept_as_written_and_never_guessed(
    rule: str, uom: str | None, unit: str | None, raw: str | None
) -> None:
    found = only(snapshot(f'unit = {rule}\n[tables.t]\nST = "H87"'), STOCK | {"uom": uom})
    assert (found.get("unit"), found.get("unit_raw")) == (unit, raw)


# ---------------------------------------------------------------- objects and lists

ORDER = """
[[outputs]]
type = "order.created"
[outputs.fields]
order_id = "no"
occurred_at = "at"
lines = { each = "items", where = "qty > 0", fields = { line_id = "id", sku = "sku", quantity = "qty", remarks = "root.note" } }
"""
LINE = {"id": "1", "sku": "A", "qty": 2}


def order(**more: Any) -> dict[str, Any]:
    return {"no": "O-1", "at": "2026-03-02T08:00:00Z", "items": [LINE]} | more


def test_a_list_becomes_one_element_each_and_keeps_its_order() -> None:
    found = only(compiled(ORDER), order(items=[LINE, LINE | {"qty": 0}, LINE | {"sku": "B"}], note="n"))
    assert [(line["sku"], line["remarks"]) for line in found["lines"]] == [("A", "n"), ("B", "n")]


def test_the_position_inside_a_list_counts_what_the_sender_sent() -> None:
    error = refused(compiled(ORDER), order(items=[LINE, LINE | {"qty": 0}, LINE | {"sku": 5}]))
    assert error.position == "/items/2/sku"


@pytest.mark.parametrize(
    ("items", "position"), [(None, "/items"), ([], "/items"), ("x", "/items"), ([3], "/items/0/id")]
)
def test_a_required_list_that_is_none_is_a_letter(items: Any, position: str) -> None:
    mapping = compiled(ORDER.replace('where = "qty > 0", ', ""))
    assert refused(mapping, order(items=items)).position == position


def test_an_optional_object_without_any_value_is_left_out() -> None:
    fields = 'ship_to = { fields = { name = "to.name", address = { fields = { city = "to.city", country = { const = "DE" } } } } }'
    mapping = compiled(ORDER + fields)
    assert "ship_to" not in only(mapping, order())
    assert only(mapping, order(to={"name": "N"}))["ship_to"] == {"name": "N"}
    assert only(mapping, order(to={"city": "C"}))["ship_to"] == {"address": {"city": "C", "country": "DE"}}


def test_a_gathered_object_that_lacks_a_required_value_is_a_letter() -> None:
    mapping = snapshot_package('weight = { fields = { value = "kg", unit = "unit" } }')
    assert "weight" not in only(mapping, shipment())["packages"][0]
    assert only(mapping, shipment(kg="1.5"))["packages"][0]["weight"] == {"value": "1.5"}
    assert refused(mapping, shipment(unit="KGM")).position == "/parcels/0/kg"


def snapshot_package(fields: str) -> Any:
    return compiled(
        '[[outputs]]\ntype = "shipment.dispatched"\n[outputs.fields]\nshipment_id = "id"\noccurred_at = "at"\n'
        f'packages = {{ each = "parcels", fields = {{ tracking_number = "nr", {fields} }} }}'
    )


def shipment(**more: Any) -> dict[str, Any]:
    return {"id": "S", "at": "2026-03-02T08:00:00Z", "parcels": [{"nr": "T"} | more]}


def test_an_object_at_a_path_reads_from_there_and_reaches_outwards() -> None:
    fields = 'ship_to = { path = "to", fields = { name = "name", party_id = "^.customer", phone = "root.tel" } }'
    found = only(compiled(ORDER + fields), order(to={"name": "N"}, customer="C", tel="1"))
    assert found["ship_to"] == {"name": "N", "party_id": "C", "phone": "1"}
    assert refused(compiled(ORDER + fields), order(to="N")).position == "/to"


def test_a_list_of_plain_values_takes_the_element_itself() -> None:
    mapping = compiled(
        '[[outputs]]\ntype = "order.cancelled"\n[outputs.fields]\norder_id = "no"\noccurred_at = "at"\n'
        'line_ids = { each = "ids", path = ".", convert = "string" }'
    )
    assert only(mapping, order(ids=[1, "2"]))["line_ids"] == ("1", "2")
    assert "line_ids" not in only(mapping, order(ids=[]))
    assert refused(mapping, order(ids=["1", {}])).position == "/ids/1"


# ---------------------------------------------------------------- outputs

MILESTONES = """
[[outputs]]
type = "shipment.milestone"
each = ["data", "events"]
where = "code != 'X'"
once = ["code", "at"]
[outputs.fields]
tracking_number = "^.nr"
occurred_at = "at"
milestone = { path = "code", convert = "lower" }
"""


def tracking(*codes: str, nr: str = "T") -> dict[str, Any]:
    return {"nr": nr, "events": [{"code": code, "at": "2026-03-02T08:00:00Z"} for code in codes]}


def test_lists_inside_lists_become_events_with_stable_numbers() -> None:
    found = translate(compiled(MILESTONES), {"data": [tracking("DELIVERED", "X"), tracking("LOST", nr="U")]})
    assert [(event.output, plain(event)["milestone"]) for event in found] == [(0, "delivered"), (2, "lost")]
    assert [event.partition_key for event in found if isinstance(event, Event)] == ["T", "U"]


def test_once_is_told_per_business_object() -> None:
    found = translate(compiled(MILESTONES), {"data": [tracking("LOST"), tracking("LOST", nr="U"), tracking("LOST")]})
    keys = [event.once_key for event in found if isinstance(event, Event)]
    assert keys[0] == keys[2] != keys[1]


def test_outputs_are_numbered_by_their_place_in_the_mapping() -> None:
    mapping = compiled("[[outputs]]\n" + ORDER.split("\n", 2)[2].strip() + "\nremarks = 'n'\n" + MILESTONES)
    found = translate(mapping, order() | {"data": [tracking("LOST")]})
    assert [event.output for event in found] == [0, 10_000]


def test_an_empty_list_of_events_is_ignored_with_the_reason() -> None:
    (result,) = translate(compiled(MILESTONES), {"data": [tracking("X")]})
    assert isinstance(result, Ignored)
    assert "nothing to tell" in result.reason


def test_more_than_ten_thousand_elements_are_a_letter() -> None:
    message = {"data": [{"nr": "T", "events": [{"code": "X"}] * 10_001}]}
    assert "more than 10000" in str(refused(compiled(MILESTONES), message))
    assert len(translate(compiled(MILESTONES), {"data": [tracking(*["LOST"] * 10_000)]})) == 10_000


def test_a_message_that_is_a_list_can_be_read() -> None:
    mapping = compiled(
        '[[outputs]]\ntype = "stock.snapshot"\neach = "."\n[outputs.fields]\nsku = "sku"\non_hand = "qty"\noccurred_at = "at"'
    )
    assert len(translate(mapping, [STOCK, STOCK])) == 2
    assert refused(mapping, [STOCK, STOCK | {"sku": 1}]).position == "/1/sku"


def test_what_no_output_knows_is_a_letter_unless_the_mapping_ignores_it() -> None:
    error = refused(snapshot(output="when = \"kind == 'S'\""), STOCK)
    assert "no output applies" in str(error)
    (result,) = translate(snapshot(top='unmatched = "ignore"', output="when = \"kind == 'S'\""), STOCK)
    assert result == Ignored(reason="no output applies")


def test_an_ignore_rule_settles_the_whole_message() -> None:
    mapping = snapshot(top='[[ignore]]\nwhen = "kind == \'PING\'"\nreason = "heartbeat"')
    assert translate(mapping, STOCK | {"kind": "PING"}) == [Ignored(reason="heartbeat")]
    assert isinstance(translate(mapping, STOCK)[0], Event)


@pytest.mark.parametrize("message", [[], "x", 5, None, True])
def test_a_message_that_is_no_object_is_a_letter(message: Any) -> None:
    assert refused(snapshot(), message).position == "/sku"


# ---------------------------------------------------------------- keys


def test_the_partition_key_is_the_business_key_unless_the_mapping_says_otherwise() -> None:
    (event,) = translate(snapshot(), STOCK)
    assert isinstance(event, Event)
    assert event.partition_key == "A-1"
    (event,) = translate(snapshot(output='partition_key = ["site", "sku"]'), STOCK | {"site": 7})
    assert isinstance(event, Event)
    assert event.partition_key == "7|A-1"


@pytest.mark.parametrize("site", [None, "", [], {}, True])
def test_a_partition_key_that_is_none_is_a_letter(site: Any) -> None:
    assert refused(snapshot(output='partition_key = "site"'), STOCK | {"site": site}).position == "/site"


def test_joined_keys_never_collide() -> None:
    mapping = snapshot(output='partition_key = ["a", "b"]')
    pairs = [("x|", "y"), ("x", "|y"), ("x\\", "|y"), ("x\\|", "y")]
    events = [translate(mapping, STOCK | {"a": a, "b": b})[0] for a, b in pairs]
    assert len({event.partition_key for event in events if isinstance(event, Event)}) == len(pairs)


def test_a_very_long_key_is_replaced_by_its_digest() -> None:
    (event,) = translate(snapshot(), STOCK | {"sku": "x" * 5000})
    assert isinstance(event, Event)
    assert event.partition_key.startswith("sha256:")
    assert plain(event)["sku"] == "x" * 5000


# ---------------------------------------------------------------- the compiled object


def test_the_version_names_the_text_and_its_tables() -> None:
    rule = 'lot = { path = "a", table = "t" }\n[tables.t]\nfile = "t.toml"'
    text = (
        f'[[outputs]]\ntype = "stock.snapshot"\n[outputs.fields]\nsku = "s"\non_hand = "q"\noccurred_at = "t"\n{rule}'
    )
    one, two = compiled(text, {"t.toml": 'a = "b"'}), compiled(text, {"t.toml": 'a = "c"'})
    assert one.version == f"probe 1 ({one.sha256[:8]})"
    assert one.version != two.version
    assert one.version == compiled(text, {"t.toml": 'a = "b"'}).version


def test_the_paths_that_are_read_are_listed() -> None:
    mapping = compiled('key = "id"\n' + ORDER)
    assert mapping.reads >= {"id", "no", "at", "items[].id", "items[].sku", "items[].qty", "note"}
    assert "items" not in mapping.reads


def test_names_in_a_mapping_never_become_code() -> None:
    evil = 'x\\"]; raise SystemExit #'
    mapping = snapshot(f"lot = '\"{evil}\"'\nbin = {{ const = '''{evil}''' }}")
    assert only(mapping, STOCK | {'x"]; raise SystemExit #': "kept"})["lot"] == "kept"
    assert only(mapping, STOCK)["bin"] == evil


def test_only_first_tells_one_event_for_the_first_element_that_passes() -> None:
    mapping = snapshot(output='each = "rows"\nwhere = "qty > 0"\nonly_first = true')
    rows = [{**STOCK, "sku": sku, "qty": qty} for sku, qty in (("A", 0), ("B", 2), ("C", 3))]
    (event,) = translate(mapping, {"rows": rows})
    assert isinstance(event, Event)
    assert (event.data.sku, event.output) == ("B", 0)
    assert not any(isinstance(result, Event) for result in translate(mapping, {"rows": rows[:1]}))


@pytest.mark.parametrize(
    "output", ["only_first = true", 'each = ["a", "b"]\nonly_first = true', 'each = "a"\nonly_first = 1']
)
def test_only_first_stands_beside_one_list_or_is_refused(output: str) -> None:
    with pytest.raises(ConfigError, match="only_first: expected true, beside an each over one list"):
        snapshot(output=output)


COUNTED = """
[tables.kinds]
in = "came"
out = "went"
7 = "came"
[[outputs]]
type = "stock.snapshot"
when = "table('kinds', code) == 'came'"
fields = { sku = "sku", on_hand = "qty", occurred_at = "at" }
"""


@pytest.mark.parametrize(("code", "told"), [("in", 1), ("out", 0), ("?", 0), (None, 0), (7, 1), ([], 0), (True, 0)])
def test_a_condition_can_ask_what_a_table_says(code: Any, told: int) -> None:
    results = compiled('unmatched = "ignore"\n' + COUNTED).translate(envelope({**STOCK, "code": code}))
    assert sum(isinstance(result, Event) for result in results) == told


def test_a_condition_over_a_table_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'there is no table "kind".*kinds'):
        compiled(COUNTED.replace("table('kinds'", "table('kind'"))
