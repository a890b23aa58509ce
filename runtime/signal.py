"""A wake-up call: whoever waits is woken by the next `notify`. Check the state first, then wait."""

from __future__ import annotations

import anyio


class Signal:
    """Used on the event loop only; a notification with nobody waiting is forgotten, so state must be kept elsewhere."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify(self) -> None:
        """Wake everyone who waits now."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Return at the next `notify`."""
        await self._event.wait()
