"""NATS over WebSocket for sites whose firewall allows nothing but 443, and the one face of both kinds of socket.

nats-py's own WebSocket transport waits for a dead peer when it closes, and leaves its session open.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol
from urllib.parse import ParseResult

import aiohttp
from nats.aio.transport import Transport


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


class WebSocket(Transport):
    """One WebSocket, for nats-py's client. Its session and connection end with it, at once."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._waiting: deque[bytes] = deque()

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Plain text."""
        await self._open(uri, ssl=True)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: Any, buffer_size: int, connect_timeout: int
    ) -> None:
        """Also called after the server's greeting, when there is nothing left to do."""
        if self._ws is None and not isinstance(uri, str):
            await self._open(uri, ssl=ssl_context)

    async def _open(self, uri: ParseResult, ssl: Any) -> None:
        try:
            self._ws = await self._session.ws_connect(uri.geturl(), ssl=ssl, max_msg_size=0)
        except aiohttp.ClientConnectorCertificateError as error:
            raise OSError(str(error.certificate_error)) from error
        except aiohttp.WSServerHandshakeError as error:
            raise OSError(f"it answered {error.status} instead of opening a WebSocket") from error
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error

    def write(self, payload: bytes) -> None:
        """Sent by `drain`, in one message."""
        self._waiting.append(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """See `write`."""
        self._waiting.extend(payload)

    async def drain(self) -> None:
        """Send what waits. Raises `OSError`."""
        while self._waiting:
            if self._ws is None:
                raise ConnectionResetError("the WebSocket is closed")
            await self._ws.send_bytes(self._waiting.popleft())

    async def read(self, buffer_size: int) -> bytes:
        """One message; empty at the end. Raises `OSError`."""
        return await self.readline()

    async def readline(self) -> bytes:
        """See `read`."""
        if self._ws is None:
            return b""
        message = await self._ws.receive()
        if message.type is aiohttp.WSMsgType.ERROR:
            raise ConnectionError("the WebSocket broke") from message.data
        return bytes(message.data) if message.type is aiohttp.WSMsgType.BINARY else b""

    def at_eof(self) -> bool:
        """Whether nothing more will come."""
        return self._ws is None or bool(self._ws.closed)

    def abort(self) -> None:
        """Now, without a farewell that a dead peer would never answer."""
        ws, self._ws = self._ws, None
        self._waiting.clear()
        connection = None if ws is None else ws._response.connection  # noqa: SLF001 - aiohttp itself only closes politely
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._session.detach()

    def close(self) -> None:
        """As `abort`."""
        self.abort()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def encryption(self) -> Any:
        """See `Socket`."""
        return None if self._ws is None else self._ws.get_extra_info("ssl_object")

    def __bool__(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride] - nats-py says None and means bool
        return True


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
