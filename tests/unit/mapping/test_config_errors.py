"""A wrong mapping gets one sentence: the file, the key path, what is wrong, and the nearest valid choice."""

from __future__ import annotations

import pytest

from runtime.errors import ConfigError
from runtime.mapping import load

GOOD = """
mapping = "acme"
version = 1
[tables.codes]
A = "available"
[[outputs]]
type = "stock.snapshot"
[outputs.fields]
sku = "sku"
on_hand = "qty"
occurred_at = "at"
"""


def sentence(text: str, files: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, "acme.toml", (files or {}).__getitem__)
    found = str(caught.value)
    assert found.startswith("acme.toml: ")
    assert "\n" not in found
    return found


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"acme"', '"acme', "not valid TOML"),
        ('mapping = "acme"', "", "mapping: is missing"),
        ("version = 1", "", "version: expected a number or a text"),
        ("version = 1", "version = true", "version: expected"),
        ("version = 1", 'version = 1\nzoen = "x"', 'zoen: there is no such key; did you mean \'zone\'?'),
        ("version = 1", 'version = 1\nzone = "Europe/Berln"', 'zone: "Europe/Berln" is no time zone; did you mean \'Europe/Berlin\'?'),
        ("version = 1", 'version = 1\nzone = "../../etc/passwd"', "is no time zone"),
        ("version = 1", 'version = 1\nformat = "jsn"', 'format: "jsn" is not possible here; did you mean \'json\'?'),
        ("version = 1", 'version = 1\nunmatched = "drop"', "unmatched: "),
        ("version = 1", 'version = 1\nkey = "a..b"', 'key: "a..b" is no path'),
        ("version = 1", "version = 1\nkey = 5", "key: expected a path"),
        ("version = 1", "version = 1\nkey = []", "key: expected a path"),
        ('type = "stock.snapshot"', 'type = "stock.snapshto"', 'outputs[0].type: "stock.snapshto" is no canonical type; did you mean \'stock.snapshot\'?'),
        ('type = "stock.snapshot"', "", "outputs[0].type: is missing"),
        ('type = "stock.snapshot"', 'type = "stock.snapshot"\nwhere = "x"', "outputs[0].where: where filters"),
        ('type = "stock.snapshot"', 'type = "stock.snapshot"\nwhen = "a ="', "outputs[0].when: not an expression"),
        ('type = "stock.snapshot"', 'type = "stock.snapshot"\neach = []', "outputs[0].each: expected one path"),
        ('type = "stock.snapshot"', 'type = "stock.snapshot"\npartition_key = "^.x"', "outputs[0].partition_key: ^ leads out"),
        ('sku = "sku"', "", "outputs[0].fields: the required field sku is not mapped"),
        ('sku = "sku"', 'sku = "sku"\nlott = "x"', 'outputs[0].fields.lott: stock.snapshot has no such field; did you mean \'lot\'?'),
        ('sku = "sku"', "sku = 5", "outputs[0].fields.sku: expected a path or a rule; a fixed value is written { const = 5 }"),
        ('sku = "sku"', "sku = {}", "expected one of path"),
        ('sku = "sku"', 'sku = { path = "a", const = 1 }', "path and const exclude each other"),
        ('sku = "sku"', 'sku = { paht = "a" }', 'outputs[0].fields.sku.paht: there is no such key; did you mean \'path\'?'),
        ('sku = "sku"', 'sku = { path = "a", convert = "uper" }', 'outputs[0].fields.sku.convert: "uper" is no converter; did you mean \'upper\'?'),
        ('sku = "sku"', 'sku = { path = "a", convert = "decimal" }', "sku.convert: decimal gives decimal, the field takes text"),
        ('sku = "sku"', 'sku = { path = "a", table = "code" }', 'sku.table: there is no table "code"; did you mean \'codes\'?'),
        ('sku = "sku"', 'sku = { path = "a", missing = "omit" }', "sku.missing: this field is required"),
        ('sku = "sku"', 'sku = { path = "a", missing = "received" }', "sku.missing: the time of acceptance"),
        ('sku = "sku"', 'sku = { path = "a", default = "x", missing = "letter" }', "sku.missing: missing and default"),
        ('sku = "sku"', 'sku = { path = "a", unknown = "keep" }', "sku.unknown: "),
        ('sku = "sku"', 'sku = { path = "a", format = "%Y" }', "sku.format: a form is for times"),
        ('sku = "sku"', 'sku = { path = "a", default = 5 }', "sku.default: does not fit the field"),
        ('sku = "sku"', "sku = { const = true }", "sku.const: does not fit the field"),
        ('sku = "sku"', 'sku = { path = "a", fields = { b = "c" } }', "sku: this field takes one value"),
        ('sku = "sku"', 'sku = { each = "a", path = "b" }', "sku: this field takes one value"),
        ('sku = "sku"', 'sku = { jmespath = "a[?" }', "sku.jmespath: not a jmespath expression"),
        ('sku = "sku"', 'sku = { jmespath = "lenght(a)" }', 'sku.jmespath: jmespath has no function "lenght"; did you mean \'length\'?'),
        ('sku = "sku"', 'sku = { first = [] }', "sku.first: expected a list of paths"),
        ('sku = "sku"', 'sku = { path = "a", with = "-" }', "sku.with: "),
        ('sku = "sku"', 'sku = "^.sku"', "sku: ^ leads out of the message"),
        ('occurred_at = "at"', 'occurred_at = "at"\nstatus = { path = "s", table = "units" }\n[tables.units]\nX = "gone"', 'tables.units.X: "gone" is not possible; choose one of \'available\''),
        ('sku = "sku"', 'sku = "sku"\nstatus = { path = "s", default = "availabel" }', 'status.default: "availabel" is not possible; did you mean \'available\'?'),
        ('sku = "sku"', 'sku = "sku"\nunit = { const = "kg?" }', "unit.const: does not fit the field"),
        ('on_hand = "qty"', 'on_hand = { const = "NaN" }', "on_hand.const: "),
        ('occurred_at = "at"', 'occurred_at = { path = "at", format = "%Q" }', "occurred_at.format: not a time form"),
        ('occurred_at = "at"', 'occurred_at = { path = "at", format = "%Y%Y" }', "occurred_at.format: not a time form"),
        ('occurred_at = "at"', 'occurred_at = { path = "at", convert = "date" }', "occurred_at.convert: date gives date, the field takes instant"),
        ('occurred_at = "at"', "occurred_at = { const = 2026-01-01T00:00:00 }", "occurred_at.const: a time needs its offset"),
        ('A = "available"', "A = { b = 1 }", "tables.codes.A: expected one plain value"),
        ("[tables.codes]", "[tables]\ncodes = 5\n[tables.others]", "tables.codes: expected a table"),
        ('A = "available"', 'file = "gone.toml"', "tables.codes.file: cannot read gone.toml"),
        ('A = "available"', 'file = "../up.toml"', "tables.codes.file: a table file lies beside the mapping"),
        ('A = "available"', 'file = "/etc/x.csv"', "tables.codes.file: a table file lies beside the mapping"),
        ('A = "available"', 'file = "bad.toml"', "tables.codes: bad.toml is not TOML"),
        ('A = "available"', 'file = "bad.csv"', "tables.codes: bad.csv, line 2: expected code;value"),
        ('A = "available"', 'file = "twice.csv"', "tables.codes: twice.csv, line 3: the code A stands there twice"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_told_in_one_sentence(old: str, new: str, words: str) -> None:
    files = {"bad.toml": "a = ", "bad.csv": "code;x\nA\n", "twice.csv": "code,x\nA,1\nA,2\n"}
    assert words in sentence(GOOD.replace(old, new, 1), files)


def test_objects_and_lists_say_how_they_are_written() -> None:
    text = (
        GOOD.replace("stock.snapshot", "order.created")
        .replace('sku = "sku"', 'order_id = "no"')
        .replace('on_hand = "qty"', "")
    )
    assert 'this field is a list: say each = "…"' in sentence(text + 'lines = "x"')
    assert "each element is an object: say fields" in sentence(text + 'lines = { each = "x", path = "y" }')
    assert "lines.fields: the required field line_id is not mapped" in sentence(
        text + 'lines = { each = "x", fields = {} }'
    )
    assert "this field is an object" in sentence(
        text + 'lines = { each = "x", fields = { line_id = "a", sku = "b", quantity = "c" } }\nship_to = "x"'
    )


def test_a_mapping_without_outputs_is_refused() -> None:
    assert "needs at least one [[outputs]]" in sentence('mapping = "x"\nversion = 1')


def test_too_much_of_anything_is_refused() -> None:
    output = '[[outputs]]\ntype = "stock.snapshot"\n[outputs.fields]\nsku = "s"\non_hand = "q"\noccurred_at = "t"\n'
    assert "at most 200 outputs" in sentence('mapping = "x"\nversion = 1\n' + output * 201)
    assert "at most 1000000 characters" in sentence("#" * 1_000_001)
    assert "not valid TOML" in sentence("x = " + "[" * 5000)
    assert "up to 6" in sentence(GOOD.replace("[outputs.fields]", f"each = {['a'] * 7}\n[outputs.fields]"))
