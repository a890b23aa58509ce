"""A target in memory, and the adapter that makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio.lowlevel
from msgspec import Struct

from runtime.ports import Delivered, Delivery, Target, TargetContext


class ProbeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of `adapter = "probe"`."""

    url: str


class ProbeAdapter:
    """Behind the entry point."""

    name = "probe"
    settings = ProbeSettings

    def target(self, settings: Any, context: TargetContext) -> Target:
        return MemoryTarget()

    def check(self, settings: Any, *, loopback: bool) -> Sequence[str]:
        return []


TARGET = ProbeAdapter()


class MemoryTarget:
    """Says what `answer` says; keeps every attempt. A hanging attempt waits for `go`."""

    idempotent = True

    def __init__(self, answer: Callable[[Delivery], Delivered | Exception] | None = None) -> None:
        self.answer = answer or (lambda delivery: Delivered(reference=f"ok {delivery.id}"))
        self.attempts: list[Delivery] = []
        self.taken: list[str] = []
        self.unwanted: set[str] = set()
        self.changed = anyio.Event()
        self.closed = False

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        return attributes.get("subject", "") not in self.unwanted

    async def deliver(self, delivery: Delivery) -> Delivered:
        await anyio.lowlevel.checkpoint()
        self.attempts.append(delivery)
        said = self.answer(delivery)
        if isinstance(said, Exception):
            self._tell()
            raise said
        self.taken.append(delivery.id)
        self._tell()
        return said

    def _tell(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the attempts so far make this true."""
        while not condition():
            await self.changed.wait()

    async def close(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed = True
