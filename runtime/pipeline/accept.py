"""Acceptance of one source: when `accept` returns, the bytes are committed and flushed (promise 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime import clock
from runtime.envelope import Message, Receipt
from runtime.errors import StorageFull
from runtime.journal import intake
from runtime.journal.journal import Journal
from runtime.signal import Signal


class SourceIntake:
    """The `Intake` port of one source."""

    def __init__(
        self,
        journal: Journal,
        region: str,
        source: str,
        arrived: Signal,
        *,
        room: Callable[[], bool] = lambda: True,
        full: Callable[[], None] = lambda: None,
        count: Callable[[str, int, int], None] = lambda source, facts, body_bytes: None,
    ) -> None:
        """`room()`: whether the budget allows more; `full()` is called when the disk says that it does not."""
        self._journal = journal
        self._region = region
        self._source = source
        self._arrived = arrived
        self._room = room
        self._full = full
        self._count = count

    async def accept(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `runtime.ports.Intake`."""
        if not self._room():
            raise StorageFull(
                f"source {self._source}: the journal's disk budget is used up",
                hint="reconnect the hub or raise [journal] disk_bytes_max; everything accepted so far is safe",
                after_seconds=30,
            )
        received_us = clock.now_us()
        batch = [intake.prepare(self._source, message) for message in messages]
        journal = self._journal
        try:
            accepted = await journal.write(
                lambda connection: intake.accept(
                    connection, journal.names, self._source, journal.epoch, received_us, batch
                )
            )
        except StorageFull:
            self._full()
            raise
        self._arrived.notify()
        fresh = [item.message.body for item, result in zip(batch, accepted, strict=True) if not result.duplicate]
        self._count(self._source, len(fresh), sum(map(len, fresh)))
        return [self._receipt(item) for item in accepted]

    def _receipt(self, item: intake.Accepted) -> Receipt:
        return Receipt(
            region=self._region,
            epoch=item.epoch,
            intake_seq=item.seq,
            sha256=item.digest.hex(),
            committed_at=clock.rfc3339(item.committed_us),
            duplicate=item.duplicate,
        )
