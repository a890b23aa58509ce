"""What headquarters leaves at the hub for the fleet, and reads of it: a door for whoever speaks to the hub.

Bytes only: who signed what is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct


class Posted(Struct, frozen=True, kw_only=True):
    """A document as it stands in one of the fleet's streams. Nothing about it is believed yet."""

    data: bytes
    seq: int
    time: str
    """When the hub stored it, RFC 3339."""


class Post(Struct, frozen=True, kw_only=True):
    """What stands at the hub about one region."""

    timestamp: Posted | None = None
    status: Posted | None = None
    presence: Posted | None = None
    versions: list[int] = []
    """Revisions that the hub holds, offered or not."""


class FleetDesk(Protocol):
    """Headquarters' place at the hub: documents of the fleet in and out. It neither signs nor believes.

    Everything raises `Retryable` when the hub is away and `Permanent` when a stream is missing.
    """

    async def topology(self, *, apply: bool) -> Sequence[Any]:
        """A `ports.StreamReport` for each of the fleet's streams, which `apply` makes or mends. Raises `Refused`."""
        ...

    async def posts(self, regions: Sequence[str]) -> dict[str, Post]:
        """What stands there about each."""
        ...

    async def revision(self, region: str, version: int) -> Posted | None: ...

    async def file(self, region: str, sha256: str) -> bytes | None: ...

    async def result(self, region: str, action: str) -> Posted | None:
        """What came of an action; None: nothing yet."""
        ...

    async def put_revision(self, region: str, version: int, document: bytes) -> None:
        """Raises `Overtaken` when that version is there already."""
        ...

    async def put_file(self, region: str, sha256: str, content: bytes) -> None:
        """Does nothing when it is there already."""
        ...

    async def put_timestamp(self, region: str, document: bytes, *, after: int) -> None:
        """`after`: position of the one that it replaces, 0: there is none. Raises `Overtaken` for another one."""
        ...

    async def action(self, region: str, action: str) -> Posted | None: ...

    async def newest_action(self, region: str) -> Posted | None: ...

    async def put_action(self, region: str, action: str, document: bytes) -> None:
        """Under its id. Raises `Overtaken` when that id was used."""
        ...

    async def put_newest_action(self, region: str, document: bytes, *, after: int) -> None:
        """`after`: position of the one that it follows, 0: there is none. Raises `Overtaken` for another one."""
        ...

    async def poke(self, region: str) -> None:
        """A hint to look now; nobody answers."""
        ...

    async def audit_end(self, kind: str = "") -> Posted | None:
        """The newest record of the audit, or of one kind of change."""
        ...

    async def append_audit(self, kind: str, document: bytes, *, after: int) -> None:
        """Raises `Overtaken` when the audit has gone on since position `after`."""
        ...

    def audit(self) -> AsyncIterator[Posted]:
        """Every record, oldest first."""
        ...

    async def stirred(self, seconds_max: float) -> None:
        """Return when a region or another desk has said something since the last call, or after so long."""
        ...

    async def probe(self, region: str, name: str, question: bytes, *, seconds_max: float) -> bytes:
        """Ask an agent; the first answer, whoever gives it. Raises `Retryable` when nobody listens or the time is over,
        `Permanent` for a question that is larger than the hub takes.
        """
        ...


class DeskHub(Protocol):
    """What headquarters needs of the object behind the entry point `entrepot.hub`."""

    settings: type[Struct]

    def desk(self, settings: Any, scope: Any) -> AbstractAsyncContextManager[FleetDesk]:
        """A connection as headquarters; `scope` is a `ports.Scope`. Raises `Retryable`, `ConfigError`."""
        ...
