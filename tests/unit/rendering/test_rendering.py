"""The mapping engine in reverse: values, formats, and sentences for what is wrong."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError, Permanent
from runtime.mapping.xmltree import decode_xml
from runtime.ports import Delivery
from runtime.rendering import Rendering, event_tree, load

ORDER = {
    "order_id": "A-1",
    "occurred_at": "2026-03-29T00:30:00+00:00",
    "requested_on": "2026-04-01",
    "gross_total": "1234.50",
    "paid": True,
    "remarks": 'say "hi"; then\nleave',
    "ship_to": {"name": "Jürgen", "country": "DE"},
    "lines": [
        {"sku": "S-1", "quantity": "2", "unit": "H87", "lots": ["x", "y"]},
        {"sku": "0004711", "quantity": "0.125", "unit": "KGM", "lots": []},
    ],
}


def delivery(data: Any = ORDER) -> Delivery:
    return Delivery(
        id="hq.orders.1.7",
        type="io.entrepot.order.created.v1",
        key="A-1",
        attributes={"subject": "A-1", "time": "2026-03-29T00:30:00+00:00"},
        data=msgspec.json.encode(data),
        attempt=1,
        first_us=1_767_225_600_000_000,
    )


def rendering(fields: str, head: str = "", tail: str = "", files: dict[str, str] | None = None) -> Rendering:
    text = f'rendering = "acme"\nversion = 1\n{head}\n[fields]\n{fields}\n{tail}\n'
    return load(text, "acme.toml", (files or {}).__getitem__)


def value(rule: str, data: Any = ORDER, head: str = "", tail: str = "") -> Any:
    written = rendering(f"x = {rule}", head, tail).render(event_tree(delivery(data), "eu-de"))
    return json.loads(written).get("x", "absent")


# ---------------------------------------------------------------- one value


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ('"data.order_id"', "A-1"),
        ('"type"', "io.entrepot.order.created.v1"),
        ('"delivery.id"', "hq.orders.1.7"),
        ('"delivery.region"', "eu-de"),
        ('"delivery.ready"', "2026-01-01T00:00:00+00:00"),
        ('"data.lines.1.sku"', "0004711"),
        ('"data.nothing"', "absent"),
        ('{ path = "data.nothing", missing = "null" }', None),
        ('{ path = "data.nothing", missing = "empty" }', ""),
        ('{ path = "data.nothing", default = 0 }', 0),
        ('{ first = ["data.nothing", "data.order_id"] }', "A-1"),
        ("{ const = 5 }", 5),
        ('{ text = "{data.order_id}/{delivery.region} {{x}}" }', "A-1/eu-de {x}"),
        ('{ value = "upper(data.ship_to.name)" }', "JÜRGEN"),
        ('{ value = "len(data.lines) > 1" }', True),
        ('{ path = "data.gross_total", convert = "decimal" }', 1234.5),
        ('{ path = "data.gross_total", convert = "decimal_comma" }', "1234,50"),
        ('{ path = "data.gross_total", convert = "decimal_comma", places = 3 }', "1234,500"),
        ('{ path = "data.gross_total", convert = "money_implied2" }', "123450"),
        ('{ path = "data.gross_total", convert = "negated" }', -1234.5),
        ('{ path = "data.lines.0.quantity", convert = "integer" }', 2),
        ('{ path = "data.lines.0.quantity", digits = 6 }', "000002"),
        ('{ path = "data.lines.1.sku", convert = "strip_zeros" }', "4711"),
        ('{ path = "data.lines.1.sku", convert = ["strip_zeros", "upper"], characters_max = 4 }', "4711"),
        ('{ path = "data.occurred_at", zone = "Europe/Berlin", format = "%d.%m.%Y %H:%M" }', "29.03.2026 01:30"),
        ('{ path = "data.occurred_at", convert = "date", zone = "America/New_York" }', "2026-03-28"),
        ('{ path = "data.requested_on", convert = "date", zone = "America/New_York" }', "2026-04-01"),
        ('{ path = "data.requested_on", format = "%Y%m%d", zone = "Pacific/Auckland" }', "20260401"),
        ('{ path = "data.occurred_at", convert = "utc" }', "2026-03-29T00:30:00Z"),
        ('{ path = "data.occurred_at", convert = "instant", zone = "Europe/Berlin" }', "2026-03-29T01:30:00+01:00"),
        ('{ path = "data.occurred_at", convert = "epoch_s" }', 1774744200),
        ('{ path = "data.occurred_at", convert = "epoch_ms" }', 1774744200000),
        ('{ path = "data.occurred_at", convert = "dotnet_date" }', "/Date(1774744200000)/"),
        ('{ fields = { a = "data.nothing" } }', "absent"),
        ('{ fields = { a = "data.nothing", b = { const = 1 } } }', "absent"),
        ('{ fields = { b = { const = 1 } } }', {"b": 1}),
        ('{ fields = { a = "data.order_id", b = "data.nothing" } }', {"a": "A-1"}),
        ('{ each = "data.lines", path = "sku" }', ["S-1", "0004711"]),
        ('{ each = "data.lines", where = "quantity == \'2\'", fields = { s = "sku", o = "root.data.order_id" } }', [{"s": "S-1", "o": "A-1"}]),
        ('{ each = "data.lines", fields = { s = "sku", l = { each = "lots", fields = { l = ".", s = "^.sku" } } } }',
         [{"s": "S-1", "l": [{"l": "x", "s": "S-1"}, {"l": "y", "s": "S-1"}]}, {"s": "0004711", "l": []}]),
        ('{ each = "data.nothing", path = "sku" }', "absent"),
    ],
)  # fmt: skip
def test_a_rule_gives(rule: str, found: Any) -> None:
    assert value(rule) == found


@pytest.mark.parametrize(
    ("rule", "tables", "found"),
    [
        ('{ path = "data.lines.0.unit", table = "u" }', 'H87 = "STK"', "STK"),
        ('{ path = "data.lines.0.unit", table = "u", reverse = true }', 'STK = "H87"', "STK"),
        ('{ path = "data.lines.0.unit", table = "u", unknown = "keep" }', 'KGM = "KG"', "H87"),
        ('{ path = "data.lines.0.unit", table = "u", unknown = "omit" }', 'KGM = "KG"', "absent"),
        ('{ path = "data.lines.0.unit", table = "u", unknown = "omit", default = "?" }', 'KGM = "KG"', "?"),
        ('{ path = "data.paid", table = "u" }', 'true = "J"\nfalse = "N"', "J"),
        ('{ path = "data.lines.0.quantity", table = "u", reverse = true }', "two = 2", "two"),
    ],
)
def test_a_code_table_works_in_both_directions(rule: str, tables: str, found: str) -> None:
    assert value(rule, tail=f"[tables.u]\n{tables}") == found


@pytest.mark.parametrize(
    ("rule", "tail", "says"),
    [
        ('{ path = "data.nothing", missing = "letter" }', "", "fields.x: has no value"),
        ('{ path = "data.lines.1.quantity", places = 2 }', "", "nothing is rounded"),
        ('{ path = "data.lines.1.quantity", convert = "money_implied2" }', "", "more than 2 decimals"),
        ('{ path = "data.order_id", convert = "integer" }', "", "not a whole number"),
        ('{ path = "data.order_id", digits = 6 }', "", "not a number of at most 6 digits"),
        ('{ path = "data.order_id", characters_max = 2 }', "", "more than 2 characters"),
        ('{ path = "data.order_id", convert = "date" }', "", "fields.x"),
        ('"data.lines"', "", "is a list instead of one value"),
        ('{ text = "{data.nothing}" }', "", r"\{data.nothing\} has no value"),
        ('{ each = "data.order_id", path = "x" }', "", "is no list"),
        ('{ path = "data.lines.0.unit", table = "u" }', '[tables.u]\nKGM = "KG"', "table u does not have"),
        ('{ path = "data.lines.0.unit", table = "u", reverse = true }', '[tables.u]\nSTK = "H87"\nPCE = "H87"', r"several codes of table u \(STK, PCE\)"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_a_letter_that_does_not_repeat_it(rule: str, tail: str, says: str) -> None:
    with pytest.raises(Permanent, match=says) as caught:
        value(rule, tail=tail)
    assert not any(word in str(caught.value) for word in ("A-1", "0.125", "H87"))


@pytest.mark.parametrize(
    ("head", "fields", "says"),
    [
        ("", 'x = "data..a"', r"acme.toml: fields.x.*no path.*\(at line 5, column"),
        ("", 'x = { pfad = "a" }', "fields.x.pfad: there is no such key; did you mean 'path'"),
        ("", 'x = { path = "a", const = 1 }', "path and const exclude each other"),
        ("", "x = {}", "expected one of path"),
        ("", 'x = { path = "a", convert = "decimal_koma" }', "did you mean 'decimal_comma'"),
        ("", 'x = { path = "a", convert = "gtin14" }', "no converter on the way out"),
        ("", 'x = { path = "a", table = "units" }', 'there is no table "units"'),
        ("", 'x = { path = "a", reverse = true }', "there is no table"),
        ("", 'x = { path = "a", zone = "Europe/Berlyn" }', "did you mean 'Europe/Berlin'"),
        ("", 'x = { path = "a", places = -1 }', "whole number from 0 to 20"),
        ("", 'x = { path = "a", missing = "later" }', "is not possible here"),
        ("", 'x = { path = "a", missing = "omit", default = 1 }', "exclude each other"),
        ("", 'x = { each = "data.lines" }', "say what one element is"),
        ("", 'x = { path = "a", where = "true" }', "there is no each"),
        ("", 'x = { fields = { a = "b" }, convert = "upper" }', "means nothing for an object"),
        ("", 'x = { text = "{a" }', "without its expression"),
        ("", 'x = { text = "a}" }', r"a \} without its \{"),
        ("", 'x = { value = "open(1)" }', 'there is no function "open"'),
        ("", 'x = "^.a"', "leads out of the message"),
        ('format = "yaml"', 'x = "a"', '"yaml" is not possible here'),
        ('format = "csv"', 'x = { fields = { a = "b" } }', "csv is flat"),
        ('format = "xml"', 'x = "a"', "missing required field `root`"),
        ('format = "xml"\nxml = { root = "1a" }', 'x = "a"', "xml"),
        ('format = "xml"\nxml = { root = "R" }', '"no name" = "a"', "no name of an element"),
        ('format = "xml"\nxml = { root = "R" }', '"@x" = { fields = { a = "b" } }', "takes one value"),
        ('format = "xml"\nxml = { root = "R" }', '"ns:x" = "a"', "prefix ns is not declared"),
        ('format = "xml"\nxml = { root = "ns:R" }', '"x" = "a"', "prefix ns is not declared"),
        ('format = "xml"\nxml = { root = "R" }\neach = "data.lines"', 'x = "a"', "is one document"),
        ('csv = { delimiter = ";" }', 'x = "a"', 'means nothing with format = "json"'),
        ('format = "csv"\ncsv = { delimiter = ":" }', 'x = "a"', "csv"),
        ('zonee = "UTC"', 'x = "a"', "did you mean 'zone'"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_with_its_place(head: str, fields: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        rendering(fields, head)


@pytest.mark.parametrize(
    "text", ["", "rendering = 1", 'rendering = "x"\nversion = 1', 'rendering = "x"\n[fields]\na = "b"', "= 1"]
)
def test_a_rendering_without_name_version_or_fields_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^x\.toml: "):
        load(text, "x.toml", {}.__getitem__)


# ---------------------------------------------------------------- formats

CSV = 'format = "csv"\neach = "data.lines"\ncsv = { delimiter = ";", encoding = "windows-1252" }'
COLUMNS = 'ORDER = "root.data.order_id"\nSKU = "sku"\nQTY = { path = "quantity", convert = "decimal_comma" }\nNOTE = "root.data.remarks"\nNONE = "none"'


def test_csv_is_what_a_csv_reader_reads() -> None:
    written = rendering(COLUMNS, CSV).render(event_tree(delivery(), "eu-de"))
    assert written.endswith(b"\r\n")
    rows = list(csv.reader(io.StringIO(written.decode("windows-1252"), newline=""), delimiter=";", strict=True))
    note = ORDER["remarks"]
    assert rows == [
        ["ORDER", "SKU", "QTY", "NOTE", "NONE"],
        ["A-1", "S-1", "2", note, ""],
        ["A-1", "0004711", "0,125", note, ""],
    ]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)))
def test_whatever_stands_in_a_field_comes_out_of_csv_again(rows: list[list[str]]) -> None:
    data = {"lines": [{"a": a, "b": b} for a, b in rows]}
    head = 'format = "csv"\neach = "data.lines"\ncsv = { header = false }'
    written = rendering('a = "a"\nb = "b"', head).render(event_tree(delivery(data), "eu-de"))
    assert list(csv.reader(io.StringIO(written.decode(), newline=""), strict=True)) == rows


def test_csv_of_several_events_has_one_head() -> None:
    one = rendering(COLUMNS, CSV)
    tree = event_tree(delivery(), "eu-de")
    assert one.write([]) + one.lines(tree) == one.render(tree)


@pytest.mark.parametrize(("unencodable", "found"), [("letter", None), ("replace", b"n\r\n?\r\n")])
def test_a_character_that_the_encoding_lacks_is_a_letter_or_a_question_mark(
    unencodable: str, found: bytes | None
) -> None:
    head = f'format = "csv"\ncsv = {{ encoding = "iso-8859-1", unencodable = "{unencodable}" }}'
    one, tree = rendering('n = "data.n"', head), event_tree(delivery({"n": "Ł"}), "eu-de")
    if found is not None:
        assert one.render(tree) == found
        return
    with pytest.raises(Permanent, match="iso-8859-1 does not have") as caught:
        one.render(tree)
    assert "Ł" not in str(caught.value)


def test_a_mark_and_all_quoted() -> None:
    head = 'format = "csv"\ncsv = { bom = true, quote = "all", line_end = "lf" }'
    written = rendering('n = "data.order_id"', head).render(event_tree(delivery(), "eu-de"))
    assert written == b'\xef\xbb\xbf"n"\n"A-1"\n'


XML = """
"@xmlns" = { const = "urn:acme" }
"@no" = "data.order_id"
Note = "data.remarks"
None = "data.none"
Line = { each = "data.lines", fields = { "@unit" = "unit", "#text" = "sku" } }
Lot = { each = "data.lines.0.lots", path = "." }
"""


def test_xml_is_what_an_xml_reader_reads() -> None:
    written = rendering(XML, 'format = "xml"\nxml = { root = "Order" }').render(event_tree(delivery(), "eu-de"))
    assert written.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Order xmlns="urn:acme" no="A-1">')
    root = ET.fromstring(written)
    ns = "{urn:acme}"
    assert root.findtext(f"{ns}Note") == ORDER["remarks"]
    assert [(line.get("unit"), line.text) for line in root.iter(f"{ns}Line")] == [("H87", "S-1"), ("KGM", "0004711")]
    assert [lot.text for lot in root.iter(f"{ns}Lot")] == ["x", "y"]
    assert root.find(f"{ns}None") is None


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), min_size=1
    )
)
def test_whatever_text_stands_in_an_element_or_attribute_comes_out_again(text: str) -> None:
    one = rendering('"@a" = "data.t"\nT = "data.t"', 'format = "xml"\nxml = { root = "R", encoding = "iso-8859-1" }')
    root = ET.fromstring(one.render(event_tree(delivery({"t": text}), "eu-de")))
    assert (root.get("a"), root.findtext("T")) == (text, text)


def test_line_ends_and_tabs_come_out_of_elements_and_attributes_again() -> None:
    text = "a\rb\nc\td\r\ne"
    one = rendering('"@a" = "data.t"\nT = "data.t"', 'format = "xml"\nxml = { root = "R" }')
    root = ET.fromstring(one.render(event_tree(delivery({"t": text}), "eu-de")))
    assert (root.get("a"), root.findtext("T")) == (text, text)


def test_a_character_that_xml_cannot_carry_is_a_letter() -> None:
    one = rendering('T = "data.t"', 'format = "xml"\nxml = { root = "R" }')
    with pytest.raises(Permanent, match="element T would hold a character"):
        one.render(event_tree(delivery({"t": "a\x00b"}), "eu-de"))


def test_what_xml_is_written_the_mapping_engine_reads_again() -> None:
    written = rendering(XML, 'format = "xml"\nxml = { root = "Order" }').render(event_tree(delivery(), "eu-de"))
    found = decode_xml(written)
    assert found["@no"] == "A-1"
    assert found["Line"][1] == {"@unit": "KGM", "#text": "0004711"}


def test_ndjson_has_a_line_for_each_element_and_forms_repeat_a_key() -> None:
    lines = rendering('s = "sku"', 'format = "ndjson"\neach = "data.lines"').render(event_tree(delivery(), "eu-de"))
    assert lines == b'{"s":"S-1"}\n{"s":"0004711"}\n'
    form = rendering(
        'o = "data.order_id"\nn = "data.ship_to.name"\ns = { each = "data.lines", path = "sku" }', 'format = "form"'
    )
    assert form.render(event_tree(delivery(), "eu-de")) == b"o=A-1&n=J%C3%BCrgen&s=S-1&s=0004711"


def test_decimals_are_exact_in_json() -> None:
    one = rendering('x = { path = "data.v", convert = "decimal" }')
    assert (
        one.render(event_tree(delivery({"v": "0.1000000000000000000000001"}), "eu-de"))
        == b'{"x":0.1000000000000000000000001}'
    )


def test_the_version_changes_with_the_rules_and_with_their_tables() -> None:
    def version(table: str) -> str:
        one = rendering('x = { path = "a", table = "t" }', tail='[tables.t]\nfile = "t.csv"', files={"t.csv": table})
        return one.version

    assert version("a,b\n1,2\n") == version("a,b\n1,2\n") != version("a,b\n1,3\n")


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8")),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["order_id", "lines", "sku", "quantity", "unit"]), inner, max_size=4)))  # fmt: skip
def test_no_event_makes_a_rendering_fail_in_another_way_than_as_a_letter(data: Any) -> None:
    tree = event_tree(delivery(data), "eu-de")
    for head in (CSV, 'format = "ndjson"\neach = "data.lines"'):
        try:
            rendering(COLUMNS, head).render(tree)
        except Permanent:
            continue
