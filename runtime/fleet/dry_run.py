"""Says what a revision would do here before anybody has offered it. Judged as an offered one; nothing of it stays.

No stage, no version, no slot: only what headquarters asked for is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import anyio
from anyio.to_thread import run_sync

from runtime import clock
from runtime.config.assemble import Configuration
from runtime.errors import EntrepotError, Refused, Retryable
from runtime.fleet.arrivals import collect_files, open_revision
from runtime.fleet.documents import REHEARSAL, DryRun, Rehearsal
from runtime.fleet.lifecycle import REASON_CHARS_MAX, instant_us
from runtime.fleet.post import FleetPost
from runtime.fleet.rehearsal import reason_of, rehearse
from runtime.fleet.signing import digest
from runtime.fleet.slots import Slots
from runtime.fleet.steering import check_steering

FETCH_SECONDS_MAX = 20.0
"""For all files of a revision: whoever asked waits no longer than the hub lets an agent answer (a minute)."""
_OVERRIDDEN = "; it would wait for the end of the regional override"


class DryRuns:
    """Of one agent. Whoever asks does so one after the other."""

    def __init__(self, path: Path, slots: Slots, running: Callable[[], Configuration]) -> None:
        self._path, self._slots, self._running = path, slots, running
        self._asked: dict[str, int] = {}
        """Digest of each question → when it ends by itself."""

    async def of(self, post: FleetPost, document: bytes) -> DryRun:
        """The verdict on a signed `Rehearsal`; a forged or old one is refused, too."""
        try:
            return await self._tried(post, document)
        except Retryable as error:
            return _said("waits", str(error))
        except (EntrepotError, OSError) as error:
            return _said("refused", reason_of(error))

    async def _tried(self, post: FleetPost, document: bytes) -> DryRun:
        wanted, regional = open_revision(document, REHEARSAL, Rehearsal, self._running())
        state = await run_sync(self._slots.read)
        self._check_fresh(document, wanted)
        if wanted.version <= state.seen:
            raise Refused(f"version {wanted.version} is not newer than {state.seen}, which has been seen here")
        check_steering(wanted)
        try:
            with anyio.fail_after(FETCH_SECONDS_MAX):
                files = await collect_files(post, self._slots, wanted)
        except TimeoutError:
            raise Retryable(f"waits: its files did not arrive within {FETCH_SECONDS_MAX:g} s") from None
        says = await run_sync(self._rehearsed, wanted, files, regional)
        return _said("ready", says + (_OVERRIDDEN if state.override is not None else ""))

    def _check_fresh(self, document: bytes, wanted: Rehearsal) -> None:
        """Once and in time: whoever repeats what headquarters has asked makes no work here. Raises `Refused`."""
        now_us, expires_us = clock.now_us(), instant_us(wanted.expires_at)
        if expires_us <= now_us:
            raise Refused(f"the question expired at {wanted.expires_at}, before this agent saw it")
        asked = digest(document)
        if asked in self._asked:
            raise Refused("this question was asked before: it was replayed")
        self._asked = {known: until_us for known, until_us in self._asked.items() if until_us > now_us}
        self._asked[asked] = expires_us

    def _rehearsed(self, wanted: Rehearsal, files: dict[str, bytes], regional: bool) -> str:
        with self._slots.aside(wanted, files) as overlay:
            return rehearse(self._path, overlay, self._running(), regional=regional, today=clock.today())


def _said(state: Literal["ready", "waits", "refused"], reason: str) -> DryRun:
    return DryRun(state=state, reason=reason[:REASON_CHARS_MAX])
