"""Hears headquarters' questions on subjects of their own and answers each on the reply subject that came with it.

Request and reply in the sense of NATS services (ADR-32): fixed names, read-only, one after the other, a few wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from sync import fleet_names as names
from sync.channel import Channel

WAITING_MAX = 8
"""Questions that wait for their turn; further ones are not answered, and whoever asks hears nothing."""
PATTERN = "*"
_TOO_LARGE = b'{"error":"the answer is larger than the hub takes"}'


Answering = Callable[[str, bytes], Awaitable[bytes]]
"""(name, what came with the question) → the answer. Never raises."""


class Questions:
    """Over one channel."""

    def __init__(self, channel: Channel, region: str, answer: Answering) -> None:
        self._channel, self._region, self._answer = channel, region, answer
        self._into, self._asked = anyio.create_memory_object_stream[tuple[str, bytes, str]](WAITING_MAX)

    async def run(self) -> None:
        """Until cancelled."""
        with self._into, self._asked:
            stop = await self._channel.listen_for_requests(names.probe(self._region, PATTERN), self._hear)
            try:
                async for name, question, reply in self._asked:
                    await self._channel.write(_frame(reply, await self._said(name, question)))
            finally:
                if not self._channel.lost.is_set():
                    stop()

    async def _said(self, name: str, question: bytes) -> bytes:
        answer = await self._answer(name, question)
        return answer if len(answer) <= self._channel.bytes_max else _TOO_LARGE

    def _hear(self, subject: bytes, reply: bytes, data: bytes) -> None:
        if reply:
            try:
                self._into.send_nowait((subject.decode().rpartition(".")[2], data, reply.decode()))
            except anyio.WouldBlock:
                return


def _frame(reply: str, answer: bytes) -> bytes:
    return b"PUB %b %d\r\n%b\r\n" % (reply.encode(), len(answer), answer)
