"""Depth is what a parser would find, and a compressed body cannot outgrow its bound."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway.limits import inflate, is_deeper
from runtime.gateway.problems import Rejection

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab[]{}"\\', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='x{["\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth_of(v) for v in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(v) for v in value), default=0)
    return 0


@given(JSON, st.integers(1, 8))
def test_depth_is_what_a_parser_would_find(value: Any, depth_max: int) -> None:
    assert is_deeper(json.dumps(value).encode(), depth_max) == (depth_of(value) > depth_max)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert not is_deeper(b"[" + b"[],{}," * 50_000 + b"1]", 64)


def test_brackets_in_text_are_not_depth() -> None:
    assert not is_deeper(json.dumps({"remark": "[" * 5_000 + '"\\"' + "{" * 5_000}).encode(), 64)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_unclosed_depth_is_seen(opening: bytes) -> None:
    assert is_deeper(opening * 100_000, 64)


@given(st.binary(max_size=300), st.integers(1, 3))
def test_any_bytes_get_an_answer(body: bytes, depth_max: int) -> None:
    assert is_deeper(body, depth_max) in {True, False}


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_comes_back_exactly(encoding: str, compress: Any) -> None:
    body = bytes(range(256)) * 10
    assert inflate(compress(body), encoding, 10_000, 20) == body


@pytest.mark.parametrize("bytes_max", [10_000, 100_000_000])
def test_a_bomb_is_refused_by_size_and_by_ratio(bytes_max: int) -> None:
    with pytest.raises(Rejection) as caught:
        inflate(gzip.compress(bytes(20_000_000)), "gzip", bytes_max, 20)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"plain", gzip.compress(b"x" * 100)[:-4], gzip.compress(b"one") + gzip.compress(b"two")],
    ids=["empty", "plain", "cut", "two members"],
)
def test_what_does_not_inflate_whole_is_refused(body: bytes) -> None:
    with pytest.raises(Rejection) as caught:
        inflate(body, "gzip", 10_000, 20)
    assert caught.value.status == 400


def test_an_encoding_we_do_not_read_is_refused() -> None:
    with pytest.raises(Rejection) as caught:
        inflate(b"x", "br", 10_000, 20)
    assert caught.value.status == 415
