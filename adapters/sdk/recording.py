"""A stand-in for the journal that remembers everything and fails on command. For the tests of adapters.

Keeps the kernel's promises: all or none, same key same receipt, same key with another body is `Refused`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal

import anyio

from runtime.envelope import Message, Receipt
from runtime.errors import Refused, StorageFull

Fault = Literal["crash before", "crash after", "hang before", "hang after", "full"]


class Crash(BaseException):
    """The process died here. Not an `Exception`, so no adapter can survive it by accident."""


class RecordingIntake:
    """An `Intake` in memory. `fault` strikes at the `fault_at`-th call (1-based), once."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        """What was stored, each fact once, in order of acceptance."""
        self.calls = 0
        self.fault: Fault | None = None
        self.fault_at = 0
        self.hanging = anyio.Event()
        self._by_key: dict[str, Receipt] = {}
        self._cursor: str | None = None
        self._awaited = 0
        self._reached = anyio.Event()

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.messages]

    async def accept(self, messages: Sequence[Message], *, cursor: str | None = None) -> list[Receipt]:
        """As `runtime.ports.Intake.accept`."""
        self.calls += 1
        fault = self.fault if self.calls == self.fault_at else None
        await self._strike(fault, "before")
        if fault == "full":
            raise StorageFull("The disk is full.", after_seconds=0.001)
        receipts = self._store(messages)
        self._cursor = self._cursor if cursor is None else cursor
        await self._strike(fault, "after")
        if len(self.messages) >= self._awaited:
            self._reached.set()
        return receipts

    async def cursor(self) -> str | None:
        """As `runtime.ports.Intake.cursor`."""
        return self._cursor

    async def stored(self, count: int) -> None:
        """Return once `count` facts are stored and the call that stored them was let through."""
        self._awaited = count
        self._reached = anyio.Event()
        if len(self.messages) < count:
            await self._reached.wait()

    async def _strike(self, fault: Fault | None, when: str) -> None:
        if fault == f"crash {when}":
            raise Crash
        if fault == f"hang {when}":
            self.hanging.set()
            await anyio.sleep_forever()

    def _store(self, messages: Sequence[Message]) -> list[Receipt]:
        for message in messages:
            known = self._by_key.get(message.key) if message.key is not None else None
            if known is not None and known.sha256 != sha256(message.body).hexdigest():
                raise Refused(f"The key {message.key} was used for another message.")
        return [self._store_one(message) for message in messages]

    def _store_one(self, message: Message) -> Receipt:
        known = self._by_key.get(message.key) if message.key is not None else None
        if known is not None:
            return Receipt(
                region=known.region,
                epoch=known.epoch,
                intake_seq=known.intake_seq,
                sha256=known.sha256,
                committed_at=known.committed_at,
                duplicate=True,
            )
        self.messages.append(message)
        receipt = Receipt(
            region="test",
            epoch=1,
            intake_seq=len(self.messages),
            sha256=sha256(message.body).hexdigest(),
            committed_at="2026-01-01T00:00:00.000000+00:00",
        )
        if message.key is not None:
            self._by_key[message.key] = receipt
        return receipt
