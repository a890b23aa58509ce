"""XML as it is sent: one rule for what it becomes, and nothing in it that could harm whoever reads it."""

from __future__ import annotations

import codecs
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError, Untranslatable
from runtime.mapping import xmltree
from runtime.mapping.xmltree import XmlForm, decode_xml, lists_in
from tests.support.mappings import compiled, envelope

XML = "application/xml"
STOCK = """
format = "xml"
[[outputs]]
type = "stock.snapshot"
each = "row"
[outputs.fields]
sku = "sku"
on_hand = "qty"
occurred_at = "^.at"
"""


def refused(body: bytes, charset: str = "") -> tuple[str, str]:
    with pytest.raises(Untranslatable) as caught:
        decode_xml(body, charset)
    return str(caught.value), caught.value.position


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"<a/>", {"#text": ""}),
        (b"<a> x\n</a>", {"#text": "x"}),
        (b"<a><b>1</b><b>2</b><c/></a>", {"b": ["1", "2"], "c": ""}),
        (b"<a><b>1</b><c>2</c><b>3</b><b>4</b></a>", {"b": ["1", "3", "4"], "c": "2"}),
        (b'<a v="1"><b u="kg">5</b></a>', {"@v": "1", "b": {"@u": "kg", "#text": "5"}}),
        (b"<a>one<b/>two</a>", {"b": "", "#text": "onetwo"}),
        (b"<a><![CDATA[<b>&amp;]]></a>", {"#text": "<b>&amp;"}),
        (b"<a>&lt;&#228;&gt;<!-- not --><?php echo 1 ?></a>", {"#text": "<ä>"}),
        (
            b'<x:a xmlns:x="urn:x" xmlns="urn:y" x:v="1" v="2"><x:b>1</x:b><b>2</b></x:a>',
            {"@v": "2", "b": ["1", "2"]},
        ),
        (
            b'<a xmlns:i="urn:i"><b i:nil="true"/><c i:nil="false">1</c></a>',
            {"b": "", "c": {"@nil": "false", "#text": "1"}},
        ),
    ],
)
def test_elements_become_values_by_one_rule(body: bytes, value: dict[str, Any]) -> None:
    assert decode_xml(body) == {"#root": "a", **value}


@pytest.mark.parametrize(
    "body",
    [
        "<a>ä</a>".encode(),
        codecs.BOM_UTF8 + "<a>ä</a>".encode(),
        codecs.BOM_UTF8 + '\n <?xml version="1.0"?><a>ä</a>'.encode(),
        '\r\n<?xml version="1.0" encoding="utf-8"?><a>ä</a>'.encode(),
        '<?xml version="1.0" encoding="ISO-8859-1"?><a>ä</a>'.encode("latin-1"),
        '<?xml version="1.0" encoding="windows-1252"?><a>ä</a>'.encode("cp1252"),
        '<?xml version="1.0" encoding="UTF-16"?><a>ä</a>'.encode("utf-16"),
        codecs.BOM_UTF16_BE + "<a>ä</a>".encode("utf-16-be"),
    ],
)
def test_the_encoding_is_that_of_the_mark_or_of_the_declaration(body: bytes) -> None:
    assert decode_xml(body)["#text"] == "ä"


def test_the_content_type_outranks_the_declaration_and_a_mark_outranks_both() -> None:
    declared = '<?xml version="1.0" encoding="utf-8"?><a>ä</a>'
    assert decode_xml(declared.encode("latin-1"), "iso-8859-1")["#text"] == "ä"
    assert decode_xml(codecs.BOM_UTF8 + declared.encode(), "iso-8859-1")["#text"] == "ä"


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(10))


@pytest.mark.parametrize(
    ("body", "problem", "position"),
    [
        (f"<?xml version='1.0'?>\n<!DOCTYPE a [{BOMB}]><a>&e9;</a>".encode(), "DOCTYPE", "line 2, column 1"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "DOCTYPE", "line 1, column 1"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>', "DOCTYPE", "line 1, column 1"),
        (b'<!DOCTYPE a [<!ENTITY % p "x">%p;]><a/>', "DOCTYPE", "line 1, column 1"),
        (f'<!DOCTYPE a [<!ENTITY q "{"q" * 50_000}">]><a>{"&q;" * 50_000}</a>'.encode(), "DOCTYPE", "line 1, column 1"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"), "DOCTYPE", "line 1, column 1"),
        (b"<!-- <a> --><?x ?>\n <!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "DOCTYPE", "line 2, column 2"),
        ('<?xml version="1.0" encoding="cp037"?><!DOCTYPE a><a/>'.encode("cp037"), "not well-formed", "line 1, column 3"),
        (b"<a>&undefined;</a>", "undefined entity", "line 1, column 4"),
        (b"<a>" * 101, "deeper than 100", "line 1, column 301"),
        (b"<a>" * 1_000_000, "deeper than 100", "line 1, column 301"),
        (b"<a>" + b"<b/>" * 200_000 + b"</a>", "more than 200000 elements", "line 1, column 800000"),
        (b"<a " + b" ".join(b'a%d=""' % n for n in range(200_000)) + b"/>", "attributes", "line 1, column 1"),
        (b"<a>\n\xff</a>", "invalid token", "line 2, column 1"),
        (b"<a>\n  <b>\n</a>", "mismatched tag", "line 3, column 3"),
        (b"<a", "unclosed token", "line 1, column 1"),
        (b"<a>\0</a>", "invalid token", "line 1, column 4"),
        (b'<a b="1" b="2"/>', "duplicate attribute", "line 1, column 10"),
        (b"", "empty", "line 1, column 1"),
        (codecs.BOM_UTF8 + b" \n", "empty", "line 1, column 1"),
        (b'{"a": 1}', "invalid token", "line 1, column 1"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "character set", "line 1, column 1"),
        (b"<a/>\n<b>\n</c>", "mismatched tag", "line 3, column 3"),
        (b"<a/> and", "syntax error", "line 1, column 6"),
    ],
)  # fmt: skip
def test_what_is_hostile_or_broken_is_refused_with_its_place(body: bytes, problem: str, position: str) -> None:
    told, place = refused(body)
    assert problem in told
    assert place == position


def test_a_declaration_behind_a_long_comment_is_refused_too() -> None:
    body = f"<!--{' ' * 70_000}--><!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"
    assert "DOCTYPE" in refused(body.encode("utf-16"))[0]
    assert "DOCTYPE" in refused(body.encode())[0]
    assert "unknown encoding" in refused(body.encode("cp037"), "cp037")[0]


def test_a_huge_value_is_read_and_a_huge_message_is_not() -> None:
    assert len(decode_xml(b'<a v="' + b"x" * 8_000_000 + b'"/>')["@v"]) == 8_000_000
    assert "bytes" in refused(b"<a>" + b"x" * xmltree.BYTES_MAX + b"</a>")[0]


@pytest.mark.parametrize("name", ["klingon", "utf-7", "shift_jis", "base64", "idna"])
def test_a_character_set_that_cannot_be_read_is_refused(name: str) -> None:
    assert refused(b"<a>\x84</a>", name)[1].startswith("line 1")


def test_several_documents_in_one_file_are_a_list() -> None:
    first = '<?xml version="1.0" encoding="iso-8859-1"?><a>ä</a>\n'.encode("latin-1")
    second = codecs.BOM_UTF8 + '<?xml version="1.0"?>\n<b>ö</b>\n'.encode()
    assert [one["#text"] for one in decode_xml(first + second + b"<c>x</c>")] == ["ä", "ö", "x"]
    assert decode_xml(b"<a/><!-- the end --><?pi?>\n") == {"#root": "a", "#text": ""}
    assert "more than 1000 documents" in refused(b"<a/>" * 1_001)[0]


def test_the_budget_of_elements_is_for_all_documents_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmltree, "ELEMENTS_MAX", 10)
    assert "more than 10" in refused(b"<a><b/><b/><b/></a>" * 3)[0]


@given(st.binary(max_size=200), st.sampled_from(["", "utf-8", "iso-8859-1", "utf-16"]))
def test_no_bytes_raise_anything_but_untranslatable(body: bytes, charset: str) -> None:
    for text in (body, b"<a>" + body + b"</a>", b"<a " + body + b"/>"):
        with suppress(Untranslatable):
            decode_xml(text, charset)


# ---------------------------------------------------------------- what the rules make of it


def test_an_element_that_a_rule_goes_through_is_a_list_even_when_it_is_alone() -> None:
    mapping = compiled(STOCK)
    one = b"<stock><at>2026-03-02T08:00:00Z</at><row><sku>A</sku><qty>3</qty></row></stock>"
    two = one.replace(b"</stock>", b"<row><sku>B</sku><qty>4</qty></row></stock>")
    none = b"<stock><at>2026-03-02T08:00:00Z</at></stock>"
    told = [[getattr(r, "partition_key", "-") for r in mapping.translate(envelope(x, XML))] for x in (none, one, two)]
    assert told == [["-"], ["A"], ["A", "B"]]


def test_only_the_place_that_is_read_one_by_one_becomes_a_list() -> None:
    form = XmlForm(lists=lists_in([("a", "b", "[]", "c"), ("x", 0, "y")]))
    body = b"<r><a><b><c>1</c></b></a><b><c>2</c></b><x><y>3</y></x></r>"
    assert decode_xml(body, "", form) == {"#root": "r", "a": {"b": [{"c": "1"}]}, "b": {"c": "2"}, "x": [{"y": "3"}]}


def test_an_element_that_repeats_where_the_rules_expect_one_is_a_letter() -> None:
    body = (
        b"<stock><at>2026-03-02T08:00:00Z</at><at>2026-03-02T09:00:00Z</at><row><sku>A</sku><qty>3</qty></row></stock>"
    )
    with pytest.raises(Untranslatable) as caught:
        compiled(STOCK).translate(envelope(body, XML))
    assert caught.value.position == "/at"


def test_repetitions_are_told_apart_by_the_child_that_the_mapping_names() -> None:
    form = XmlForm(keyed={"date": "kind"}, blank=frozenset({"00000000"}))
    body = b"<r><date><kind>006</kind><day>20260302</day></date><date><kind>007</kind><day>00000000</day></date><date/></r>"
    dates = decode_xml(body, "", form)["date"]
    assert dates == {"006": {"kind": "006", "day": "20260302"}, "007": {"kind": "007", "day": ""}, "": ""}


def test_the_first_of_two_with_the_same_key_counts() -> None:
    form = XmlForm(keyed={"d": "k"})
    assert decode_xml(b"<r><d><k>1</k><v>a</v></d><d><k>1</k><v>b</v></d></r>", "", form)["d"]["1"]["v"] == "a"


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml; charset=utf-8", "application/soap+xml"])
def test_a_content_type_that_says_xml_is_enough(content_type: str) -> None:
    mapping = compiled(STOCK.replace('format = "xml"\n', 'key = "at"\n'))
    body = b"<stock><at>2026-03-02T08:00:00Z</at><row><sku>A</sku><qty>3</qty></row></stock>"
    assert mapping.key(body, content_type) == "2026-03-02T08:00:00Z"
    assert len(mapping.translate(envelope(body, content_type))) == 1
    with pytest.raises(Untranslatable) as caught:
        mapping.translate(envelope(body))
    assert "looks like XML" in caught.value.hint


def test_a_mapping_that_says_xml_reads_it_whatever_the_content_type() -> None:
    mapping = compiled('key = "at"\n' + STOCK)
    body = b"<stock><at>2026-03-02T08:00:00Z</at><row><sku>A</sku><qty>3</qty></row></stock>"
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        assert mapping.key(body, content_type) == "2026-03-02T08:00:00Z"
        assert mapping.partition_key(envelope(body, content_type)) is None
        assert len(mapping.translate(envelope(body, content_type))) == 1


def test_a_wrong_rule_for_xml_is_one_sentence_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"probe.toml: xml: .*nothing"):
        compiled("[xml]\nnothing = 1\n" + STOCK.replace('format = "xml"\n', ""))
