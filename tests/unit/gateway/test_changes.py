"""The gateway's sources, limits and address change while connections are open and requests are in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from runtime.errors import ConfigError
from runtime.gateway import listening
from runtime.gateway.inlet import GatewaySource
from runtime.gateway.settings import GatewaySettings, SourceLimits
from tests.unit.gateway.conftest import ById, HeldIntake, Open, Start

pytestmark = pytest.mark.anyio
ONCE = SourceLimits(burst=1, rate_per_second=0.001)


def source(limits: SourceLimits = ONCE) -> GatewaySource:
    return GatewaySource(source=Open(), intake=HeldIntake(), translator=ById(), limits=limits)


async def test_an_unchanged_source_keeps_its_bucket_and_a_changed_one_gets_a_new_one(start: Start) -> None:
    site = await start()
    kept = source()
    site.gateway.serve_sources({"kept": kept, "changed": source()})
    assert [(await site.post(f"/in/{name}"))[0] for name in ("kept", "changed")] == [202, 202]
    site.gateway.serve_sources({"kept": kept, "changed": source()}, GatewaySettings(burst=7))
    assert [(await site.post(f"/in/{name}"))[0] for name in ("kept", "changed")] == [429, 202]


async def test_a_request_in_hand_finishes_with_the_source_that_took_it(start: Start) -> None:
    site = await start()
    site.intake.gate = anyio.Event()
    answers: list[int] = []

    async def post() -> None:
        answers.append((await site.post("/in/open"))[0])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(post)
        await site.intake.entered.wait()
        site.gateway.serve_sources({})
        assert (await site.post("/in/open"))[0] == 404
        site.intake.gate.set()
    assert answers == [202]


async def test_a_smaller_limit_on_heads_holds_for_connections_from_now_on(start: Start) -> None:
    site = await start()
    site.gateway.serve_sources({"open": source()}, GatewaySettings(headers_max=8))
    request = b"POST /in/open HTTP/1.1\r\nHost: h\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(20)) + b"\r\n"
    assert b" 431 " in await site.raw(request)


async def test_a_move_closes_each_open_connection_behind_its_next_answer(start: Start) -> None:
    site = await start()
    reader, writer = await asyncio.open_connection(site.host, site.port)
    ask = b"GET /live HTTP/1.1\r\nHost: h\r\n\r\n"
    writer.write(ask)
    assert b"Connection: close" not in await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"}")
    wanted = GatewaySettings(listen="127.0.0.2:0")
    await site.gateway.move_to(await site.gateway.prepare_move(wanted), wanted, None)
    (address,) = site.gateway.addresses
    assert address != f"{site.host}:{site.port}"
    writer.write(ask)
    assert b"Connection: close" in await reader.readuntil(b"\r\n\r\n")
    assert (await reader.read()).endswith(b"}"), "the gateway does not close it"
    writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection(site.host, site.port)
    site.url = f"http://{address}"
    assert (await site.get("/live"))[0] == 200


async def test_an_address_that_cannot_be_had_leaves_the_present_one_open(
    start: Start, signature: Callable[[bytes], Any]
) -> None:
    site, other = await start(), await start()
    with pytest.raises(ConfigError, match="taken by another process"):
        await site.gateway.prepare_move(GatewaySettings(listen=f"127.0.0.1:{other.port}"))
    assert site.gateway.addresses == [f"{site.host}:{site.port}"]
    assert (await site.post("/in/wms", b"{}", x_signature=signature(b"{}")))[0] == 202


@pytest.mark.parametrize(("old", "new"), [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")])
async def test_between_one_address_and_every_address_on_a_port_there_is_no_gap(
    start: Start, old: str, new: str
) -> None:
    site = await start(listen=f"{old}:0")
    wanted = GatewaySettings(listen=f"{new}:{site.port}")
    sockets = await site.gateway.prepare_move(wanted)
    with pytest.raises(OSError):  # to others the port is taken, also now
        await asyncio.start_server(lambda *_: None, old, site.port)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET /live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    if old == "127.0.0.1":  # the narrower address gets the connection: here it is the one that is served already
        assert b" 200 " in await reader.read()
        await site.gateway.move_to(sockets, wanted, None)
    else:
        await site.gateway.move_to(sockets, wanted, None)
        assert b" 200 " in await reader.read()
    writer.close()
    assert site.gateway.addresses == [f"{new}:{site.port}"]
    site.url = f"http://127.0.0.1:{site.port}"
    assert (await site.get("/live"))[0] == 200
    with pytest.raises(OSError):
        await asyncio.start_server(lambda *_: None, new, site.port)


async def test_a_move_that_is_given_up_closes_what_it_has_opened_and_nothing_else(start: Start) -> None:
    site = await start()
    for listen in (f"0.0.0.0:{site.port}", GatewaySettings().listen, "127.0.0.2:0"):
        sockets = await site.gateway.prepare_move(GatewaySettings(listen=listen))
        listening.close(sockets)
    assert (await site.get("/live"))[0] == 200


async def test_who_comes_to_the_new_address_before_the_move_waits_for_it(start: Start) -> None:
    site = await start()
    wanted = GatewaySettings(listen="127.0.0.2:0")
    sockets = await site.gateway.prepare_move(wanted)
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    writer.write(b"GET /live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert (await site.get("/live"))[0] == 200
    await site.gateway.move_to(sockets, wanted, None)
    assert b" 200 " in await reader.read()
    writer.close()
