"""Senders that never pause: each on a connection that it keeps, one key each, numbered from 0, with every receipt kept."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import anyio
import orjson
from anyio.abc import TaskGroup

from tests.support.region import Region, fact, until

PAUSE_SECONDS = 0.01
"""Between an answer and the next request: with 8 senders some hundred requests a second, without eating the machine."""


class Load:
    """`async with Load(region):` sends until the block ends. `opened` counts connections, `failures` what was no 202."""

    def __init__(self, region: Region, *, senders: int = 8, source: str = "wms", patient: bool = False) -> None:
        """`patient`: a good partner, who sends the same again when the connection breaks or the answer is no 202."""
        self._region = region
        self._url = f"{region.url}/in/{source}"
        self._senders = senders
        self._patient = patient
        self._stopping = False
        self._tasks: TaskGroup
        self.opened = 0
        self.failures: list[str] = []
        self.sent: dict[str, int] = {}
        """Key → how many of its facts have a receipt."""

    @property
    def count(self) -> int:
        return sum(self.sent.values())

    async def more(self, count: int) -> None:
        """Return once so many more receipts have come."""
        wanted = self.count + count

        async def there() -> bool:
            assert not self.failures, self.failures[:3]
            return self.count >= wanted

        await until(there, f"{count} more receipts; {self._region.log[-800:]}")

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        for number in range(self._senders):
            self._tasks.start_soon(self._send, f"S-{number}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._stopping = True
        return await self._tasks.__aexit__(kind, error, trace)

    async def _send(self, sku: str) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self._count_connection)
        connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=300)
        async with aiohttp.ClientSession(connector=connector, trace_configs=[trace]) as http:
            while not self._stopping:
                number = self.sent.get(sku, 0)
                if await self._one(http, fact(number, sku=sku, id=f"{sku}-{number}")):
                    self.sent[sku] = number + 1
                await anyio.sleep(PAUSE_SECONDS)

    async def _one(self, http: aiohttp.ClientSession, body: bytes) -> bool:
        try:
            async with http.post(self._url, data=body, headers={"content-type": "application/json"}) as answer:
                said = await answer.json(content_type=None)
                if answer.status == 202:
                    self._region.receipts.append(said | {"body": body})
                    return True
                problem = f"{answer.status} {said}"
        except (aiohttp.ClientError, OSError) as error:
            problem = repr(error)
        if not self._patient:
            self.failures.append(problem)
        return False

    async def _count_connection(self, *_: object) -> None:
        self.opened += 1


def by_key(messages: Sequence[Any]) -> dict[str, list[int]]:
    """Key → the numbers of its events at the hub, in the order of the stream."""
    found: dict[str, list[int]] = {}
    for message in messages:
        data = orjson.loads(message.data)
        found.setdefault(data["sku"], []).append(int(data["on_hand"]))
    return found
