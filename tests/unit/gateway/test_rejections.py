"""Every way to say no: the right status, a problem document, nothing accepted."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest

from runtime.errors import Refused, Retryable, StorageFailed, StorageFull
from runtime.gateway.settings import SourceLimits

pytestmark = pytest.mark.anyio

NDJSON = "application/x-ndjson"


def assert_problem(answer: tuple[int, Any, dict[str, str]], status: int, *, retryable: bool = False) -> None:
    got, problem, headers = answer
    assert got == status, problem
    assert headers["Content-Type"] == "application/problem+json"
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail", "correlation_id", "retryable"}
    assert problem["status"] == status
    assert problem["retryable"] is retryable
    assert re.fullmatch(r"urn:entrepot:problem:[a-z-]+", problem["type"])
    assert re.fullmatch(r"[0-9a-f]{32}", problem["correlation_id"])
    assert problem["detail"].endswith(".")


@pytest.mark.parametrize("body", [b""])
async def test_an_empty_body_is_a_400(start: Any, body: bytes) -> None:
    site = await start()
    assert_problem(await site.post("/in/open", body), 400)


async def test_ndjson_of_blank_lines_is_a_400(start: Any) -> None:
    site = await start()
    assert_problem(await site.post("/in/open", b"\n \r\n\n", Content_Type=NDJSON), 400)


@pytest.mark.parametrize(
    "headers",
    [{"Idempotency_Key": '"open'}, {"Idempotency_Key": "x" * 300}, {"Content_Type": "x" * 300}],
    ids=["quote", "long key", "long type"],
)
async def test_a_header_that_cannot_be_kept_is_a_400(start: Any, headers: dict[str, str]) -> None:
    site = await start()
    assert_problem(await site.post("/in/open", **headers), 400)
    assert not site.intake.messages


async def test_deep_nesting_is_a_400(start: Any) -> None:
    site = await start()
    assert_problem(await site.post("/in/open", b"[" * 100_000), 400)
    assert_problem(await site.post("/in/open", b"[" * 65 + b"]" * 65), 400)
    assert (await site.post("/in/open", b"[" * 64 + b"]" * 64))[0] == 202


async def test_a_deep_ndjson_line_is_named_and_nothing_is_accepted(start: Any) -> None:
    site = await start()
    answer = await site.post("/in/open", b"{}\n" + b"[" * 65, Content_Type=NDJSON)
    assert_problem(answer, 400)
    assert answer[1]["errors"] == [{"pointer": "/2", "detail": "deeper than 64 levels"}]
    assert not site.intake.messages


async def test_what_is_not_http_is_a_400(start: Any) -> None:
    site = await start()
    answer = await site.raw(b"\x16\x03\x01 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


async def test_broken_chunks_are_a_400(start: Any) -> None:
    site = await start()
    answer = await site.raw(b"POST /in/open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert not site.intake.messages


@pytest.mark.parametrize("headers", [{}, {"X_Signature": ""}, {"X_Signature": "é"}, {"X_Signature": "0" * 64}])
async def test_a_stranger_is_a_401(start: Any, headers: dict[str, str]) -> None:
    site = await start()
    answer = await site.post("/in/wms", b"{}", **headers)
    assert_problem(answer, 401)
    assert "WWW-Authenticate" in answer[2]
    assert not site.intake.messages


@pytest.mark.parametrize(
    "path", ["/in/nobody", "/in/", "/in", "/", "/in/open/", "/in/OPEN", "/in/open%00", "//in/open"]
)
async def test_an_unknown_path_is_a_404_that_names_no_source(start: Any, path: str) -> None:
    site = await start()
    answer = await site.post(path)
    assert_problem(answer, 404)
    assert "wms" not in str(answer)


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [("/in/open", "GET", "POST"), ("/in/open", "PUT", "POST"), ("/live", "POST", "GET, HEAD")],
)
async def test_a_wrong_method_is_a_405_that_names_the_right_one(
    start: Any, path: str, method: str, allowed: str
) -> None:
    site = await start()
    status, _, headers = await site.get(path, method)
    assert (status, headers["Allow"]) == (405, allowed)


async def test_the_same_key_with_another_body_is_a_409(start: Any) -> None:
    site = await start()
    await site.post("/in/open", b"one", Idempotency_Key="k")
    assert_problem(await site.post("/in/open", b"two", Idempotency_Key="k"), 409)
    assert site.intake.bodies == [b"one"]


async def test_a_large_body_is_a_413_announced_or_not(start: Any) -> None:
    site = await start(body_bytes_max=1_000)
    assert_problem(await site.post("/in/open", b"x" * 1_001), 413)
    assert (await site.post("/in/open", b"x" * 1_000))[0] == 202

    async def endless() -> Any:
        for _ in range(50):
            yield b"x" * 1_000

    async with site.session.post(f"{site.url}/in/open", data=endless()) as answer:
        assert answer.status == 413


async def test_a_huge_body_is_refused_by_its_announced_length(start: Any) -> None:
    site = await start()
    answer = await site.raw(b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert site.gateway._room.bytes_held == 0


async def test_too_many_ndjson_lines_are_a_413(start: Any) -> None:
    site = await start(ndjson_lines_max=3)
    assert (await site.post("/in/open", b"1\n2\n3\n", Content_Type=NDJSON))[0] == 202
    assert_problem(await site.post("/in/open", b"1\n2\n3\n4\n", Content_Type=NDJSON), 413)


async def test_a_long_ndjson_line_is_a_413(start: Any) -> None:
    site = await start(body_bytes_max=10)
    assert_problem(await site.post("/in/open", b"1\n" + b"2" * 11, Content_Type=NDJSON), 413)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
async def test_a_compressed_body_is_a_415_unless_enabled(start: Any, encoding: str) -> None:
    site = await start()
    assert_problem(await site.post("/in/open", gzip.compress(b"{}"), Content_Encoding=encoding), 415)


async def test_enabled_compression_takes_gzip_and_refuses_a_bomb(start: Any) -> None:
    site = await start(limits=SourceLimits(compressed=True))
    status, _, _ = await site.post("/in/open", gzip.compress(b'{"a":1}'), Content_Encoding="gzip")
    assert status == 202
    assert site.intake.bodies == [b'{"a":1}']
    assert_problem(await site.post("/in/open", gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"), 413)
    assert_problem(await site.post("/in/open", b"plain", Content_Encoding="gzip"), 400)
    assert_problem(await site.post("/in/open", b"x", Content_Encoding="br"), 415)
    assert site.gateway._room.bytes_held == 0


async def test_a_source_over_its_rate_is_a_429_that_says_when(start: Any) -> None:
    site = await start(limits=SourceLimits(rate_per_second=0.25, burst=2))
    assert [(await site.post("/in/open"))[0] for _ in range(2)] == [202, 202]
    answer = await site.post("/in/open")
    assert_problem(answer, 429, retryable=True)
    assert answer[2]["Retry-After"] == "4"
    site.now += 4
    assert (await site.post("/in/open"))[0] == 202


@pytest.mark.parametrize(
    "head",
    [b"X-Long: " + b"x" * 20_000 + b"\r\n", b"".join(b"X-%d: 1\r\n" % n for n in range(100))],
    ids=["long", "many"],
)
async def test_headers_over_the_limit_are_a_431(start: Any, head: bytes) -> None:
    site = await start()
    answer = await site.raw(b"POST /in/open HTTP/1.1\r\nHost: x\r\n" + head + b"Content-Length: 0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in answer


async def test_headers_in_many_pieces_are_bounded_too(start: Any) -> None:
    site = await start()
    head = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1_000) for n in range(40))
    answer = await site.raw(b"POST /in/open HTTP/1.1\r\n", head)
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Refused("The key was used."), 409),
        (StorageFailed("fsync: EIO on /secret/path"), 503),
        (Retryable("The journal is busy.", after_seconds=7), 503),
        (StorageFull("full"), 507),
    ],
    ids=["refused", "failed", "busy", "full"],
)
async def test_what_the_journal_says_becomes_the_right_status(start: Any, failure: Exception, status: int) -> None:
    site = await start()
    site.intake.failure = failure
    answer = await site.post("/in/open")
    assert_problem(answer, status, retryable=status != 409)
    assert "/secret/path" not in str(answer)
    if status != 409:
        assert int(answer[2]["Retry-After"]) >= 5


async def test_a_bug_costs_one_request_and_tells_nothing(start: Any) -> None:
    site = await start()
    site.intake.failure = RuntimeError("password=hunter2")
    answer = await site.post("/in/open")
    assert_problem(answer, 500, retryable=True)
    assert "hunter2" not in str(answer)
    site.intake.failure = None
    assert (await site.post("/in/open"))[0] == 202


async def test_a_problem_is_logged_with_the_id_that_the_sender_has(start: Any) -> None:
    site = await start()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    _, problem, _ = await site.post("/in/wms", traceparent=trace)
    assert problem["correlation_id"] == trace[3:35]
    event, fields = site.logged[-1]
    assert (event, fields["status"], fields["correlation_id"]) == ("request_rejected", 401, trace[3:35])


async def test_while_draining_a_message_is_taken_as_the_last_of_its_connection_and_readiness_is_gone(
    start: Any,
) -> None:
    site = await start()
    site.gateway.draining = True
    status, _, headers = await site.post("/in/open")
    assert (status, headers["Connection"]) == (202, "close")
    assert (await site.get("/ready"))[0] == 503
    assert (await site.get("/live"))[0] == 200
