"""The port of headquarters, who looks at every region. Part of `runtime.ports`; `sync` imports it from there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from runtime.ports import HubRecord


class Position(Struct, frozen=True, kw_only=True):
    """One record of a lane, and with its chain every record before it."""

    epoch: int
    seq: int
    chain: str
    """Hex."""


class Signature(Struct, frozen=True, kw_only=True):
    """One signed checkpoint that was checked."""

    seq: int
    """In the stream of checkpoints."""
    number: int
    digest: str
    """SHA-256 (hex) of its statement."""
    epoch: int


class Proven(Struct, frozen=True, kw_only=True):
    """How far one region has been verified."""

    lanes: dict[str, Position] = {}
    checkpoint: Signature | None = None


class Survey(Struct, frozen=True, kw_only=True):
    """What one look at a region found."""

    region: str
    proven: Proven
    """As far as everything held: never behind the one before."""
    records: int
    """Verified in this look."""
    behind: int
    """Records that are at the hub and not verified."""
    books: dict[str, int] = {}
    """Of the newest checkpoint; empty when no new one came."""
    problems: list[str] = []


class Observatory(Protocol):
    """One connection of headquarters, for reading what the regions have sent."""

    async def regions(self) -> dict[str, dict[str, int]]:
        """Region → lane → last sequence, of this environment. Raises `Retryable` when the hub is away."""
        ...

    async def survey(self, region: str, public_key: bytes, proven: Proven) -> Survey:
        """Read and check what has come since. Raises `Retryable`."""
        ...

    async def still_there(self, region: str, lanes: Mapping[str, Position]) -> dict[str, Position]:
        """Those of the positions that the hub still has as they were verified. Raises `Retryable`."""
        ...

    def read(self, region: str, lane: str, first: int, last: int) -> AsyncIterator[HubRecord]:
        """Stored messages first … last, in order."""
        ...

    async def first_since(self, region: str, lane: str, instant: str) -> int:
        """Sequence of the first record that the hub stored at or after an RFC 3339 instant (UTC)."""
        ...

    async def stirred(self) -> None:
        """Return when some region may have sent something. May wake for nothing."""
        ...

    async def presence(self, region: str) -> bytes | None:
        """The newest signed heartbeat; None when there is none."""
        ...

    async def announce(self, region: str, document: bytes) -> None: ...
