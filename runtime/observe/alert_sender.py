"""Delivers notices: to the log and the counters at once, to the one webhook in the background.

Raising never waits and never fails. The queue is bounded: when it is full the oldest notice is dropped and counted.
A notice may arrive twice (its `id` is the same then), and it arrives late rather than never when the webhook is away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from random import Random

import aiohttp
import anyio
import orjson
from msgspec import Struct

from runtime.errors import EntrepotError, Permanent, Retryable
from runtime.observe.alert_kinds import Severity
from runtime.observe.alerts import ActiveAlert, AlertBook, AlertSettings, Notice, notice_document
from runtime.observe.clockwatch import Reading
from runtime.observe.log import Log
from runtime.observe.metrics import Counters
from runtime.policy.retry import Backoff, wait_seconds

Post = Callable[[bytes], Awaitable[None]]
"""Delivers one JSON body. Raises `Retryable` (with `after_seconds` if the receiver said so) or `Permanent`."""
_DELIVERY = "alert webhook failed"
_TICK_SECONDS = 5.0


class Origin(Struct, frozen=True):
    """Who is speaking, in every notice."""

    region: str
    environment: str


class Webhook:
    """The one webhook. The address may hold a secret, so it is never logged. Redirects are not followed."""

    def __init__(self, address: str, timeout_seconds: float) -> None:
        self._address = address
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def __call__(self, body: bytes) -> None:
        """Post once, on a connection of its own: alerts are rare. Raises `Retryable` or `Permanent`."""
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(
                    self._address, data=body, headers={"content-type": "application/json"}, allow_redirects=False
                ) as answer,
            ):
                _judge(answer.status, answer.headers.get("retry-after", ""))
        except (aiohttp.InvalidURL, ValueError) as error:
            raise Permanent(
                "The address of the alert webhook is not valid.", hint="Correct [alerts] webhook."
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retryable(f"The alert webhook cannot be reached ({type(error).__name__}).") from error


def _judge(status: int, retry_after: str) -> None:
    if 200 <= status < 300:
        return
    if status in {408, 425, 429} or status >= 500:
        after = float(retry_after) if retry_after.isdecimal() else None
        raise Retryable(f"The alert webhook answered {status}.", after_seconds=after)
    raise Permanent(f"The alert webhook answered {status}.", hint="Correct [alerts] webhook, or what receives there.")


class AlertSender:
    """The door for every part of the agent that has something to tell a person."""

    def __init__(
        self,
        settings: AlertSettings,
        *,
        origin: Origin,
        log: Log,
        counters: Counters,
        read_clocks: Callable[[], Reading],
        post: Post | None = None,
    ) -> None:
        self._origin = origin
        self._log = log
        self._counters = counters
        self._read_clocks = read_clocks
        self._book = AlertBook()
        self._waiting: deque[Notice] = deque()
        self._news = anyio.Event()
        self._delivering = anyio.Lock()
        self._jitter = Random()  # noqa: S311 - spreads retries, protects nothing
        self.use(settings, post)

    def use(self, settings: AlertSettings, post: Post | None = None) -> None:
        """Tell by these settings from now on, also what waits; without a webhook that is forgotten."""
        self._settings = settings
        self._post = post or (Webhook(settings.webhook, settings.timeout_seconds) if settings.webhook else None)
        if self._post is None:
            self._waiting.clear()  # nobody wants them any more
        self._book.reminder_seconds = settings.reminder_seconds
        self._backoff = Backoff(seconds_min=1.0, seconds_max=settings.backoff_seconds_max)

    def raise_alert(
        self,
        name: str,
        subject: str,
        sentence: str,
        action: str = "",
        severity: Severity | None = None,
        *,
        state: str = "",
    ) -> None:
        """See `AlertBook.raise_alert`. Returns at once; sentences must not quote what a partner sent."""
        at = self._read_clocks()
        refused = self._book.refused
        self._tell(self._book.raise_alert(name, subject, sentence, action, severity, state=state, at=at))
        if self._book.refused > refused:
            self._log.error("too many alerts at once, one is not shown", alert=name)

    def clear_alert(self, name: str, subject: str = "") -> None:
        """See `AlertBook.clear_alert`. Returns at once."""
        self._tell(self._book.clear_alert(name, subject, at=self._read_clocks()))

    def active(self) -> list[ActiveAlert]:
        """What is raised now, for status and metrics."""
        return self._book.active()

    def counts(self) -> dict[str, int]:
        """Number of alerts raised now by name, for `Snapshot.alerts`."""
        return self._book.counts()

    def tick(self) -> None:
        """Tell what has lasted long enough, and reminders. `run` calls it every 5 s."""
        for notice in self._book.due(self._read_clocks()):
            self._tell(notice)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tick_forever)
            tasks.start_soon(self._deliver_forever)

    async def flush(self, within_seconds: float) -> bool:
        """Try to deliver what waits, for the last seconds before a stop; True when nothing waits any more."""
        with anyio.move_on_after(within_seconds):
            attempt = 0
            while self._waiting:
                pause = await self._attempt(attempt)
                attempt = attempt + 1 if pause else 0
                await anyio.sleep(min(pause, 0.5))
        return not self._waiting

    def _tell(self, notice: Notice | None) -> None:
        if notice is None:
            return
        self._log.once(
            "info" if notice.change == "cleared" else notice.severity,
            f"alert {notice.change}: {notice.title}",
            alert=notice.name,
            subject=notice.subject,
            sentence=notice.sentence,
            action=notice.action,
        )
        if self._post is not None:
            self._enqueue(notice)

    def _enqueue(self, notice: Notice) -> None:
        if len(self._waiting) >= self._settings.queue_max:
            dropped = self._waiting.popleft()
            self._counters.notices["dropped"] += 1
            self._log.warning("alert notice dropped, too many wait for the webhook", alert=dropped.name)
        self._waiting.append(notice)
        self._news.set()

    async def _tick_forever(self) -> None:
        while True:
            await anyio.sleep(_TICK_SECONDS)
            self.tick()
            self._log.tick()

    async def _deliver_forever(self) -> None:
        attempt = 0
        while True:
            if not self._waiting:
                self._news = anyio.Event()
                await self._news.wait()
            pause = await self._attempt(attempt)
            attempt = attempt + 1 if pause else 0
            await anyio.sleep(pause)

    async def _attempt(self, attempt: int) -> float:
        """One try at the oldest notice. Seconds to wait before the next one; 0 when it is done with."""
        async with self._delivering:
            if not self._waiting or self._post is None:
                return 0.0
            notice = self._waiting[0]
            document = notice_document(notice, region=self._origin.region, environment=self._origin.environment)
            try:
                await self._post(orjson.dumps(document))
            except Retryable as error:
                self._log.warning(_DELIVERY, error=error)
                draw = self._jitter.random()
                return wait_seconds(self._backoff, attempt + 1, draw, after_seconds=error.after_seconds)
            except EntrepotError as error:
                self._log.error(_DELIVERY, error=error)
                self._done_with(notice, "failed")
                return 0.0
            self._log.recovered(_DELIVERY)
            self._done_with(notice, "delivered")
            return 0.0

    def _done_with(self, notice: Notice, outcome: str) -> None:
        self._counters.notices[outcome] += 1
        # While it was on its way a full queue may have dropped it.
        if self._waiting and self._waiting[0] is notice:
            self._waiting.popleft()
