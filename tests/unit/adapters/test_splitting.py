"""Lines of real-world files become messages, and none is dropped."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.file_drop.translate import RECORD_LINES_MAX, CsvForm, delimiter_of, format_of, split_csv, split_ndjson


def rows(data: bytes, *, delimiter: Any = ";", encoding: Any = "utf-8", header: bool = True) -> list[tuple[int, Any]]:
    form = CsvForm(delimiter=delimiter, encoding=encoding, header=header)
    messages = list(split_csv(io.BytesIO(data), form, "d"))
    return [(int((message.key or "").removeprefix("d#")), json.loads(message.body)) for message in messages]


def test_a_row_is_an_object_with_its_line_number_in_the_key() -> None:
    assert rows(b"sku;qty\nA;1\n\nB;2\n") == [(2, {"sku": "A", "qty": "1"}), (4, {"sku": "B", "qty": "2"})]


def test_the_body_is_compact_json() -> None:
    form = CsvForm(delimiter=";", encoding="utf-8", header=True)
    (message,) = split_csv([b"a;b\n", "ä;2\n".encode()], form, "d")
    assert message.body == '{"a":"ä","b":"2"}'.encode()
    assert message.content_type == "application/json"


def test_a_byte_order_mark_and_windows_line_ends_are_dropped() -> None:
    assert rows(b"\xef\xbb\xbfsku;qty\r\nA;1\r\n") == [(2, {"sku": "A", "qty": "1"})]


def test_latin_1_is_read_as_such() -> None:
    assert rows("straße\nGrün\n".encode("latin-1"), encoding="latin-1") == [(2, {"straße": "Grün"})]


def test_quotes_delimiters_and_line_breaks_inside_fields_are_kept() -> None:
    data = b'a;b\n"x;1";"say ""hi"""\n"two\nlines";z\nlast;row\n'
    assert rows(data) == [
        (2, {"a": "x;1", "b": 'say "hi"'}),
        (3, {"a": "two\nlines", "b": "z"}),
        (5, {"a": "last", "b": "row"}),
    ]


def test_an_inch_mark_inside_a_field_is_just_text() -> None:
    assert rows(b'a;b\n5" pipe;3\n') == [(2, {"a": '5" pipe', "b": "3"})]


@pytest.mark.parametrize("line", [b"only one", b"one;two;three"])
def test_a_ragged_row_is_handed_over_raw_with_the_reason(line: bytes) -> None:
    (first, second) = rows(b"a;b\n" + line + b"\nx;y\n")
    assert first[0] == 2
    assert first[1]["_raw"] == line.decode()
    assert "columns" in first[1]["_problem"]
    assert second == (3, {"a": "x", "b": "y"})


def test_a_quote_that_never_closes_costs_its_own_line_only() -> None:
    data = b'a;b\n"open;1\n' + b"".join(b"x%d;%d\n" % (n, n) for n in range(RECORD_LINES_MAX * 3))
    got = rows(data)
    assert got[0] == (2, {"_raw": '"open;1', "_problem": "a quote opens and is not closed where the row should end"})
    assert got[1:] == [(n + 3, {"a": f"x{n}", "b": str(n)}) for n in range(RECORD_LINES_MAX * 3)]


def test_two_stray_quotes_do_not_swallow_the_rows_between() -> None:
    got = rows(b'a;b\n"open;1\nx;2\ny;3\nz";4;5\nlast;6\n')
    assert [number for number, _ in got] == [2, 3, 4, 5, 6]
    assert got[1] == (3, {"a": "x", "b": "2"})
    assert got[4] == (6, {"a": "last", "b": "6"})


def test_a_line_that_is_not_utf_8_is_handed_over_raw() -> None:
    (first, second) = rows(b"a\ncaf\xe9\nok\n")
    assert first == (2, {"_raw": "café", "_problem": "the line is not UTF-8 (shown as Latin-1)"})
    assert second == (3, {"a": "ok"})


def test_an_unreadable_header_makes_every_row_raw_and_loses_none() -> None:
    got = rows(b'"a"x;b\n1;2\n"3\n4";5\n')
    assert [number for number, _ in got] == [1, 2, 3]
    assert got[2][1]["_raw"] == '"3\n4";5'
    assert all("_problem" in row for _, row in got)


def test_a_file_with_old_mac_line_ends_is_one_raw_fact_and_not_an_empty_file() -> None:
    assert rows(b"a;b\r1;2\r3;4") == [
        (1, {"_raw": "a;b\r1;2\r3;4", "_problem": "a carriage return stands inside the line"})
    ]


def test_empty_and_repeated_column_names_are_told_apart() -> None:
    assert rows(b"a;;a;a\n1;2;3;4\n") == [(2, {"a": "1", "c2": "2", "a_2": "3", "a_3": "4"})]


def test_without_a_header_columns_have_numbers() -> None:
    assert rows(b"1;2\n3;4\n", header=False) == [(1, {"c1": "1", "c2": "2"}), (2, {"c1": "3", "c2": "4"})]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"sku;qty\n", b"\xef\xbb\xbf"])
def test_a_file_without_rows_says_nothing(data: bytes) -> None:
    assert rows(data) == []


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=6),
            min_size=2,
            max_size=2,
        ),
        max_size=8,
    )
)
def test_what_a_csv_writer_wrote_comes_back(table: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["a", "b"], *table])
    assert [row for _, row in rows(text.getvalue().encode())] == [{"a": a, "b": b} for a, b in table]


@given(st.lists(st.text('ab";,', min_size=1, max_size=8), max_size=30))
def test_no_line_is_ever_dropped(lines: list[str]) -> None:
    covered: set[int] = set()
    data = "\n".join(["h1;h2", *lines]).encode()
    for number, row in rows(data):
        span = row["_raw"].count("\n") if "_raw" in row else sum(value.count("\n") for value in row.values())
        covered |= set(range(number, number + span + 1))
    assert covered == set(range(2, len(lines) + 2))


def test_ndjson_lines_are_handed_over_exactly() -> None:
    lines = [b' {"a": 1} \r\n', b"\n", b"not json\n", b"\xff\n", b"last"]
    got = [(message.body, message.key) for message in split_ndjson(lines, "d")]
    assert got == [(b' {"a": 1} ', "d#1"), (b"not json", "d#3"), (b"\xff", "d#4"), (b"last", "d#5")]


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [(b"a;b;c", ";"), (b"a,b,c", ","), (b"a\tb\tc", "\t"), (b"a|b|c", "|"), (b'"a,b,c,d";b;c', ";"), (b"one", ";")],
)
def test_the_delimiter_is_what_the_first_line_has_most_of(line: bytes, delimiter: str) -> None:
    assert delimiter_of(line) == delimiter


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("a.b.jsonl", "ndjson"),
        ("a.json", "json"),
        ("a", None),
        ("csv", None),
        ("a.xlsx", None),
    ],
)
def test_the_ending_of_a_name_promises_the_format(name: str, form: str | None) -> None:
    assert format_of(name) == form
