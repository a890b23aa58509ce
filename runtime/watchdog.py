"""Ends the process when it no longer works: the loop does not turn, or the journal's writer no longer commits.

The timer runs outside the interpreter, so that even a pattern match without end cannot stop it. systemd's
watchdog stands behind it, fed under the same condition, for a process that cannot even run its own timer.
"""

from __future__ import annotations

import asyncio
import faulthandler
import sys
from collections.abc import Callable

import anyio

from runtime import clock, service
from runtime.errors import StorageFailed
from runtime.journal import meta
from runtime.journal.store import Connection
from runtime.journal.writer import Writer

FEED_SECONDS = 2.0


class Pulse:
    """Asks the writer now and then for a small change of its own, which must be written and flushed like any other."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._asked = False
        self._since = clock.monotonic()

    def beats(self, limit_seconds: float) -> bool:
        """Whether the writer has answered within half of the limit. Asks again after a third."""
        silent = clock.monotonic() - self._since
        if not self._asked and silent >= limit_seconds / 3:
            self._asked = True
            self._writer.submit(_sign_of_life).add_done_callback(self._answered)
        return silent < limit_seconds / 3 + limit_seconds / 2

    def _answered(self, future: asyncio.Future[None]) -> None:
        # A full disk is an answer: a restart would not make room. After a failed one the agent ends by itself.
        self._asked = False
        if not future.cancelled() and not isinstance(future.exception(), StorageFailed):
            self._since = clock.monotonic()


async def watch(writer: Writer, limit: Callable[[], float]) -> None:
    """Feed the timer, and systemd at the pace that it asks for, while the loop turns and the writer commits.

    `limit`: seconds, as the configuration says them now.
    """
    pulse = Pulse(writer)
    try:
        while True:
            limit_seconds = limit()
            shortest = min(limit_seconds, service.watchdog_seconds() or limit_seconds)
            if pulse.beats(shortest):
                faulthandler.dump_traceback_later(limit_seconds, exit=True, file=sys.stderr)
                service.notify("WATCHDOG=1")
            await anyio.sleep(min(FEED_SECONDS, shortest / 4))
    finally:
        faulthandler.cancel_dump_traceback_later()


def _sign_of_life(connection: Connection) -> None:
    meta.put(connection, alive_us=clock.now_us())
