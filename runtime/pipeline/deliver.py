"""Brings to one target what it wants: looks at new rows, sends what may go, and notes what the target said.

Which may go is decided by `runtime.policy.dispatch`. The effect is noted after the target answered: after a crash in
between the same id comes again.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.abc import TaskGroup

from runtime import clock, record
from runtime.config.model import TargetSettings
from runtime.errors import ConfigError, EntrepotError, Permanent, Refused, Retryable, StorageFailed
from runtime.journal import deliveries, targets
from runtime.journal.deliveries import DeliveryRow, NewDelivery, OpenRow
from runtime.journal.journal import Journal
from runtime.journal.store import Connection
from runtime.journal.words import storable
from runtime.pipeline.offer import Offer, holds, judge, offered
from runtime.policy.breaker import Breaker
from runtime.policy.dispatch import Dispatch, Rules, Waiting
from runtime.policy.retry import Backoff
from runtime.ports import Delivered, Delivery, Target
from runtime.signal import Signal

OPEN_ROWS_MAX = 10_000
"""Open deliveries of one target; beyond it new rows wait unlooked at: so many successors one failing key may have."""
LOAD_ROWS = 1_000
LOOK_SECONDS = 5.0
"""How often a quiet target looks whether something has expired."""
HOUR_SECONDS = 3_600
ATTEMPTS_TROUBLED = 5
"""A delivery that failed so often is worth an alert."""


class TargetStep:
    """One target at work."""

    def __init__(
        self,
        journal: Journal,
        name: str,
        settings: TargetSettings,
        target: Target,
        *,
        log: Callable[..., None],
        clock_is_right: Callable[[], bool] = lambda: True,
        changed: bool = False,
    ) -> None:
        """`changed`: it replaces one that was configured otherwise, so nothing waits out the pause of an older failure."""
        self.name = name
        self.settings = settings
        self.target = target
        self.said = ""
        """Why the last failed attempt failed."""
        self._journal = journal
        self._log = log
        self._clock_is_right = clock_is_right
        self._changed = changed
        self._id = 0
        self._disabled = False
        self._dispatch = self._empty()
        self._bell = anyio.Event()
        self._leaving = False
        self._flying = 0
        self._landed = Signal()
        self._failure: Exception | None = None

    @property
    def trouble(self) -> str:
        """Why somebody should look at this target; empty when all is well."""
        if self._dispatch.breaker != "closed" or self._dispatch.attempts_worst >= ATTEMPTS_TROUBLED:
            return self.said or "it does not answer"
        return ""

    def ring(self) -> None:
        """There may be something to do."""
        self._bell.set()

    async def run(self) -> None:
        """Deliver until `at_rest`. Raises `StorageFull`, `StorageFailed`."""
        self._failure, self._dispatch = None, self._empty()
        await self._load()
        async with anyio.create_task_group() as sending:
            while not self._leaving and self._failure is None:
                self._bell = anyio.Event()
                more = await self._look()
                await self._expire()
                self._start(sending)
                if not more:
                    with anyio.move_on_after(self._pause()):
                        await self._bell.wait()
        if self._failure is not None:
            raise self._failure

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """Nothing is on its way to the target; it is closed afterwards."""
        self._leaving = True
        self.ring()
        while self._flying:
            await self._landed.wait()
        yield
        await self.target.close()

    # ------------------------------------------------------------ what there is

    def _empty(self) -> Dispatch:
        settings, retry = self.settings, self.settings.retry
        hours = retry.give_up_after_hours
        rules = Rules(
            backoff=Backoff(seconds_min=retry.seconds_min, seconds_max=max(retry.seconds_min, retry.seconds_max)),
            in_flight_max=settings.in_flight_max,
            attempts_max=retry.attempts_max,
            give_up_seconds=None if hours is None else hours * HOUR_SECONDS,
            parks=settings.on_letter == "park",
        )
        return Dispatch(rules, Breaker(settings.breaker_failures_max, settings.breaker_open_seconds))

    async def _load(self) -> None:
        """Everything that the journal holds for this target."""
        row = await self._journal.write(partial(targets.enter, name=self.name, reads=self.settings.reads))
        self._id, self._disabled = row.id, row.disabled is not None
        after = 0
        while page := await self._journal.read(partial(_page, target=self._id, after=after)):
            for each in page:
                self._know(each)
            after = page[-1].number
        self._changed = False

    def _know(self, row: OpenRow) -> None:
        key = row.number if row.key is None else row.key
        if row.state == deliveries.LETTER:
            self._dispatch.hold(row.number, key)
            return
        # A wall clock that jumped must not keep it from going: the pause is bounded by the longest one.
        pause = max(0.0, (row.next_us - clock.now_us()) / 1_000_000)
        left = 0.0 if self._changed else min(pause, self.settings.retry.seconds_max)
        self._dispatch.add(Waiting(row.number, key, row.attempts, clock.monotonic() + left, row.expires_us))

    async def _look(self) -> bool:
        """Look at some new rows; whether there may be more."""
        if len(self._dispatch) >= OPEN_ROWS_MAX:
            return False
        offer = await self._journal.read(partial(offered, name=self.name, region=self._journal.region))
        if offer.through == offer.looked:
            return False
        hours = self.settings.expire_hours
        wanted = judge(offer, self.target.wants, expire_us=None if hours is None else int(hours * HOUR_SECONDS * 1e6))
        for each in await self._journal.write(partial(self._note, offer=offer, wanted=wanted)):
            self._know(each)
        if offer.missing:
            self._log("rows_missing", target=self.name, count=offer.missing)
        return True

    def _note(self, connection: Connection, offer: Offer, wanted: list[NewDelivery]) -> list[OpenRow]:
        if not holds(connection, offer, name=self.name, region=self._journal.region):
            return []
        before = deliveries.last(connection)
        targets.count(connection, offer.reads, offer.counted)
        targets.look(connection, self._id, through=offer.through, not_wanted=offer.through - offer.looked - len(wanted))
        deliveries.add(connection, self._id, wanted)
        return deliveries.opened(connection, self._id, before, len(wanted)) if wanted else []

    async def _expire(self) -> None:
        if not self._clock_is_right():
            return
        now = clock.now_us()
        overdue = self._dispatch.overdue(now)
        if not overdue:
            return
        await self._journal.write(partial(_end, numbers=overdue, now_us=now))
        for number in overdue:
            self._dispatch.finished(number)
        self._log("deliveries_expired", target=self.name, count=len(overdue))

    def _pause(self) -> float:
        seconds = None if self._disabled else self._dispatch.next_seconds(clock.monotonic())
        return LOOK_SECONDS if seconds is None else min(seconds, LOOK_SECONDS)

    # ------------------------------------------------------------ what goes

    def _start(self, sending: TaskGroup) -> None:
        while not self._disabled and (number := self._dispatch.take(clock.monotonic())) is not None:
            self._flying += 1
            sending.start_soon(self._send, number)

    async def _send(self, number: int) -> None:
        try:
            row = await self._journal.read(lambda connection: deliveries.get(connection, number))
            if row.state == deliveries.OPEN:
                await self._settle(row, await self._deliver(row))
            else:
                self._dispatch.finished(number)
        except Exception as error:  # noqa: BLE001 - the journal's; `run` raises it as its own
            self._failure = error
        finally:
            self._flying -= 1
            self._landed.notify()
            self.ring()

    async def _deliver(self, row: DeliveryRow) -> Delivered | EntrepotError:
        """What the target said, whatever it was."""
        attributes = record.attributes(record.parse_header_block(row.headers))
        delivery = Delivery(
            id=row.id,
            type=row.type,
            key=row.key,
            attributes=attributes,
            data=row.data,
            attempt=row.attempts + 1,
            first_us=row.first_us,
        )
        try:
            with anyio.fail_after(self.settings.timeout_seconds):
                return await self.target.deliver(delivery)
        except TimeoutError:
            return Retryable(f"no answer within {self.settings.timeout_seconds:g} s")
        except StorageFailed:
            raise
        except ConfigError as error:  # a secret that is not there: it is no fault of this delivery
            return Retryable(str(error), hint=error.hint)
        except EntrepotError as error:
            return error
        except Exception as error:  # noqa: BLE001 - an adapter's bug must not end the others; its words may be personal
            return Retryable(f"the adapter failed ({type(error).__name__})")

    async def _settle(self, row: DeliveryRow, said: Delivered | EntrepotError) -> None:
        match said:
            case Delivered(reference=reference):
                await self._journal.write(
                    partial(
                        deliveries.finish,
                        number=row.number,
                        state=deliveries.DELIVERED,
                        now_us=clock.now_us(),
                        reference=reference,
                    )
                )
                self._dispatch.answered()
                self._dispatch.finished(row.number)
            case Refused():
                await self._disable(row, said)
            case Permanent():
                self._dispatch.answered()
                await self._reject(row, said)
            case _:
                await self._postpone(row, said)

    async def _disable(self, row: DeliveryRow, said: Refused) -> None:
        self._disabled = True
        self.said = storable(said)
        await self._journal.write(lambda connection: targets.disable(connection, self._id, str(said)))
        self._dispatch.back(row.number)
        self._log("target_disabled", target=self.name, reason=str(said))

    async def _reject(self, row: DeliveryRow, said: EntrepotError) -> None:
        await self._journal.write(
            partial(deliveries.reject, number=row.number, now_us=clock.now_us(), reason=str(said), hint=said.hint)
        )
        self._dispatch.became_letter(row.number)
        self._log("delivery_rejected", target=self.name, number=row.number, reason=str(said))

    async def _postpone(self, row: DeliveryRow, said: EntrepotError) -> None:
        now_us = clock.now_us()
        self.said = storable(said)
        pause = self._dispatch.failed(
            row.number,
            clock.monotonic(),
            random.random(),  # noqa: S311 - spreads, protects nothing
            waited_seconds=(now_us - row.first_us) / 1_000_000,
            after_seconds=getattr(said, "after_seconds", None),
        )
        if pause is None:
            await self._reject(row, said)
            return
        await self._journal.write(
            partial(
                deliveries.postpone,
                number=row.number,
                next_us=now_us + int(pause * 1_000_000),
                now_us=now_us,
                reason=str(said),
                hint=said.hint,
            )
        )
        self._dispatch.back(row.number)
        self._log("delivery_failed", target=self.name, number=row.number, reason=str(said))

    # ------------------------------------------------------------ what people decide

    async def reopened(self, number: int) -> None:
        """A person wants this one tried again, at once."""
        if self._dispatch.flies(number):
            return  # its answer decides
        self._dispatch.release(number)
        row = await self._journal.read(lambda connection: deliveries.get(connection, number))
        if row.state == deliveries.OPEN:
            self._know(OpenRow(number, row.state, row.key, row.attempts, row.next_us, row.first_us, row.expires_us))
        self.ring()

    def discarded(self, number: int) -> None:
        """A person wants this one not to be delivered; its successors wait for its answer if it is on its way."""
        if not self._dispatch.flies(number):
            self._dispatch.release(number)
        self.ring()

    def enabled(self) -> None:
        """A person says that the target wants deliveries again."""
        self._disabled = False
        self.ring()


def _end(connection: Connection, numbers: list[int], now_us: int) -> None:
    for number in numbers:
        deliveries.finish(connection, number, deliveries.EXPIRED, now_us=now_us)


def _page(connection: Connection, target: int, after: int) -> list[OpenRow]:
    return deliveries.opened(connection, target, after, LOAD_ROWS)
