"""Which idempotency key a message gets, and what is done with a broken one."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.envelope import Envelope, Event, Ignored
from runtime.gateway.keys import KEY_CHARS_MAX, header_key, own_key, traceparent
from runtime.gateway.problems import Rejection


class Keyed:
    version = "test"
    headers = ()

    def __init__(self, key: str | None) -> None:
        self._key = key

    def key(self, body: bytes, content_type: str) -> str | None:
        return self._key

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        return []


def test_quoted_and_bare_are_the_same_key() -> None:
    assert header_key('"8e03978e-40d5"') == header_key("8e03978e-40d5") == header_key("  8e03978e-40d5 ")


def test_escapes_in_a_quoted_key_are_resolved() -> None:
    assert header_key(r'"a\"b\\c"') == 'a"b\\c'


@pytest.mark.parametrize(
    "value", ["", "  ", '""', '"a', 'a"', '"a"b"', 'a"b', '"\\x"', "é", "a\tb", "\udcff", "x" * 256]
)
def test_a_key_that_cannot_be_kept_is_a_400(value: str) -> None:
    with pytest.raises(Rejection) as caught:
        header_key(value)
    assert caught.value.status == 400


@given(st.text(max_size=300))
def test_any_header_text_is_a_key_or_a_400(value: str) -> None:
    try:
        key = header_key(value)
    except Rejection as rejection:
        key = f"{rejection.status}"
    assert 1 <= len(key) <= KEY_CHARS_MAX
    assert key.isascii()


def test_the_mapping_names_the_key_only_with_dedupe_key() -> None:
    assert own_key(b"{}", "application/json", Keyed("order-1"), "key") == "order-1"
    assert own_key(b"{}", "application/json", Keyed("order-1"), "none") is None
    assert own_key(b"{}", "application/json", Keyed("order-1"), "body") == sha256(b"{}").hexdigest()


def test_without_a_key_two_identical_messages_stay_two_facts() -> None:
    assert own_key(b"{}", "application/json", Keyed(None), "key") is None
    assert own_key(b"{}", "application/json", None, "key") is None


def test_a_huge_key_from_the_mapping_is_kept_as_its_digest() -> None:
    one = own_key(b"{}", "application/json", Keyed("x" * 10_000 + "1"), "key")
    two = own_key(b"{}", "application/json", Keyed("x" * 10_000 + "2"), "key")
    assert one is not None
    assert len(one) == 64
    assert one != two


def test_a_valid_traceparent_is_kept() -> None:
    value = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert traceparent(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
    ],
)
def test_a_broken_traceparent_is_ignored(value: str | None) -> None:
    assert traceparent(value) is None
