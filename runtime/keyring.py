"""The public keys of a platform or identity provider: fetched, kept, and asked for again when a new one is named.

A key that is not known yet is a reason to come back (503), never to let somebody in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from runtime.errors import EntrepotError, Refused, Retryable
from runtime.policy.keyset import Keyset, read_keyset

REFRESH_SECONDS = 3_600.0
AGAIN_SECONDS = 60.0
"""Between two fetches at least: strangers can name unknown keys as often as they like."""
RETRY_SECONDS = 10.0


class Keyring:
    """Callable: key id → the keys there are; `run` fetches until cancelled."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        now_seconds: Callable[[], int],
        log: Callable[..., None],
    ) -> None:
        self._fetch = fetch
        self._now_seconds = now_seconds
        self._log = log
        self._keys: Keyset = {}
        self._fetched: int | None = None
        self._wanted = anyio.Event()

    def __call__(self, key_id: str) -> Keyset:
        """Raises `Retryable` while there are no keys, or when this one may just have been published."""
        if self._fetched is None:
            raise Retryable("The keys of the platform have not been fetched yet.", after_seconds=RETRY_SECONDS)
        if key_id and key_id not in self._keys:
            if 0 <= self._now_seconds() - self._fetched < AGAIN_SECONDS:
                raise Refused("The signature names a key that the platform does not publish.")
            self._wanted.set()
            raise Retryable("The signature names a key that is being asked for.", after_seconds=RETRY_SECONDS)
        return self._keys

    async def run(self) -> None:
        """Keep the keys fresh; old ones stay in force while the platform cannot be reached."""
        while True:
            pause = REFRESH_SECONDS
            try:
                self._keys = read_keyset(await self._fetch())
                self._fetched = self._now_seconds()
            except EntrepotError as error:
                self._log("keys_not_fetched", error=str(error))
                pause = RETRY_SECONDS if self._fetched is None else AGAIN_SECONDS
            self._wanted = anyio.Event()
            await anyio.sleep(min(pause, AGAIN_SECONDS if self._fetched is not None else RETRY_SECONDS))
            with anyio.move_on_after(max(0.0, pause - AGAIN_SECONDS)):
                await self._wanted.wait()
