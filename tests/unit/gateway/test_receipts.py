"""What is accepted, and what the sender is told about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

pytestmark = pytest.mark.anyio


async def test_a_signed_message_gets_a_receipt_and_its_exact_bytes_are_kept(start: Any, signature: Any) -> None:
    site = await start()
    body = b' {"order": "A-1"}\r\n\xff'
    status, receipt, headers = await site.post("/in/wms", body, X_Signature=signature(body))
    assert (status, headers["Content-Type"]) == (202, "application/json")
    assert receipt == {
        "region": "test",
        "epoch": 1,
        "intake_seq": 1,
        "sha256": sha256(body).hexdigest(),
        "committed_at": "2026-01-01T00:00:00.000000+00:00",
        "duplicate": False,
    }
    assert site.intake.bodies == [body]


async def test_no_receipt_before_the_commit(start: Any) -> None:
    site = await start()
    gate = site.intake.gate = asyncio.Event()
    asked = asyncio.ensure_future(site.post("/in/open"))
    await site.intake.entered.wait()
    await site.get("/live")
    assert not asked.done()
    gate.set()
    assert (await asked)[0] == 202


async def test_the_same_key_gets_the_same_receipt_marked_duplicate(start: Any) -> None:
    site = await start()
    _, first, _ = await site.post("/in/open", Idempotency_Key='"k-1"')
    status, second, _ = await site.post("/in/open", Idempotency_Key="k-1")
    assert status == 202
    assert second == {**first, "duplicate": True}
    assert len(site.intake.messages) == 1


async def test_without_a_key_two_identical_messages_are_two_facts(start: Any) -> None:
    site = await start()
    receipts = [(await site.post("/in/open"))[1] for _ in range(2)]
    assert [receipt["intake_seq"] for receipt in receipts] == [1, 2]
    assert not any(receipt["duplicate"] for receipt in receipts)


async def test_the_header_wins_over_the_key_of_the_mapping(start: Any) -> None:
    site = await start()
    await site.post("/in/open", b"id:00001", Idempotency_Key="header")
    await site.post("/in/open", b"id:00002")
    assert [message.key for message in site.intake.messages] == ["header", "00002"]


async def test_dedupe_body_makes_identical_messages_one_fact(start: Any) -> None:
    site = await start(dedupe="body")
    await site.post("/in/open", b"same")
    _, receipt, _ = await site.post("/in/open", b"same")
    assert receipt["duplicate"]
    assert site.intake.messages[0].key == sha256(b"same").hexdigest()


async def test_content_type_and_trace_travel_with_the_message(start: Any) -> None:
    site = await start()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await site.post("/in/open", b"<x/>", Content_Type="text/xml; charset=utf-8", traceparent=trace, tracestate="a=1")
    await site.post("/in/open", b"{}", traceparent="rubbish")
    first, second = site.intake.messages
    assert (first.content_type, first.traceparent) == ("text/xml; charset=utf-8", trace)
    assert second.traceparent is None


async def test_invalid_json_is_accepted_raw(start: Any) -> None:
    site = await start()
    status, _, _ = await site.post("/in/open", b'{"cut": ', Content_Type="application/json")
    assert status == 202
    assert site.intake.bodies == [b'{"cut": ']


async def test_ndjson_lines_are_one_transaction_with_one_summary(start: Any) -> None:
    site = await start()
    body = b'{"n":1}\n\n{"n":2}\r\nnot json\n'
    status, receipt, _ = await site.post(
        "/in/open", body, Content_Type="application/x-ndjson; charset=utf-8", Idempotency_Key='"batch"'
    )
    assert status == 202
    assert receipt == {
        "region": "test",
        "epoch": 1,
        "first_intake_seq": 1,
        "last_intake_seq": 3,
        "accepted": 3,
        "duplicates": 0,
        "committed_at": "2026-01-01T00:00:00.000000+00:00",
    }
    assert site.intake.calls == 1
    assert site.intake.bodies == [b'{"n":1}', b'{"n":2}', b"not json"]
    assert [message.key for message in site.intake.messages] == ["batch#1", "batch#3", "batch#4"]
    assert {message.content_type for message in site.intake.messages} == {"application/json"}


async def test_a_repeated_ndjson_request_adds_nothing(start: Any) -> None:
    site = await start()
    headers = {"Content_Type": "application/x-ndjson", "Idempotency_Key": "b"}
    _, first, _ = await site.post("/in/open", b"1\n2\n3", **headers)
    _, second, _ = await site.post("/in/open", b"1\n2\n3", **headers)
    assert second == {**first, "accepted": 0, "duplicates": 3}
    assert len(site.intake.messages) == 3


async def test_ndjson_lines_without_a_header_have_the_key_of_the_mapping(start: Any) -> None:
    site = await start()
    await site.post("/in/open", b"id:00007\nother\n", Content_Type="application/x-ndjson")
    assert [message.key for message in site.intake.messages] == ["00007", None]


async def test_a_large_body_in_pieces_arrives_exactly(start: Any, signature: Callable[[bytes], str]) -> None:
    site = await start()
    body = bytes(range(256)) * 3_000

    async def pieces() -> Any:
        for at in range(0, len(body), 50_000):
            yield body[at : at + 50_000]

    async with site.session.post(
        f"{site.url}/in/wms", data=pieces(), headers={"X-Signature": signature(body)}
    ) as answer:
        assert answer.status == 202
    assert site.intake.bodies == [body]


async def test_a_sender_that_asks_before_it_sends_is_told_to_go_on(start: Any) -> None:
    site = await start()
    async with site.session.post(f"{site.url}/in/open", data=b"x" * 200_000, expect100=True) as answer:
        assert answer.status == 202


async def test_a_query_does_not_change_the_source(start: Any) -> None:
    site = await start()
    assert (await site.post("/in/open?token=1"))[0] == 202


async def test_one_connection_takes_one_message_after_another(start: Any) -> None:
    site = await start()
    one = b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    last = one.replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = await site.raw(one + one, last)
    assert answer.count(b"HTTP/1.1 202 Accepted") == 3
    assert answer.count(b"Connection: close") == 1


async def test_an_http_1_0_client_is_told_when_the_connection_stays(start: Any) -> None:
    site = await start()
    one = b"POST /in/open HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"
    last = b"POST /in/open HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}"
    answer = await site.raw(one, last)
    assert answer.count(b" 202 Accepted") == 2
    assert answer.count(b"Connection: keep-alive") == 1


async def test_health_and_metrics_are_served(start: Any) -> None:
    reasons: list[str] = []
    site = await start(ready=lambda: reasons)
    assert await site.get("/live") == (200, b'{"status":"live"}', (await site.get("/live"))[2])
    assert (await site.get("/ready"))[:2] == (200, b'{"status":"ready"}')
    status, body, headers = await site.get("/metrics")
    assert (status, body) == (200, b"entrepot_up 1\n")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    reasons.append("The journal is not open.")
    status, body, _ = await site.get("/ready")
    assert status == 503
    assert b"The journal is not open." in body


async def test_a_head_request_gets_no_body(start: Any) -> None:
    site = await start()
    status, body, headers = await site.get("/live", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "17")


async def test_answers_are_counted_by_path_and_status(start: Any) -> None:
    site = await start()
    await site.post("/in/open")
    await site.post("/in/wms")
    await site.get("/nonsense/1")
    await site.get("/nonsense/2")
    assert dict(site.gateway.answers) == {("/in/open", 202): 1, ("/in/wms", 401): 1, ("", 404): 2}
