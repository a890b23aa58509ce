"""Many agents' connections to one hub in one process: real links with a lane each, nothing to send.

`python -m bench.fleet_links PORT COUNT` writes, whenever it changes, how many of them the hub has taken.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import anyio

from runtime import record
from runtime.envelope import Sealed
from runtime.ports import Fence, LaneHead, Scope
from sync import HUB
from sync.settings import HubSettings


class IdleLane:
    """A lane that has never sealed anything; implements `runtime.ports.Lane`."""

    name = "realtime"

    async def head(self) -> LaneHead:
        return LaneHead(epoch=1, sealed=0, sealed_chain=record.GENESIS, acked=0, acked_chain=record.GENESIS, oldest=1)

    async def take(self, after: int, rows_max: int) -> Sequence[Sealed]:
        return []

    async def wait(self, after: int) -> None:
        await anyio.sleep_forever()

    async def chain_at(self, seq: int) -> bytes | None:
        return record.GENESIS if seq == 0 else None

    async def acknowledge(self, through: int) -> None:
        raise AssertionError("nothing was sent")

    async def rewind(self, to: int, reason: str) -> None:
        raise AssertionError("nothing was sent")

    async def fence(self, fence: Fence) -> None:
        raise AssertionError(fence.reason)

    async def unfence(self, kind: str) -> None:
        """Nothing was fenced."""


class NoCheckpoints:
    """Implements `runtime.ports.Checkpoints`."""

    async def pending(self) -> Sequence[tuple[int, bytes]]:
        return []

    async def sent(self, number: int) -> None:
        """Nothing was pending."""

    async def resume(self, after: int) -> None:
        """Nothing was sent."""

    async def wait(self) -> None:
        await anyio.sleep_forever()


class Count:
    """How many links stand; implements `runtime.ports.HubObserver` for all of them."""

    def __init__(self) -> None:
        self._there = 0

    def connected(self, server: str, version: str) -> None:
        self._say(1)

    def disconnected(self, reason: str, hint: str = "") -> None:
        if "was lost" in reason:
            self._say(-1)

    def lane(self, name: str, *, hub_last: int, notes: Sequence[str]) -> None:
        """Nobody asks."""

    def log(self, event: str, **fields: Any) -> None:
        """Nobody reads."""

    def _say(self, change: int) -> None:
        self._there += change
        print(self._there, flush=True)


async def main(port: int, count: int) -> None:
    settings = HubSettings(servers=[f"nats://127.0.0.1:{port}"], manage_streams=True)
    observer = Count()
    async with anyio.create_task_group() as tasks:
        for number in range(count):
            scope = Scope(region=f"r{number:03d}", environment="test", directory=".", secret=lambda name: b"")
            tasks.start_soon(HUB.link(settings, scope).run, [IdleLane()], NoCheckpoints(), observer)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), int(sys.argv[2]), backend_options={"use_uvloop": True})
