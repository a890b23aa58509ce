"""Where a poll stands and what it asks next: decided from an answer alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rest_poll.cursor import (
    CursorSettings,
    Position,
    after,
    ask_url,
    read_position,
    read_value,
    write_position,
)
from adapters.rest_poll.pages import Page, read_page
from adapters.rest_poll.settings import RestPollSettings
from adapters.sdk.answers import Answer
from runtime.errors import EntrepotError

NOW_US = 1_772_323_200_000_000
URL = "https://a.example/items?since={cursor}"
INSTANT = {"path": "at", "start": "2026-01-01T00:00:00Z"}


def settings(**more: Any) -> RestPollSettings:
    return msgspec.convert({"url": URL, "items": "items", "id": "id", "cursor": INSTANT, **more}, RestPollSettings)


def read(said: Any, position: Position | None = None, url: str = "https://a.example/items", **more: Any) -> Page:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return read_page(settings(**more), position or Position(), url, Answer(status=200, body=body), NOW_US)


def step(page: Page, position: Position | None = None, **more: Any) -> Position:
    return after(position or Position(), settings(**more).cursor, page.step)


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("rfc3339", "2026-01-31T23%3A55%3A00Z"), ("date", "2026-01-31"), ("epoch_s", "1769903700"),
        ("epoch_ms", "1769903700000"),
    ],
)  # fmt: skip
def test_an_instant_is_written_as_the_partner_wants_it_and_begins_earlier(form: str, written: str) -> None:
    cursor = msgspec.convert({**INSTANT, "format": form}, CursorSettings)
    assert ask_url(URL, cursor, "2026-02-01T00:00:00Z") == f"https://a.example/items?since={written}"


@pytest.mark.parametrize(
    "value", ["2026-03-01T01:00:00+01:00", "2026-03-01T00:00:00Z", "2026-03-01", 1_772_323_200, 1_772_323_200_000]
)
def test_instants_are_read_in_every_usual_form(value: Any) -> None:
    assert read_value("instant", value) == NOW_US


@pytest.mark.parametrize(
    "value", ["", "soon", "2026-13-01", 10**400, "9" * 400, "NaN", "-", 1e308, "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_instant_moves_nothing(value: Any) -> None:
    if read_value("instant", value) is None:
        assert step(read({"items": [{"id": 1, "at": str(value)}]})) == Position()


def test_the_cursor_moves_with_the_last_page_and_not_before() -> None:
    more = {"pages": {"by": "body", "path": "next"}}
    first = step(read({"items": [{"at": "2026-02-03"}], "next": "?page=2"}, **more), **more)
    assert (first.since, first.highest) == ("", "2026-02-03T00:00:00Z")
    assert first.page == "https://a.example/items?page=2"
    last = step(read({"items": [{"at": "2026-02-02"}]}, first, first.page, **more), first, **more)
    assert last == Position(since="2026-02-03T00:00:00Z")


def test_the_cursor_never_moves_back() -> None:
    position = Position(since="2026-02-03T00:00:00Z")
    assert step(read({"items": [{"at": "2026-01-03"}]}), position).since == "2026-02-03T00:00:00Z"


def test_numbers_are_compared_as_numbers() -> None:
    more = {"cursor": {"path": "n", "kind": "number"}}
    assert step(read({"items": [{"n": 9}, {"n": "10"}, {"n": 2}]}, **more), **more).since == "10"


def test_the_last_text_of_a_page_is_where_the_next_one_begins() -> None:
    more = {"cursor": {"path": "id", "kind": "text"}, "pages": {"by": "keyset"}}
    page = read({"items": [{"id": "b"}, {"id": "a/c"}]}, **more)
    assert page.step.page == "https://a.example/items?since=a%2Fc"
    assert read({"items": []}, step(page, **more), page.step.page, **more).step.page == ""


def test_a_bookmark_of_the_partner_is_kept_and_an_absent_one_changes_nothing() -> None:
    more = {"cursor": {"path": "meta.cursor", "kind": "token"}}
    position = step(read({"items": [], "meta": {"cursor": "abc"}}, **more), **more)
    assert position.since == "abc"
    assert step(read({"items": []}, position, **more), position, **more).since == "abc"


def test_a_page_that_names_itself_is_a_circle() -> None:
    with pytest.raises(EntrepotError, match="circle"):
        read({"items": [], "next": "https://a.example/items"}, pages={"by": "body", "path": "next"})


def test_two_items_of_one_id_and_other_words_have_two_keys_and_the_same_item_has_one() -> None:
    keys = [item.own_key for item in read({"items": [{"id": 1}, {"id": 1, "x": 2}, {"id": 1}]}).items]
    assert keys[0] == keys[2] != keys[1]


def test_an_id_of_any_length_makes_a_short_printable_key() -> None:
    keys = [item.own_key for item in read({"items": [{"id": "x" * 9_000}, {"id": "\x00\ud83d"}]}).items]
    assert all(len(key) <= 255 and key.isprintable() for key in keys)


@given(st.binary(max_size=200))
def test_what_the_journal_says_is_a_position_or_a_beginning(raw: bytes) -> None:
    assert isinstance(read_position(raw.decode("latin-1")), Position)
    position = Position(since="2026-02-03T00:00:00Z", page="https://a/2", pages=3)
    assert read_position(write_position(position)) == position


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["items", "id", "at", "next", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60),
    st.sampled_from(["instant", "number", "text", "token"]),
    st.sampled_from(["link", "body", "keyset"]),
)
def test_whatever_a_partner_answers_it_is_items_or_a_failure_that_is_known(body: bytes, kind: str, by: str) -> None:
    more = {
        "cursor": {"path": "at", "kind": kind, "start": "2026-01-01" if kind == "instant" else ""},
        "pages": {"by": by, "path": "next"},
    }
    try:
        page = read(body, **more)
    except EntrepotError:
        return
    position = step(page, **more)
    assert read_position(write_position(position)) == position
    assert all(item.body in body for item in page.items)
