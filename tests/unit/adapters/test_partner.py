"""What comes back from a partner is text that can be kept, whatever bytes it sent."""

from __future__ import annotations

import anyio
import msgspec
import pytest
from anyio.abc import SocketStream

from adapters.sdk.answers import Answer
from adapters.sdk.partner import Partner
from adapters.sdk.pin import pin

pytestmark = pytest.mark.anyio

ANSWER = b'HTTP/1.1 200 OK\r\nETag: "caf\xe9"\r\nLink: </\xe9>; rel=next\r\nContent-Length: 2\r\n\r\n{}'


async def asked(answer: bytes) -> Answer:
    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/"
        async with Partner(pin(url, ["loopback"]), seconds_max=30, bytes_max=100) as partner:
            found = await partner.ask(url, {})
        tasks.cancel_scope.cancel()
    return found


async def test_headers_that_are_no_utf8_are_mended_and_end_nothing() -> None:
    found = await asked(ANSWER)
    said = [found.headers["etag"], *found.links, found.following]
    assert msgspec.json.decode(msgspec.json.encode(said)) == said
    assert found.headers["etag"] == '"caf\N{REPLACEMENT CHARACTER}"'
    assert found.body == b"{}"
