"""The idempotency key of a message: found without trusting a byte of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.mapping.keys import key_reader
from runtime.mapping.paths import parse_path


def read(message: Any, *paths: str) -> str | None:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return key_reader(tuple(map(parse_path, paths)))(body, "application/json")


@pytest.mark.parametrize(
    ("paths", "message", "key"),
    [
        (["id"], {"id": "k-1"}, "k-1"),
        (["id"], {"id": 17}, "17"),
        (["id"], b'{"id":1.50}', "1.50"),
        (["a.b"], {"a": {"b": "k", "c": [1]}}, "k"),
        (["a.b", "c"], {"a": {"b": "k"}, "c": 2}, "k|2"),
        (["c", "a.b"], {"a": {"b": "k"}, "c": 2}, "2|k"),
        (["a.0.id"], {"a": [{"id": "k"}]}, "k"),
        (["a", "a.b"], {"a": {"b": "k"}}, None),
        (["id"], b'\xef\xbb\xbf{"id":"k"}', "k"),
        (["id"], {}, None),
        (["id"], {"id": ""}, None),
        (["id"], {"id": None}, None),
        (["id"], {"id": True}, None),
        (["id"], {"id": ["k"]}, None),
        (["a.b", "c"], {"a": {"b": "k"}}, None),
        (["a.b"], {"a": "x"}, None),
        (["id"], b'{"id":', None),
        (["id"], b"[" * 100_000, None),
        (["id"], [1], None),
    ],
)
def test_a_key_is_found_or_there_is_none(paths: list[str], message: Any, key: str | None) -> None:
    assert read(message, *paths) == key


def test_a_very_long_key_is_replaced_by_its_digest() -> None:
    key = read({"id": "x" * 100_000}, "id")
    assert key is not None
    assert len(key) == len("sha256:") + 64


@given(st.binary(max_size=80))
def test_no_bytes_make_the_search_for_a_key_fail(body: bytes) -> None:
    for paths in (["id"], ["a.0"], ["id", "a.b"]):
        assert read(body, *paths) is None or body
