"""Keeps a task alive: it is started again with back-off when it fails, and its failures are told.

A journal that failed ends the agent instead: nothing may go on as if it could be trusted.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from runtime import clock
from runtime.errors import StorageFailed, StorageFull, one_at_a_time
from runtime.policy.retry import Backoff, wait_seconds

HEALTHY_SECONDS = 60.0
"""A task that ran this long starts its back-off from the beginning."""
_BACKOFF = Backoff(seconds_min=0.5, seconds_max=30.0)


async def supervise(name: str, task: Callable[[], Awaitable[Any]], failed: Callable[[str, Exception], None]) -> None:
    """Run `task` until it returns; after an exception report it and try again. Raises `StorageFailed` only."""
    attempt = 0
    while True:
        started = clock.monotonic()
        try:
            with one_at_a_time():  # a task may be a group of others
                await task()
        except StorageFailed:
            raise
        except StorageFull as error:
            failed(name, error)
            started = clock.monotonic() - HEALTHY_SECONDS  # a full disk resumes at once, however long it was full
        except Exception as error:  # noqa: BLE001 - one broken edge must not end the others
            failed(name, error)
        else:
            return
        attempt = 1 if clock.monotonic() - started >= HEALTHY_SECONDS else attempt + 1
        await anyio.sleep(wait_seconds(_BACKOFF, attempt, random.random()))  # noqa: S311 - spreads, protects nothing
