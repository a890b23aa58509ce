"""The agent's question to its own listener tells an answer from anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream

from runtime.fleet.probe import listener_trouble
from tests.support.nats import free_port

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[str]:
    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            if answer:
                await stream.send(answer)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"0.0.0.0:{port}"
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers 503"),
        (b"hello", "answers nothing"),
        (b"", "does not answer"),
    ],
)
async def test_only_an_answer_that_all_is_well_counts(answer: bytes, told: str) -> None:
    async with listening(answer) as address:
        found = await listener_trouble(address, encrypted=False)
    assert told in found if told else found == ""


async def test_with_tls_a_connection_is_all_that_is_tried() -> None:
    async with listening(b"") as address:
        assert await listener_trouble(address, encrypted=True) == ""


async def test_an_address_where_nobody_listens_is_named() -> None:
    address = f"127.0.0.1:{free_port()}"
    assert await listener_trouble(address, encrypted=False) == f"the listener at {address} does not answer (OSError)"
