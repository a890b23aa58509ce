"""Of a request's headers only those that the rules read become part of the fact."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.gateway.headers import VALUE_BYTES_MAX
from runtime.journal.intake import HEADERS_BYTES_MAX, canonical_headers
from runtime.mapping.document import HEADERS_MAX
from tests.support.packs import probe

pytestmark = pytest.mark.anyio


async def test_the_named_headers_are_kept_and_no_other(start: Any) -> None:
    site = await start(translator=probe())
    await site.post("/in/open", X_Topic="stock/counted", X_Other="1", Authorization="Bearer s", X_Delivery="d-1")
    (message,) = site.intake.messages
    assert message.headers == {"x-topic": "stock/counted", "x-delivery": "d-1"}
    assert message.key == "d-1"


async def test_the_idempotency_key_header_still_comes_first(start: Any) -> None:
    site = await start(translator=probe())
    await site.post("/in/open", X_Delivery="d-1", Idempotency_Key="k-1")
    assert [message.key for message in site.intake.messages] == ["k-1"]


async def test_a_source_whose_rules_read_no_header_keeps_none(start: Any) -> None:
    site = await start()
    await site.post("/in/open", X_Topic="stock/counted")
    assert [message.headers for message in site.intake.messages] == [{}]


async def test_lines_of_ndjson_have_no_headers(start: Any) -> None:
    site = await start(translator=probe())
    await site.post("/in/open", b"{}\n{}\n", X_Topic="t", Content_Type="application/x-ndjson")
    assert [message.headers for message in site.intake.messages] == [{}, {}]


async def test_a_header_that_is_too_long_is_refused_and_nothing_is_kept(start: Any) -> None:
    site = await start(translator=probe())
    status, problem, _ = await site.post("/in/open", X_Topic="x" * (VALUE_BYTES_MAX + 1))
    assert (status, site.intake.messages) == (400, [])
    assert "x-topic" in problem["detail"]
    assert (await site.post("/in/open", X_Topic="x" * VALUE_BYTES_MAX))[0] == 202


async def test_a_repeated_header_is_joined_and_bytes_that_are_no_text_are_replaced(start: Any) -> None:
    site = await start(translator=probe())
    head = b"POST /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n"
    await site.raw(head + b"X-Topic: a\r\nx-topic: b\xff\r\n\r\n{}")
    assert site.intake.messages[0].headers == {"x-topic": "a, b\N{REPLACEMENT CHARACTER}"}


async def test_what_the_gateway_lets_through_always_fits_into_the_journal() -> None:
    most = {f"{n}{'x' * 63}": '"' * VALUE_BYTES_MAX for n in range(HEADERS_MAX)}
    assert len(canonical_headers(most) or "") in range(1, HEADERS_BYTES_MAX)
