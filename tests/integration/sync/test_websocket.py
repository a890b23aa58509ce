"""The hub over WebSocket: who answers there must prove itself, and whatever else answers is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from sync.access import Access
from sync.channel import HubAway
from sync.connection import Connection, connect
from sync.settings import HubSettings
from tests.support.authority import Authority
from tests.support.hubs import scope
from tests.support.nats import NatsServer, free_port

pytestmark = pytest.mark.anyio


def listener(port: int, pair: tuple[Path, Path] | None) -> str:
    secured = "no_tls: true" if pair is None else f'tls {{ cert_file: "{pair[0]}", key_file: "{pair[1]}" }}'
    return f'websocket {{ host: "127.0.0.1", port: {port}, {secured} }}\n'


async def enter(url: str, ca: Path | None = None) -> Connection:
    settings = HubSettings(servers=[url], tls_ca=str(ca or ""))
    return await connect(url, Access(settings, scope()), name="t", seconds_max=5, on_error=lambda _: None)


async def test_it_is_encrypted_and_shows_the_certificate(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path / "pki"), free_port()
    async with NatsServer(tmp_path, extra=listener(port, authority.issue("hub"))):
        connection = await enter(f"wss://127.0.0.1:{port}", authority.ca)
        try:
            await connection.settle()
            assert (await connection.ask("INFO"))["type"].endswith("account_info_response")
            assert connection.certificate()["notAfter"]
            assert connection.server == f"wss://127.0.0.1:{port}"
        finally:
            connection.close()


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "local issuer"), ("hub.example", "mismatch")])
async def test_a_hub_that_cannot_prove_itself_is_refused_with_the_reason(tmp_path: Path, host: str, told: str) -> None:
    authority, port = Authority(tmp_path / "pki"), free_port()
    trusted = Authority(tmp_path / "pki", "another").ca if told == "local issuer" else authority.ca
    async with NatsServer(tmp_path, extra=listener(port, authority.issue("hub", host=host))):
        with pytest.raises(HubAway, match=told) as refused:
            await enter(f"wss://127.0.0.1:{port}", trusted)
        assert "tls_ca" in refused.value.hint or "host name" in refused.value.hint


async def test_a_login_does_not_go_over_a_websocket_in_plain_text_where_tls_is_asked_for(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path / "pki"), free_port()
    async with NatsServer(tmp_path, extra=listener(port, None)):
        (await enter(f"ws://127.0.0.1:{port}")).close()
        with pytest.raises(HubAway, match="does not offer TLS"):
            await enter(f"ws://127.0.0.1:{port}", authority.ca)


async def test_a_proxy_or_a_web_server_in_the_place_of_the_hub_is_named(tmp_path: Path) -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        with pytest.raises(HubAway, match="answered 404 instead of opening a WebSocket"):
            await enter(f"ws://127.0.0.1:{port}")
    finally:
        await runner.cleanup()
