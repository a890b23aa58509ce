"""Bytes that are no JSON, or not quite: refused with line and column, and never a crash."""

from __future__ import annotations

import base64
import hmac
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.envelope import Event
from runtime.errors import Untranslatable
from runtime.mapping.decode import decode, decode_json
from runtime.policy import jws
from tests.support.mappings import STOCK, compiled, envelope


@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b"", "line 1, column 1"),
        (b" \n ", "line 1, column 1"),
        (b'{\n  "a": 1,\n  "b": }', "line 3, column 8"),
        ('{"ä": ?}'.encode(), "line 1, column 7"),
        (b'{"a": 1', "line 1, column 8"),
        (b'{"a": NaN}', "line 1, column 7"),
        (b'{"a": -Infinity}', "line 1, column 8"),
        (b'{"a": "\xff"}', "line 1, column 8"),
        (b'{"a": 1} ?', "line 1, column 11"),
        (b"<xml/>", "line 1, column 1"),
        (b"[" * 100_000, "line 1, column 1"),
        (b'{"a":' * 50_000, "line 1, column 1"),
        (b"[1e999999999999999999999]", "line 1, column 1"),
        (b"9" * 6000, "line 1, column 1"),
    ],
)
def test_what_is_no_json_is_refused_with_line_and_column(body: bytes, position: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        decode_json(body, "application/json")
    assert caught.value.position == position


def test_a_byte_order_mark_is_skipped() -> None:
    assert decode_json(b'\xef\xbb\xbf{"a":1}', "application/json") == {"a": 1}


def test_another_character_set_is_read_when_the_sender_names_it() -> None:
    assert decode_json('{"a":"ü"}'.encode("latin-1"), "application/json; charset=ISO-8859-1") == {"a": "ü"}
    assert decode_json('{"a":"ü"}'.encode("utf-16"), 'application/json; charset="utf-16"') == {"a": "ü"}


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", "zip"])
def test_what_is_no_character_set_is_refused(name: str) -> None:
    with pytest.raises(Untranslatable, match="character set"):
        decode_json(b"{}", f"application/json; charset={name}")


def test_numbers_are_exact_and_the_last_of_two_equal_keys_counts() -> None:
    assert decode_json(b'{"a":1.10,"a":2.20}', "") == {"a": Decimal("2.20")}


def position(body: bytes, content_type: str) -> str:
    try:
        decode_json(body, content_type)
    except Untranslatable as refusal:
        return refusal.position
    return "decoded"


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)), st.text(max_size=20))
def test_any_bytes_decode_or_are_refused(body: bytes, charset: str) -> None:
    for content_type in ("application/json", f"application/json; charset={charset}"):
        assert position(body, content_type).startswith(("line ", "decoded"))


# ---------------------------------------------------------------- signed tokens

RULES = """
key = "id"
[[outputs]]
type = "stock.snapshot"
fields = { sku = "sku", on_hand = "qty", occurred_at = "at" }
"""

SECRET = b"a secret of thirty-two characters"


def token(payload: bytes) -> bytes:
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"HS256"}', payload)]
    signature = hmac.digest(SECRET, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")])


def test_what_the_verifier_lets_in_is_translated_from_its_payload() -> None:
    body = token(json.dumps({**STOCK, "id": "m-1"}).encode())
    jws.verify(jws.split(body), {}, [SECRET])
    named, by_type = compiled('format = "jws"\n' + RULES), compiled(RULES)
    for mapping, content_type in (
        (named, "application/json"),
        (named, "text/plain"),
        (by_type, "application/jose"),
        (by_type, "application/JWT; charset=utf-8"),
    ):
        assert mapping.key(body, content_type) == "m-1"
        assert [
            result.partition_key
            for result in mapping.translate(envelope(body, content_type))
            if isinstance(result, Event)
        ] == ["A-1"]


def test_a_token_sent_as_json_is_a_letter_that_says_what_to_do() -> None:
    with pytest.raises(Untranslatable) as caught:
        decode(token(b"{}"), "application/json")
    assert "application/jose" in caught.value.hint


@pytest.mark.parametrize("body", [b"", b"a.b", b"e30.e30.e30.e30", b"{}", token(b"{"), token(b"\xff")])
def test_what_is_no_token_or_holds_no_json_is_a_letter(body: bytes) -> None:
    with pytest.raises(Untranslatable) as caught:
        decode(body, "application/jose")
    assert caught.value.position.startswith("line 1, column ")
