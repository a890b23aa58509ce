"""Answers as finished bytes: one write for head and body, nothing else on the hot path.

aiohttp asks an answer for `prepare`, `write_eof` and `keep_alive`; its own Response spends more time on
headers than the rest of an intake request costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from runtime.gateway.problems import Rejection

JSON = "application/json"
PROBLEM = "application/problem+json"
METRICS = "text/plain; version=0.0.4; charset=utf-8"

_FIXED = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
"""Answers are for one sender, and are what they say."""
_HEADS = {
    (status.value, kind): f"HTTP/1.1 {status.value} {status.phrase}\r\n{_FIXED}Content-Type: {kind}\r\nContent-Length: "
    for status in HTTPStatus
    for kind in (JSON, PROBLEM, METRICS)
}
_encode = msgspec.json.Encoder().encode


class Answer(web.StreamResponse):
    """A status and a body, rendered once. Deliberately skips the constructor of its parent: none of that is used."""

    def __init__(self, status: int, body: bytes, kind: str = JSON, headers: str = "", *, close: bool = False) -> None:
        self._status = status
        self._bytes = body
        self._head = f"{_HEADS[status, kind]}{len(body)}\r\n{headers}"
        self._keep_alive = False if close else None

    def add(self, fields: Mapping[str, str]) -> None:
        """More headers."""
        self._head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    def render(self, *, keep_alive: bool, old_client: bool = False, head_only: bool = False) -> bytes:
        """The whole answer. `old_client` speaks HTTP/1.0, where staying open must be said."""
        connection = "Connection: close\r\n" if not keep_alive else "Connection: keep-alive\r\n" if old_client else ""
        # The Date that RFC 9110 asks for; aiohttp formats it once a second, and no decision hangs on it.
        head = f"{self._head}{connection}Date: {rfc822_formatted_time()}\r\n\r\n".encode("latin-1")
        return head if head_only else head + self._bytes

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write everything. Called by aiohttp once the handler has returned."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the sender has gone")
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        transport.write(
            self.render(
                keep_alive=self._keep_alive,
                old_client=request.version < (1, 1),
                head_only=request.method == "HEAD",
            )
        )
        protocol = request.protocol
        if protocol.writing_paused:
            # A sender that asks and never reads must not fill our memory with answers.
            await protocol._drain_helper()  # noqa: SLF001

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


def accepted(receipt: msgspec.Struct, headers: str = "", status: int = 202) -> Answer:
    """Committed and flushed: 202, or what the platform insists on."""
    return Answer(status, _encode(receipt), JSON, headers)


def told(said: object, headers: str = "") -> Answer:
    """200 with what was asked for."""
    return Answer(200, _encode(said), JSON, headers)


def rejected(rejection: Rejection, correlation_id: str) -> Answer:
    """The problem document of a rejection."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in rejection.headers.items())
    body = _encode(rejection.problem(correlation_id))
    return Answer(rejection.status, body, PROBLEM, headers, close=rejection.close)
