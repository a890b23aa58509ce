"""One window's life: a sender and an acknowledger side by side, until a refusal, a doubt or a quiet spell.

All judgement is in `window.py`. An orderly end (`leave`) awaits the answers to what is on the wire; a plain
cancellation does not, and costs nothing but a look at the next start.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import anyio

from runtime.envelope import Sealed
from runtime.errors import Refused
from runtime.ports import Fence, HubObserver, Lane
from sync import wire
from sync.channel import Channel, HubAway
from sync.settings import HubSettings
from sync.window import Mode, Window

ACKNOWLEDGE_SECONDS = 0.025
"""Acknowledgements are gathered this long at low rates: one commit for many, while nobody waits for them."""
_DECIDE = "Look at the event with `entrepot status`, then restore the policy or run `entrepot adopt`."


class News:
    """Wakes the tasks of one lane when an answer has changed something."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def tell(self) -> None:
        """Wake whoever waits."""
        self._event.set()

    async def wait(self, seconds_max: float) -> bool:
        """True when something happened since the last wait; False after `seconds_max`."""
        with anyio.move_on_after(seconds_max):
            await self._event.wait()
        happened = self._event.is_set()
        if happened:
            self._event = anyio.Event()
        return happened


class Shipment:
    """Ships from one position on; `fence` is set when the lane said that a row may no longer leave."""

    def __init__(
        self, channel: Channel, lane: Lane, settings: HubSettings, observer: HubObserver, notes: list[str]
    ) -> None:
        self._channel, self._lane, self._settings = channel, lane, settings
        self._observer, self._notes = observer, notes
        self._answered = News()
        self._roomier = News()
        self._reported = 0
        self._sending = anyio.CancelScope()
        self.fence: Fence | None = None

    def leave(self) -> None:
        """Take nothing more; `ship` returns when what is on the wire has been answered."""
        self._sending.cancel()

    async def ship(self, position: int, mode: Mode) -> Window:
        """Send rows after `position`; returns the ended window."""
        settings, inbox = self._settings, self._channel.inbox()
        window = Window(
            position,
            mode=mode,
            inbox=inbox,
            label=secrets.token_hex(8),
            rows_max=settings.window_rows_max,
            bytes_max=settings.window_bytes_max,
        )
        self._reported = position

        def on_answer(subject: bytes, headers: bytes, data: bytes) -> None:
            window.answer(subject, headers, data)
            self._answered.tell()
            self._roomier.tell()

        stop = await self._channel.listen(f"{inbox}.>", on_answer)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._acknowledge, window)
                with self._sending:
                    await self._send(window)
                if window.failure is None:
                    await self._write(window, window.finish())
                await self._flush(window)
                tasks.cancel_scope.cancel()
            await self._report(window)
        finally:
            stop()
        return window

    async def _send(self, window: Window) -> None:
        """Until the window fails, a row may not leave, or the lane was idle long enough for another look."""
        while window.failure is None:
            room = window.room()
            if room == 0:
                if window.starved:
                    await self._write(window, window.finish())
                else:
                    await self._roomier.wait(self._settings.ack_timeout_seconds)
                continue
            try:
                rows = await self._lane.take(window.taken, room)
            except Refused as error:
                self.fence = Fence(kind="policy", reason=str(error), action=error.hint or _DECIDE)
                return
            if rows:
                await self._post(window, rows)
            elif not await self._idle(window):
                return

    async def _post(self, window: Window, rows: Sequence[Sealed]) -> None:
        fitting, too_large = _fitting(rows, self._channel.bytes_max)
        if fitting:
            await self._write(window, window.post(fitting))
        if too_large:
            await self._write(window, window.finish())
            window.fail("refused", too_large)

    async def _idle(self, window: Window) -> bool:
        """Nothing to take: commit what is open, wait for rows; False when it is time to look at the hub again."""
        await self._write(window, window.finish())
        with anyio.move_on_after(self._settings.audit_seconds) as idle:
            await self._lane.wait(window.taken)
        return not idle.cancelled_caught

    async def _write(self, window: Window, frames: bytes) -> None:
        if frames:
            try:
                await self._channel.write(frames)
            except HubAway as error:
                window.fail("unknown", str(error))

    async def _acknowledge(self, window: Window) -> None:
        """Tell the lane what is stored, in few commits; end the sending when the window has failed."""
        while window.failure is None:
            if window.stored == self._reported:
                await self._hear(window)
            else:
                await self._gather(window)
                await self._report(window)
        self._sending.cancel()

    async def _hear(self, window: Window) -> None:
        """Wait for an answer; rows that stay unanswered for too long end the window."""
        patience = self._settings.ack_timeout_seconds
        waiting, before = window.outstanding, window.stored
        heard = await self._answered.wait(patience)
        if not heard and waiting and window.stored == before:
            window.fail("unknown", f"no answer for {patience:g} s")

    async def _gather(self, window: Window) -> None:
        """Let acknowledgements come together, unless there are many or the end has come."""
        many = max(1, self._settings.window_rows_max // 4)
        with anyio.move_on_after(ACKNOWLEDGE_SECONDS):
            while window.failure is None and window.stored - self._reported < many:
                await self._answered.wait(ACKNOWLEDGE_SECONDS)

    async def _report(self, window: Window) -> None:
        stored = window.stored
        if stored > self._reported:
            await self._lane.acknowledge(stored)
            self._reported = stored
            self._observer.lane(self._lane.name, hub_last=stored, notes=self._notes)

    async def _flush(self, window: Window) -> None:
        """Wait for answers to what is on the wire."""
        while window.outstanding and window.failure is None and not self._channel.lost.is_set():
            await self._roomier.wait(0.25)


def _fitting(rows: Sequence[Sealed], bytes_max: int) -> tuple[Sequence[Sealed], str]:
    """The rows before the first that the server would never take, and why that one stays.

    The server closes the connection on a message above its `max_payload`, so it must not be tried.
    """
    roomy = bytes_max // 2
    for position, row in enumerate(rows):
        if len(row.headers) + len(row.data) < roomy:
            continue
        size = wire.payload_bytes(row)
        if size > bytes_max:
            why = f"event {row.seq} has {size} bytes, the hub takes {bytes_max}: raise max_payload there"
            return rows[:position], why
    return rows, ""
