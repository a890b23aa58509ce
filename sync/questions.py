"""Hears headquarters' questions on subjects of their own and answers each on the reply subject that came with it.

Request and reply in the sense of NATS services (ADR-32): fixed names, read-only, a few at a time, nothing is queued for long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from sync import fleet_names as names
from sync.channel import Channel

WAITING_MAX = 8
"""Questions that wait for their turn; further ones are not answered, and whoever asks hears nothing."""
PATTERN = "*"


class Questions:
    """Over one channel."""

    def __init__(self, channel: Channel, region: str, answer: Callable[[str], Awaitable[bytes]]) -> None:
        self._channel, self._region, self._answer = channel, region, answer
        self._into, self._asked = anyio.create_memory_object_stream[tuple[str, str]](WAITING_MAX)

    async def run(self) -> None:
        """Until cancelled."""
        stop = await self._channel.listen_for_requests(names.probe(self._region, PATTERN), self._hear)
        try:
            async for name, reply in self._asked:
                answer = await self._answer(name)
                if len(answer) > self._channel.bytes_max:
                    answer = b'{"error":"the answer is larger than the hub takes"}'
                await self._channel.write(b"PUB %b %d\r\n%b\r\n" % (reply.encode(), len(answer), answer))
        finally:
            if not self._channel.lost.is_set():
                stop()

    def _hear(self, subject: bytes, reply: bytes) -> None:
        if reply:
            try:
                self._into.send_nowait((subject.decode().rpartition(".")[2], reply.decode()))
            except anyio.WouldBlock:
                return
