"""The agent's connection for the fleet outlives whatever breaks on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from runtime.ports import Scope
from sync.channel import Handler, HubAway, RequestHandler
from sync.fleet import NatsPost
from sync.settings import HubSettings

pytestmark = pytest.mark.anyio


class Asking:
    """A channel over which headquarters asks once, and breaks when the answer is written."""

    version = (2, 12, 0)
    bytes_max = 1_024

    def __init__(self) -> None:
        self.lost = anyio.Event()

    async def listen(self, subject: str, handler: Handler) -> Callable[[], None]:
        return lambda: None

    async def listen_for_requests(self, subject: str, handler: RequestHandler) -> Callable[[], None]:
        handler(b"fleet.eu-de.probe.status", b"_INBOX.hq.1", b"")
        return lambda: None

    async def write(self, frames: bytes) -> None:
        raise HubAway("the connection to the hub was lost")


async def test_a_connection_that_breaks_under_an_answer_is_replaced_by_the_next_one() -> None:
    opened: list[Asking] = []
    twice = anyio.Event()

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        opened.append(Asking())
        if len(opened) == 2:
            twice.set()
        yield opened[-1]

    async def answer(name: str, question: bytes) -> bytes:
        return name.encode() + question

    settings = HubSettings(servers=["nats://127.0.0.1:1"], reconnect_seconds_min=0.05, reconnect_seconds_max=0.05)
    post = NatsPost(settings, Scope(region="eu-de", environment="test", directory="", secret=lambda name: b""))
    post._link.opened = opening  # type: ignore[method-assign]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(post.run, lambda: None, answer)
        with anyio.fail_after(30):
            await twice.wait()
        tasks.cancel_scope.cancel()
