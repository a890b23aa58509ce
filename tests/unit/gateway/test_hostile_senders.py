"""Slow, many, greedy: each costs itself, within bounds, and nobody else."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import anyio
import pytest

from runtime.errors import ConfigError
from runtime.gateway.server import Gateway, serve
from runtime.gateway.settings import GatewaySettings, SourceLimits

pytestmark = pytest.mark.anyio


async def test_a_slow_body_is_a_408(start: Any) -> None:
    site = await start(body_timeout_seconds=0.05)
    answer = await site.raw(b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    assert not site.intake.messages
    assert site.gateway._room.bytes_held == 0


async def test_a_slow_head_is_a_408(start: Any) -> None:
    site = await start(head_timeout_seconds=0.05)
    answer = await site.raw(b"POST /in/open HTTP/1.1\r\nHost:")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_slow_head_after_a_good_request_is_a_408_too(start: Any) -> None:
    site = await start(head_timeout_seconds=0.05)
    good = b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    reader, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(good)
    first = await reader.readuntil(b"}")
    writer.write(b"POST /in")
    second = await reader.read()
    writer.close()
    assert first.startswith(b"HTTP/1.1 202 ")
    assert second.startswith(b"HTTP/1.1 408 ")


async def test_a_slow_body_is_not_taken_for_a_slow_head(start: Any) -> None:
    site = await start(head_timeout_seconds=0.05, body_timeout_seconds=0.3)
    answer = await site.raw(b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", b"half")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The body did not arrive" in answer


async def test_a_head_in_two_pieces_does_not_condemn_the_connection(start: Any) -> None:
    site = await start(head_timeout_seconds=0.1, keepalive_seconds=0.3)
    reader, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(b"POST /in/open HTTP/1.1\r\nHost:")
    await site.get("/live")
    writer.write(b" x\r\nContent-Length: 2\r\n\r\n{}")
    answers = await reader.read()
    writer.close()
    assert answers.count(b"HTTP/1.1 ") == answers.count(b" 202 ") == 1


async def test_an_idle_connection_is_closed_without_a_word(start: Any) -> None:
    site = await start(keepalive_seconds=0.05)
    assert await site.raw() == b""


async def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing_behind(start: Any) -> None:
    site = await start()
    _, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000)
    await writer.drain()
    while not site.gateway._room.bytes_held:
        await site.get("/live")
    writer.close()
    await writer.wait_closed()
    while site.gateway._room.bytes_held:
        await site.get("/live")
    assert not site.intake.messages


async def test_a_connection_too_many_is_a_503_and_the_others_go_on(start: Any) -> None:
    site = await start(connections_max=2)
    held = [await asyncio.open_connection(site.host, site.port) for _ in range(2)]
    held[0][1].write(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
    await held[0][0].readuntil(b"}")
    assert (await site.raw()).startswith(b"HTTP/1.1 503 ")
    held[1][1].write(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await held[1][0].readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
    for _, writer in held:
        writer.close()


async def test_bodies_of_all_senders_together_are_bounded(start: Any) -> None:
    site = await start(buffered_bytes_max=1024 * 1024, body_bytes_max=1024 * 1024)
    _, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 900_000)
    await writer.drain()
    while site.gateway._room.bytes_held < 900_000:
        await site.get("/live")
    status, _, headers = await site.post("/in/open", b"x" * 500_000)
    assert (status, headers["Retry-After"]) == (503, "1")
    assert (await site.post("/in/open", b"small"))[0] == 202
    writer.close()


async def test_a_source_with_too_much_in_hand_gets_429_and_another_does_not(start: Any, signature: Any) -> None:
    site = await start(limits=SourceLimits(in_flight_max=3))
    gate = site.intake.gate = anyio.Event()
    asked = [asyncio.ensure_future(site.post("/in/open")) for _ in range(10)]
    while sum(answer.done() for answer in asked) < 7:
        await asyncio.wait([answer for answer in asked if not answer.done()], return_when=asyncio.FIRST_COMPLETED)
    other = asyncio.ensure_future(site.post("/in/wms", b"{}", X_Signature=signature(b"{}")))
    await site.get("/live")
    gate.set()
    assert (await other)[0] == 202
    assert sorted([(await answer)[0] for answer in asked]) == [202] * 3 + [429] * 7


async def test_a_burst_of_twenty_times_the_rate_costs_the_source_alone(start: Any, signature: Any) -> None:
    site = await start(limits=SourceLimits(rate_per_second=1, burst=10))
    bursting = [asyncio.ensure_future(site.post("/in/open")) for _ in range(200)]
    calm = [asyncio.ensure_future(site.post("/in/wms", b"{}", X_Signature=signature(b"{}"))) for _ in range(20)]
    statuses = sorted([(await answer)[0] for answer in bursting])
    assert statuses == [202] * 10 + [429] * 190
    assert [(await answer)[0] for answer in calm] == [202] * 20


async def test_strangers_cannot_use_up_the_rate_of_a_source(start: Any, signature: Any) -> None:
    site = await start(rate_per_second=1, burst=1)
    assert [(await site.post("/in/wms"))[0] for _ in range(20)] == [401] * 20
    assert (await site.post("/in/wms", b"{}", X_Signature=signature(b"{}")))[0] == 202


async def test_a_sender_that_never_reads_is_no_longer_answered(start: Any) -> None:
    site = await start(metrics=b"#" * 1_000_000)
    _, writer = await asyncio.open_connection(site.host, site.port, limit=1_000)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
    server = site.gateway._runner.server
    try:
        with anyio.fail_after(20):
            while not any(connection.writing_paused for connection in server.connections):
                await site.get("/live")
        answered = site.gateway.answers["/metrics", 200]
        for _ in range(20):
            await site.get("/live")
        assert site.gateway.answers["/metrics", 200] == answered < 60
    finally:
        writer.transport.abort()


async def test_stopping_finishes_what_is_in_hand_and_accepts_nothing_new(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Closing connections has a patience of its own, which must not be what saves the request.
    monkeypatch.setattr("runtime.gateway.server._CLOSE_SECONDS_MAX", 0.001)
    site = await start()
    gate = site.intake.gate = anyio.Event()
    asked = asyncio.ensure_future(site.post("/in/open"))
    await site.intake.entered.wait()
    stopping = asyncio.ensure_future(site.gateway.stop())
    await asyncio.wait([stopping], timeout=0.1)
    assert site.gateway.draining
    assert not stopping.done()
    gate.set()
    assert (await asked)[0] == 202
    await stopping
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(site.host, site.port)
    assert len(site.intake.messages) == 1


async def test_a_stop_waits_for_requests_that_are_on_their_way_and_says_that_they_are_the_last(start: Any) -> None:
    site = await start()
    kept, fresh = [await asyncio.open_connection(site.host, site.port) for _ in range(2)]
    request = b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    kept[1].write(request)
    assert b"close" not in await kept[0].readuntil(b"}")
    stopping = asyncio.ensure_future(site.gateway.stop())
    await asyncio.wait([stopping], timeout=0.05)
    assert site.gateway.draining
    for reader, writer in (kept, fresh):
        writer.write(request)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b"Connection: close\r\n" in answer
        writer.close()
    await stopping
    assert len(site.intake.messages) == 3


async def test_stopping_closes_its_handle_of_an_open_socket_and_leaves_callers_to_whoever_holds_it_too() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    held = sock.dup()
    gateway = Gateway(GatewaySettings(), {})
    await gateway.start([sock])
    await gateway.stop()
    reader, writer = await asyncio.open_connection(*held.getsockname())
    writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    following = Gateway(GatewaySettings(), {})
    await following.start([held])
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await following.stop()


async def test_stopping_does_not_wait_for_ever_for_a_hanging_sender(start: Any) -> None:
    site = await start()
    _, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(b"POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    while not site.gateway._in_hand:
        await site.get("/live")
    with anyio.fail_after(20):
        await site.gateway.stop(seconds_max=1.1)
    writer.close()


async def test_serving_ends_when_told_and_takes_an_open_socket() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    gateway = Gateway(GatewaySettings(listen="192.0.2.1:1"), {})
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        addresses = await group.start(
            lambda *, task_status: serve(gateway, stop, sockets=[sock], task_status=task_status)
        )
        assert addresses == [f"127.0.0.1:{port}"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        stop.set()


async def test_cancelling_closes_everything_at_once() -> None:
    gateway = Gateway(GatewaySettings(listen="127.0.0.1:0"), {})
    async with anyio.create_task_group() as group:
        addresses = await group.start(lambda *, task_status: serve(gateway, anyio.Event(), task_status=task_status))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(addresses[0].rpartition(":")[2]))
        group.cancel_scope.cancel()
    assert await reader.read() == b""
    writer.close()


async def test_a_taken_address_is_one_clear_sentence() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    listen = f"127.0.0.1:{sock.getsockname()[1]}"
    with pytest.raises(ConfigError, match="is taken by another process"):
        await Gateway(GatewaySettings(listen=listen), {}).start()
    sock.close()
