"""How headquarters and an agent reach each other about configuration: the side of the hub. Declarations only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

from runtime.ports import Hub, Scope


class FleetPost(Protocol):
    """What headquarters and an agent leave for each other at the hub. Bytes only: who signed what is judged elsewhere.

    Every call raises `Retryable` while the hub is away, and is bounded in time.
    """

    @property
    def server(self) -> str:
        """Version of the hub's server; empty while it is away."""
        ...

    async def run(self, hear: Callable[[], None], answer: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        """Stay connected until cancelled. `hear` is called after each connection and at each poke; it must not block.

        `answer(name, question)` gives the answer to headquarters' question of this name, and of what came with it; one
        after the other, and it never raises.
        """
        ...

    async def newest(self) -> bytes | None:
        """The newest signed timestamp; None when there is none."""
        ...

    async def revision(self, version: int) -> bytes | None: ...

    async def file(self, sha256: str) -> bytes | None:
        """The content with this digest, unchecked; None when it is not there."""
        ...

    async def newest_action(self) -> bytes | None: ...

    async def action(self, identifier: str) -> bytes | None: ...

    async def watermark(self) -> bytes | None: ...

    async def report(
        self, kind: Literal["status", "presence", "result"], document: bytes, identifier: str = ""
    ) -> None:
        """Returns when the hub has stored it. `identifier`: of the action that a result is about."""
        ...


class FleetHub(Hub, Protocol):
    """A hub over which a fleet can be steered."""

    def post(self, settings: Any, scope: Scope) -> FleetPost: ...
