"""The loops that run as long as the process, whatever the configuration: translate, sign, look after everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import anyio

from runtime.errors import StorageFull
from runtime.kernel import Kernel
from runtime.observe.log import Log
from runtime.observe.metric_kinds import OTHER
from runtime.observe.metrics import Counters
from runtime.pipeline.quarantine import Careful
from runtime.reports import in_short
from runtime.service import StatusLine
from runtime.signal import Signal
from runtime.status import JournalState, read_state
from runtime.watchpost import Watchpost

LOOK_SECONDS = 1.0
YIELD_SECONDS = 0.2
BEHIND_ROWS_MAX = 100_000
"""While senders saturate the journal, translation pauses between batches, until so many facts wait for it."""


class Steps:
    """One method a loop; each runs until cancelled."""

    def __init__(self, kernel: Kernel, watchpost: Watchpost, counters: Counters, log: Log) -> None:
        self._kernel = kernel
        self._watchpost = watchpost
        self._counters = counters
        self._log = log
        self._careful = Careful(kernel)
        self._due = Signal()
        self._line = StatusLine()
        self.between_batches = anyio.Lock()
        """Whoever holds it holds translation; accepting and sending go on."""
        self.state: JournalState | None = None

    async def translate(self) -> None:
        """Make events of facts as they arrive."""
        kernel = self._kernel
        while True:
            async with self.between_batches:
                tally = await self._careful.batch()
            kernel.moved(tally.positions)
            if tally.notices:
                kernel.translation.noticed.notify()
            if tally.set_aside:
                self._watchpost.set_aside()
            if not tally.facts and not tally.untold:
                await kernel.acceptance.arrived.wait()
            elif kernel.acceptance.saturated and tally.behind < BEHIND_ROWS_MAX:
                await anyio.sleep(YIELD_SECONDS)

    async def finish_translation(self) -> None:
        """Translate what was accepted, within bounds: the rest waits for the next start."""
        with anyio.move_on_after(2.0):
            while (await self._kernel.journal.write(self._kernel.translate.batch)).facts:
                pass

    async def sign(self) -> None:
        """Write a checkpoint now and then."""
        while True:
            with anyio.move_on_after(self._kernel.configuration.model.evidence.checkpoint_seconds):
                await self._due.wait()
            await self._kernel.checkpoints.write()

    def sign_soon(self) -> None:
        """Something has changed that the next checkpoint shall say."""
        self._due.notify()

    async def sign_last(self) -> None:
        """Sign where things stand at the stop, and give the uplink a moment to deliver it."""
        checkpoints = self._kernel.checkpoints
        number = await checkpoints.write(final=True)
        if not self._watchpost.hub_connected:
            return
        with anyio.move_on_after(2.0):
            while any(waiting == number for waiting, _ in await checkpoints.pending()):
                await checkpoints.changed()

    async def look(self) -> JournalState:
        """What the journal says now."""
        self.state = await self._kernel.journal.read(read_state)
        return self.state

    async def care(self, answers: Mapping[tuple[str, int], int]) -> None:
        """Every second: room, alerts, the state that metrics and status show. `answers`: by path and HTTP status."""
        kernel = self._kernel
        while True:
            try:
                await kernel.room.tend()
            except StorageFull:
                kernel.room.disk_is_full()
            state = await self.look()
            self._counters.intake_requests |= _by_source(answers)
            self._watchpost.look(kernel, state)
            self._line.say(in_short(state, hub_connected=self._watchpost.hub_connected))
            self._log.tick()
            if kernel.renew_policy():
                self._log.info("the residency policy has changed with the date")
            await anyio.sleep(LOOK_SECONDS)


def _by_source(answers: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """Answers by source and status; all other paths together are `other`."""
    found: Counter[tuple[str, int]] = Counter()
    for (path, status), count in answers.items():
        found[path.removeprefix("/in/") if path.startswith("/in/") else OTHER, status] += count
    return found
