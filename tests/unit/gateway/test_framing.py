"""Where a request begins and ends, what it may be, and what every answer says of itself: nothing is left to interpretation."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from adapters.sdk.recording import RecordingIntake
from runtime.gateway.inlet import GatewaySource
from runtime.gateway.server import Gateway
from runtime.gateway.settings import GatewaySettings
from tests.contract.adapters.test_platforms import SECRET, auth, source

pytestmark = pytest.mark.anyio
HEAD = b"POST /in/open HTTP/1.1\r\nHost: a\r\n"
HIDDEN = b"POST /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nhidden"


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 2\r\nContent-Length: 100\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 2, 2\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: 0x2\r\n",
        b"Content-Length: -2\r\n",
        b"Content-Length: 2 2\r\n",
        b" Content-Length: 2\r\n",
        b"Content-Length: 2\r\n folded: x\r\n",
        b"X: a\rContent-Length: 2\r\n",
    ],
    ids=repr,
)
async def test_a_request_whose_length_is_ambiguous_is_refused_and_nothing_behind_it_is_read(
    start: Any, lines: bytes
) -> None:
    site = await start()
    answers = await site.raw(HEAD + lines + b"\r\n{}" + HIDDEN)
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answers
    assert not site.intake.messages


async def test_a_body_in_a_transfer_encoding_that_nobody_undoes_is_refused(start: Any) -> None:
    site = await start()
    answer = await site.raw(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"chunked alone" in answer
    assert not site.intake.messages


@pytest.mark.parametrize(("second", "status"), [(b"two", b"400"), (b"one", b"202")])
async def test_two_idempotency_keys_of_one_message_are_refused_unless_they_are_the_same(
    start: Any, second: bytes, status: bytes
) -> None:
    site = await start()
    keys = b"Idempotency-Key: one\r\nIdempotency-Key: " + second + b"\r\n"
    answer = await site.raw(HEAD + keys + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert [message.key for message in site.intake.messages] == (["one"] if status == b"202" else [])


async def test_every_answer_says_what_it_is_and_is_kept_by_nobody(start: Any) -> None:
    site = await start()
    posted = [await site.post("/in/open"), await site.post("/in/wms"), await site.post("/nowhere")]
    asked = [await site.get(path) for path in ("/live", "/ready", "/metrics", "/in/open", "/receipts/open/x")]
    for status, _, headers in (*posted, *asked):
        kind = headers["Content-Type"]
        fits = (
            {"application/json", "text/plain; version=0.0.4; charset=utf-8"}
            if status < 400
            else {"application/problem+json"}
        )
        assert kind in fits, status
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "OPTIONS", "GET", "CONNECT", "PROPFIND"])
async def test_no_other_method_does_anything(start: Any, method: str) -> None:
    site = await start()
    answer = await site.raw(
        f"{method} /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    )
    assert answer.startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 400 ")), answer[:60]
    assert not site.intake.messages


async def test_of_a_repeated_credential_the_first_counts() -> None:
    intake = RecordingIntake()
    doors = {
        "header": GatewaySource(source=source(auth("static")), intake=intake),
        "url": GatewaySource(source=source(auth("odoo")), intake=intake),
    }
    gateway = Gateway(GatewaySettings(listen="127.0.0.1:0"), doors)
    [address] = await gateway.start()
    true, wrong = SECRET, b"0123456789abcdef-none"
    try:
        for first, second, status in ((true, wrong, b"202"), (wrong, true, b"401")):
            twice = b"X-Api-Key: %s\r\nX-Api-Key: %s\r\n" % (first, second)
            assert (await _asked(address, b"/in/header", twice))[9:12] == status
            assert (await _asked(address, b"/in/url?token=%s&token=%s" % (first, second), b""))[9:12] == status
    finally:
        await gateway.stop(seconds_max=2)


async def _asked(address: str, path: bytes, lines: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
    writer.write(b"POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: 2\r\nConnection: close\r\n\r\n{}" % (path, lines))
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "target", [b"http://gw.example:8080/in/open", b"https://gw.example/in/open?x=/in/wms"], ids=repr
)
async def test_a_target_in_absolute_form_is_taken_by_its_path(start: Any, target: bytes) -> None:
    site = await start()
    request = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" % target
    assert b" 202 " in await site.raw(request)
    assert b" 404 " in await site.raw(request.replace(target, b"http://gw.example"))


async def test_a_sender_that_has_ended_its_half_gets_the_answer_to_what_it_has_sent(start: Any) -> None:
    site = await start()
    site.intake.gate = anyio.Event()
    reader, writer = await asyncio.open_connection(site.host, site.port)
    writer.write((HEAD + b"Content-Length: 2\r\n\r\n{}") * 3)
    writer.write_eof()
    await site.intake.entered.wait()
    site.intake.gate.set()
    answers = await reader.read()
    assert answers.count(b" 202 ") == 3
    assert answers.count(b"Connection: close") == 1, "the last one ends the connection"
    writer.close()


async def test_a_sender_that_ends_its_half_within_a_body_is_not_waited_for(start: Any) -> None:
    site = await start()
    reader, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(HEAD + b"Content-Length: 200\r\n\r\n{}")
    writer.write_eof()
    with anyio.fail_after(5):
        assert b" 202 " not in await reader.read()
    assert not site.intake.messages
    writer.close()
