"""What the uplink needs of a connection, in five words: ask, write, listen, lost, close.

`connection.py` keeps this promise over NATS, `loopback.py` in memory. A channel lives for one connection and
never reconnects: after `lost` nothing that was written can be sent again by anybody but the uplink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import anyio

from runtime.errors import Permanent, Retryable

Handler = Callable[[bytes, bytes, bytes], None]
"""Called with (subject, header block, data) as soon as a message arrives; must not raise or block."""
RequestHandler = Callable[[bytes, bytes, bytes], None]
"""Called with (subject, reply subject, data) of a question; must not raise or block."""
STREAM_MISSING = 10059
MESSAGE_MISSING = 10037
REPLICAS_UNSUPPORTED = 10074
_ONE_SERVER = "the hub is a single server: set replicas = 1 under [hub] and reload, or have the hub made a cluster"
WRONG_SEQUENCE = frozenset({10071, 10164})


class ApiError(Permanent):
    """JetStream answered with an error object."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        hint = _ONE_SERVER if err_code == REPLICAS_UNSUPPORTED else ""
        super().__init__(f"the hub answered: {description} (error {err_code or code})", hint=hint)
        self.err_code = err_code
        self.code = code


_LOOK = "check the address ([hub] servers, or --hub), the network, and that the hub runs; then try again"


class HubAway(Retryable):
    """No connection, no answer in time, or nobody there to answer."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint or _LOOK)


class Channel(Protocol):
    """One living connection to the hub."""

    server: str
    version: tuple[int, int, int]
    bytes_max: int
    """The server's `max_payload`."""
    lost: anyio.Event
    parting_words: str
    """Why the server has cut the connection; empty when it did not say."""

    def inbox(self) -> str:
        """A fresh subject prefix that only this connection hears."""
        ...

    async def ask(self, subject: str, body: Any = None, *, seconds_max: float = 2.0) -> dict[str, Any]:
        """A JetStream API request; `subject` without `$JS.API.`. Raises `ApiError`, `HubAway`."""
        ...

    async def write(self, frames: bytes) -> None:
        """Put whole frames on the wire; returns when there is room for more. Raises `HubAway`."""
        ...

    async def listen(self, subject: str, handler: Handler) -> Callable[[], None]:
        """Subscribe; the result ends it. Raises `HubAway`."""
        ...

    async def listen_for_requests(self, subject: str, handler: RequestHandler) -> Callable[[], None]:
        """Subscribe to questions; the result ends it. Raises `HubAway`."""
        ...

    def close(self) -> None:
        """At once; nothing that is still buffered leaves."""
        ...
