"""One connection: what a sender may do before there is a request, and answers for what is not one.

Owns the limits on heads and on the number of connections. A rejected sender always gets a problem document.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.streams import StreamReader

from runtime.gateway import problems
from runtime.gateway.answers import rejected
from runtime.gateway.problems import Rejection
from runtime.gateway.settings import GatewaySettings
from runtime.gateway.tls import client_certificate
from runtime.ports import Certificate

LINGER_SECONDS = 2.0
"""How long an unread body is thrown away after an early answer: closing at once would lose the answer to a reset."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Log = Callable[..., None]


def new_correlation_id() -> str:
    """32 hex digits, the same shape as a W3C trace id."""
    return os.urandom(16).hex()


class Listener(web.Server):
    """Makes connections and counts them."""

    def __init__(self, handler: Handler, settings: GatewaySettings, log: Log) -> None:
        super().__init__(
            handler,
            access_log=None,
            auto_decompress=False,
            lingering_time=LINGER_SECONDS,
            **_limits(settings),
        )
        self.settings = settings
        self.log = log
        self._open = 0
        self.deserted = asyncio.Event()
        """Set while no connection is open."""
        self.deserted.set()

    def use(self, settings: GatewaySettings) -> None:
        """Limits for connections from now on; those that are open keep what their parser was made with."""
        self.settings = settings
        self._kwargs |= _limits(settings)

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)

    def joined(self) -> None:
        self._open += 1
        self.deserted.clear()

    def left(self) -> None:
        self._open -= 1
        if not self._open:
            self.deserted.set()

    @property
    def full(self) -> bool:
        return len(self._connections) > self.settings.connections_max


def _limits(settings: GatewaySettings) -> dict[str, Any]:
    return {
        "keepalive_timeout": settings.keepalive_seconds,
        "max_field_size": settings.header_bytes_max,
        "max_headers": settings.headers_max,
        "max_line_size": settings.header_bytes_max,
    }


class Connection(web.RequestHandler):
    """aiohttp's protocol, plus: too many connections, a slow head, a large head, and problems instead of plain text."""

    __slots__ = ("_ended", "_head_bytes", "_head_timer", "_listener", "_newest", "certificate", "leaving")

    def __init__(self, listener: Listener, *, loop: asyncio.AbstractEventLoop, **limits: Any) -> None:
        super().__init__(listener, loop=loop, **limits)
        self._listener = listener
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._newest: StreamReader | None = None
        """Body of the newest request: while it is under way, bytes belong to it and not to a head."""
        self._ended = False
        """The sender has ended its half: it waits for answers, and asks nothing more."""
        self.leaving = False
        """The next answer is the last one: the sender shall connect anew, to another address."""
        self.certificate: Certificate | None = None
        """What the client has shown at the handshake."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.certificate = client_certificate(transport.get_extra_info("ssl_object"))
        self._listener.joined()
        if self._listener.full:
            self._turn_away(problems.overloaded())

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_done()
        super().connection_lost(exc)
        self._listener.left()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A sender that has said all and ended its half still gets its answer (RFC 9112, 9.6); TLS has no such halves."""
        whole = self._newest is not None and self._newest.is_eof()
        busy = self._waiter is None or bool(self._messages)
        if self.transport is None or self.transport.get_extra_info("ssl_object") is not None or not (whole and busy):
            return False
        self._ended = True
        return True

    @property
    def last_answer(self) -> bool:
        """Whether the answer to the request in hand ends the connection."""
        return self.leaving or (self._ended and not self._messages)

    def data_received(self, data: bytes) -> None:
        in_head = self._newest is None or self._newest.is_eof()
        if in_head and self._head_too_large(data):
            settings = self._listener.settings
            self._turn_away(problems.headers_too_large(settings.header_bytes_max, settings.headers_max))
            return
        seen = self._request_count
        super().data_received(data)
        if self._request_count != seen:
            self._newest = self._messages[-1][1] if self._messages else None
            self._head_done()
        elif in_head and data:
            self._head_goes_on(len(data))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp could not read, or what broke outside our own handler."""
        settings = self._listener.settings
        if isinstance(exc, LineTooLong) or (message is not None and message.startswith("Too many headers")):
            rejection = problems.headers_too_large(settings.header_bytes_max, settings.headers_max)
        elif isinstance(exc, BadHttpMessage):
            rejection = problems.malformed("The request is not valid HTTP/1.1.")
        else:
            rejection = problems.internal()
        correlation_id = new_correlation_id()
        if not isinstance(exc, ConnectionError):
            self._listener.log(
                "request_rejected",
                status=rejection.status,
                problem=rejection.name,
                error=type(exc).__name__,
                correlation_id=correlation_id,
            )
        return rejected(rejection, correlation_id)

    def _head_too_large(self, data: bytes) -> bool:
        room = self._listener.settings.header_bytes_max - self._head_bytes
        return len(data) > room and data.find(b"\r\n\r\n", 0, room + 4) < 0

    def _head_goes_on(self, count: int) -> None:
        self._head_bytes += count
        if self._head_timer is None:
            seconds = self._listener.settings.head_timeout_seconds
            self._head_timer = self._loop.call_later(seconds, self._head_late)

    def _head_done(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._turn_away(problems.too_slow("headers", self._listener.settings.head_timeout_seconds))

    def _turn_away(self, rejection: Rejection) -> None:
        """Answer without a request, then close."""
        correlation_id = new_correlation_id()
        if self.transport is not None:
            self.transport.write(rejected(rejection, correlation_id).render(keep_alive=False))
        self._listener.log(
            "connection_rejected", status=rejection.status, problem=rejection.name, correlation_id=correlation_id
        )
        self._head_done()
        self.force_close()
