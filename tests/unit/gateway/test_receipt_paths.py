"""The key in a receipt's path arrives as the sender wrote it, and no path can break the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Struct

from runtime.gateway.inlet import GatewaySource
from runtime.gateway.server import Gateway
from runtime.gateway.settings import GatewaySettings
from tests.unit.gateway.conftest import HeldIntake, Open, Site

pytestmark = pytest.mark.anyio


class Said(Struct):
    key: str


@pytest.fixture
async def site(anyio_backend: Any) -> AsyncIterator[Site]:
    async def fate(key: str, _caller: str | None) -> Said | None:
        key.encode()  # what the journal does first
        return Said(key) if key != "unknown" else None

    intake = HeldIntake()
    gateway = Gateway(
        GatewaySettings(listen="127.0.0.1:0"), {"wms": GatewaySource(source=Open(), intake=intake, fate=fate)}
    )
    nothing: Any = None
    try:
        yield Site(gateway, (await gateway.start())[0], nothing, intake)
    finally:
        await gateway.stop(seconds_max=2)


async def ask(site: Site, path: bytes) -> tuple[int, bytes]:
    answer = await site.raw(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


@pytest.mark.parametrize(
    ("path", "key"),
    [(b"a", b"a"), (b"a%2Fb", b"a/b"), (b"a/b/c", b"a/b/c"), (b"a%20%23%3F", b"a #?"), (b"a?x=y", b"a"), (b"a%252F", b"a%2F"),
     (b"%C3%A9", "é".encode()), (b"%", b"%"), (b"k#3", b"k#3"), (b"", b"")],
)  # fmt: skip
async def test_a_key_is_decoded_once(site: Site, path: bytes, key: bytes) -> None:
    status, body = await ask(site, b"/receipts/wms/" + path)
    assert (status, body) == (200, b'{"key":"' + key + b'"}') if key else status in (200, 404)


@pytest.mark.parametrize("path", [b"\xff", b"\xc3\xa9", b"%FF", b"%00", b"%ED%A0%80", b"unknown"])
async def test_no_path_breaks_anything(site: Site, path: bytes) -> None:
    status, _ = await ask(site, b"/receipts/wms/" + path)
    assert status in (200, 400, 404)
