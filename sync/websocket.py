"""NATS over WebSocket for sites whose firewall allows nothing but 443, and the one face of both kinds of socket.

nats-py's own WebSocket transport waits for a dead peer when it closes, and leaves its session open.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol
from urllib.parse import ParseResult

import aiohttp
from nats.aio.transport import WebSocketTransport


class Socket(Protocol):
    """What a connection needs of its socket."""

    def write(self, frames: bytes, /) -> None: ...

    async def drain(self) -> None:
        """Raises `OSError`, `RuntimeError` when the peer is gone."""
        ...

    def abort(self) -> None: ...

    def encryption(self) -> Any:
        """The `ssl.SSLObject`; None for plain text."""
        ...


class WebSocket(WebSocketTransport):
    """nats-py's transport, closed at once."""

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Plain text."""
        await self._open(uri, ssl=True)
        self._using_tls = False

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: Any, buffer_size: int, connect_timeout: int
    ) -> None:
        """Also called after the server's greeting, when there is nothing left to do."""
        if self._ws is None and not isinstance(uri, str):
            await self._open(uri, ssl=ssl_context)
            self._using_tls = True

    async def _open(self, uri: ParseResult, ssl: Any) -> None:
        try:
            self._ws = await self._client.ws_connect(uri.geturl(), ssl=ssl, max_msg_size=0)
        except aiohttp.ClientConnectorCertificateError as error:
            raise OSError(str(error.certificate_error)) from error
        except aiohttp.WSServerHandshakeError as error:
            raise OSError(f"it answered {error.status} instead of opening a WebSocket") from error
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error

    def at_eof(self) -> bool:
        """Whether nothing more will come."""
        return self._ws is None or bool(self._ws.closed)

    async def drain(self) -> None:
        """Send what waits, each write in one message. Raises `OSError`."""
        if self._ws is None:
            raise ConnectionResetError("the WebSocket is closed")
        while not self._pending.empty():
            await self._ws.send_bytes(self._pending.get_nowait())

    def abort(self) -> None:
        """Now, without a farewell that a dead peer would never answer."""
        session, self._ws = self._client, None
        connector = session.connector
        session.detach()
        if connector is not None:
            _ = connector.close(abort_ssl=True)  # what there is to do, it does before it returns

    def close(self) -> None:
        """As `abort`."""
        self.abort()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def encryption(self) -> Any:
        """See `Socket`."""
        return None if self._ws is None else self._ws.get_extra_info("ssl_object")


class PlainSocket:
    """The stream of nats-py's TCP transport."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.write = writer.write
        self.drain = writer.drain

    def abort(self) -> None:
        """See `Socket`."""
        self._writer.transport.abort()

    def encryption(self) -> Any:
        """See `Socket`."""
        return self._writer.get_extra_info("ssl_object")
