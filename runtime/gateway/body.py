"""Reading a request body: bounded in bytes, in time, and in what all senders together may hold."""

from __future__ import annotations

import anyio
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from runtime.gateway import problems

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Room:
    """Bytes of bodies in hand, all sources together."""

    __slots__ = ("bytes_held", "bytes_max")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes_held = 0

    def take(self, count: int) -> None:
        """Raises `Rejection` (503) when there is no room for `count` more bytes."""
        if self.bytes_held + count > self.bytes_max:
            raise problems.overloaded()
        self.bytes_held += count

    def give(self, count: int) -> None:
        self.bytes_held -= count


async def read_body(request: web.BaseRequest, bytes_max: int, room: Room, timeout_seconds: float) -> bytes:
    """The exact body bytes. The caller gives `len(body)` back to `room` when done with them.

    Raises `Rejection`: 400 broken framing, 408 slow, 413 larger than `bytes_max`, 503 no room.
    """
    if request.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        # The parser undoes the chunks alone: what is inside would be kept as if it were the message.
        raise problems.malformed("Of all transfer encodings this listener undoes chunked alone.")
    content = request.content
    try:
        if not content.is_eof():
            return await _read_slowly(request, bytes_max, room, timeout_seconds)
        body = content.read_nowait()
    except (web.RequestPayloadError, HttpProcessingError):
        raise problems.malformed("The body's framing is broken.") from None
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    room.take(len(body))
    return body


async def _read_slowly(request: web.BaseRequest, bytes_max: int, room: Room, timeout_seconds: float) -> bytes:
    """The part of a body that is still under way: refused by its announced length before a byte of it is read."""
    headers = request.headers
    if int(headers.get("Content-Length", "0")) > bytes_max:
        raise _too_large(bytes_max)
    if "Expect" in headers and request.transport is not None:
        request.transport.write(CONTINUE)
    content = request.content
    chunks: list[bytes] = []
    held = 0
    try:
        with anyio.fail_after(timeout_seconds):
            while chunk := await content.readany():
                if held + len(chunk) > bytes_max:
                    raise _too_large(bytes_max)
                room.take(len(chunk))
                held += len(chunk)
                chunks.append(chunk)
    except TimeoutError:
        room.give(held)
        raise problems.too_slow("body", timeout_seconds) from None
    except BaseException:
        room.give(held)
        raise
    return b"".join(chunks)


def _too_large(bytes_max: int) -> problems.Rejection:
    return problems.too_large("The body", f"{bytes_max} bytes", "Split it into several messages.")
