"""Acceptance: when `accept` returns, the bytes are committed and flushed (promise 1).

Callers that wait for the same commit are gathered into one change, so that a flush and a look at each table serve all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock

from runtime import clock
from runtime.envelope import Message, Receipt
from runtime.errors import Refused, StorageFull
from runtime.journal import cursors, intake
from runtime.journal.intake import Accepted, Call
from runtime.journal.journal import Journal
from runtime.journal.store import Connection
from runtime.policy.fair import FairQueue
from runtime.signal import Signal

ROWS_MAX = 1_000
"""Facts gathered into one change, give or take the last call: bounds how long a change holds the connection."""
SATURATED = 0.7
CALLERS_MANY = 8
FACTS_MANY = 200
"""So many callers, or facts, in one commit: more than a calm journal ever has."""
CALM_SECONDS = 0.1
"""Without a commit for so long the senders have paused, however busy they were."""
PRESSURE_WEIGHT = 0.1
"""Weight of one commit in the moving average of how often one was for many."""

Waiting = tuple[Call, "asyncio.Future[list[Accepted]]"]


class Acceptance:
    """The intake step of one journal; `arrived` wakes translation."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: FairQueue[Waiting] = FairQueue()
        """By source: one that bursts waits for itself, and no other waits for it."""
        self._turns = Lock()
        """Callers arrive on the loop while the journal's thread gathers those who came before."""
        self._scheduled = False
        self.arrived = Signal()
        self._pressure = 0.0
        self._committed_at = 0.0

    @property
    def saturated(self) -> bool:
        """Whether, just now, nearly every commit was for many."""
        return self._pressure > SATURATED and clock.monotonic() - self._committed_at < CALM_SECONDS

    async def accept(self, call: Call) -> list[Accepted]:
        """Return once the call's messages are committed. Raises `Refused`, `StorageFull`, `StorageFailed`."""
        future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        with self._turns:
            self._waiting.add(call.source, (call, future), max(1, len(call.batch)))
        if not self._scheduled:
            self._schedule()
        return await future

    def _schedule(self) -> None:
        self._scheduled = True
        taken: list[Waiting] = []
        committed = self._journal.writer.submit(partial(self._change, taken))
        # A callback, not an await: a caller that is cancelled must not leave the others without an answer.
        committed.add_done_callback(partial(self._settle, taken))

    def _change(self, taken: list[Waiting], connection: Connection) -> list[list[Accepted] | Refused]:
        """Runs on the journal's thread, perhaps twice: then with the same calls."""
        if not taken:
            self._scheduled = False  # before looking: who comes from now on schedules the next change
            with self._turns:
                taken += self._waiting.take(ROWS_MAX)
        return intake.accept(connection, self._journal.names, self._journal.keys, [call for call, _ in taken])

    def _settle(self, taken: list[Waiting], committed: asyncio.Future[list[list[Accepted] | Refused]]) -> None:
        error = committed.exception()
        if error is not None:
            self._scheduled = False
        outcomes = [error] * len(taken) if error is not None else committed.result()
        for (_, future), outcome in zip(taken, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        if error is not None and not taken:
            self._fail(error)
        busy = len(taken) >= CALLERS_MANY or sum(len(call.batch) for call, _ in taken) >= FACTS_MANY
        self._committed_at = clock.monotonic()
        self._pressure += (busy - self._pressure) * PRESSURE_WEIGHT
        if self._waiting and not self._scheduled:
            self._schedule()
        self.arrived.notify()

    def _fail(self, error: BaseException) -> None:
        """The change never ran: everybody who waits hears why."""
        for _, future in self._waiting.drain():
            if not future.done():
                future.set_exception(error)


class SourceIntake:
    """The `Intake` port of one source."""

    def __init__(
        self,
        acceptance: Acceptance,
        journal: Journal,
        source: str,
        *,
        room: Callable[[], bool] = lambda: True,
        full: Callable[[], None] = lambda: None,
        turn_away: Callable[[str], None] = lambda source: None,
        count: Callable[[str, int, int], None] = lambda source, facts, body_bytes: None,
    ) -> None:
        """`room()`: whether the budget allows more; `full()` is called when the disk says that it does not.

        `turn_away(source)` raises `Retryable` while the source shall wait.
        """
        self._acceptance = acceptance
        self._journal = journal
        self._source = source
        self._room = room
        self._full = full
        self._turn_away = turn_away
        self._count = count

    async def accept(self, messages: Sequence[Message], *, cursor: str | None = None) -> list[Receipt]:
        """See `runtime.ports.Intake`."""
        self._turn_away(self._source)
        if not self._room():
            raise StorageFull(
                f"source {self._source}: the journal's disk budget is used up",
                hint="reconnect the hub or raise [journal] disk_bytes_max; everything accepted so far is safe",
                after_seconds=30,
            )
        batch = [intake.prepare(self._source, message) for message in messages]
        if cursor is not None:
            cursor.encode()  # one that cannot be stored fails its own call, not everybody's commit
        try:
            accepted = await self._acceptance.accept(
                Call(self._source, self._journal.epoch, clock.now_us(), batch, cursor)
            )
        except StorageFull:
            self._full()
            raise
        fresh = body_bytes = 0
        for message, item in zip(messages, accepted, strict=True):
            if not item.duplicate:
                fresh += 1
                body_bytes += len(message.body)
        self._count(self._source, fresh, body_bytes)
        return [self._receipt(item) for item in accepted]

    async def cursor(self) -> str | None:
        """See `runtime.ports.Intake`."""
        names = self._journal.names
        return await self._journal.read(lambda connection: cursors.get(connection, names, self._source))

    def _receipt(self, item: Accepted) -> Receipt:
        return Receipt(
            region=self._journal.region,
            epoch=item.epoch,
            intake_seq=item.seq,
            sha256=item.digest.hex(),
            committed_at=clock.rfc3339(item.committed_us),
            duplicate=item.duplicate,
        )
