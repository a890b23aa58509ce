"""Sources that a person has asked to wait: senders hear 503 and try again, drop folders fill up, nothing is lost by it.

Kept in the journal, so a restart changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import anyio
import msgspec
from msgspec import Struct

from runtime import clock
from runtime.errors import Permanent, Retryable
from runtime.journal import meta
from runtime.journal.journal import Journal
from runtime.journal.store import Connection
from runtime.signal import Signal

AGAIN_SECONDS = 30.0
"""What senders are asked to wait: long against a request, short against a pause."""
_NAME = "paused"


class Pause(Struct, frozen=True, kw_only=True):
    """Why a source waits, and since when."""

    since: str
    reason: str
    by: str


class Pauses:
    """Of one journal; `of` answers from memory."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._paused: dict[str, Pause] = {}
        self._changed = Signal()

    async def load(self) -> None:
        """Read what the journal says."""
        self._paused = await self._journal.read(_read)

    @property
    def all(self) -> dict[str, Pause]:
        """Every source that waits."""
        return dict(self._paused)

    def refuse(self, source: str) -> None:
        """Raises `Retryable` while the source waits."""
        pause = self._paused.get(source)
        if pause is not None:
            raise Retryable(
                f"source {source} is paused since {pause.since}: {pause.reason}",
                hint=f"`entrepot source resume {source}` lets it go on",
                after_seconds=AGAIN_SECONDS,
            )

    async def pause(self, source: str, *, reason: str, by: str) -> Pause:
        """Let a source wait; one that waits already keeps its first reason."""
        if not reason.strip():
            raise Permanent("a pause needs a reason", hint="whoever finds the source silent tonight wants to know")
        pause = Pause(since=clock.rfc3339(clock.now_us()), reason=reason.strip(), by=by)
        return (await self._change(source, pause))[source]

    async def resume(self, source: str) -> bool:
        """Let it go on; False when it did not wait."""
        waited = source in self._paused
        await self._change(source, None)
        return waited

    async def _change(self, source: str, pause: Pause | None) -> dict[str, Pause]:
        def change(connection: Connection) -> dict[str, Pause]:
            paused = _read(connection)
            if pause is None:
                paused.pop(source, None)
            else:
                paused.setdefault(source, pause)
            meta.put(connection, **{_NAME: msgspec.json.encode(paused).decode()})
            return paused

        self._paused = await self._journal.write(change)
        self._changed.notify()
        return self._paused

    async def run(
        self,
        source: str,
        fetch: Callable[[], Awaitable[None]],
        at_rest: Callable[[], AbstractAsyncContextManager[object]],
    ) -> None:
        """`fetch` until it returns, but never while the source waits: then it is ended at rest, and later begun anew."""
        while not await self._run_once(source, fetch, at_rest):
            pass

    async def _run_once(
        self,
        source: str,
        fetch: Callable[[], Awaitable[None]],
        at_rest: Callable[[], AbstractAsyncContextManager[object]],
    ) -> bool:
        """True when `fetch` has returned by itself."""
        while source in self._paused:
            await self._changed.wait()
        returned = False
        failure: Exception | None = None

        async def work() -> None:
            nonlocal returned, failure
            try:
                await fetch()
            except Exception as error:  # noqa: BLE001 - raised below, without the group around it
                failure = error
            returned = True
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            while source not in self._paused:
                await self._changed.wait()
            async with at_rest():
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return returned


def _read(connection: Connection) -> dict[str, Pause]:
    return msgspec.json.decode(str(meta.get(connection, _NAME, "{}")), type=dict[str, Pause])
