"""The port of the downlink: what the connection to the centre hands to the kernel, and how far it has come.

The other half of `runtime.ports.HubLink`; the kernel implements `Inbox`. Nothing here rests on what the hub remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from runtime.ports import Fence, HubRecord

INBOX = "inbox"
"""What a target reads unless it names a lane."""


class InboxHead(Struct, frozen=True, kw_only=True):
    """The last record that was taken in; `seq` 0: none yet."""

    epoch: int
    seq: int
    chain: bytes
    """Empty: unknown, a person decided to believe the next record."""
    highest: int = 0
    """The highest sequence of this epoch that was ever taken in; lower ones must not come again."""
    fence: Fence | None = None
    """Why nothing more is taken in, until the hub's side is mended or a person decides."""


class Inbox(Protocol):
    """The kernel's side: records of headquarters' lane for this region, each committed once, in order."""

    region: str
    """Id of headquarters: its lane that is named like our region is read."""
    public_key: bytes | None
    """Raw Ed25519 key that headquarters' epoch records must be signed with; None: they are believed as the rest."""
    poll_seconds: float

    async def head(self) -> InboxHead: ...

    async def take(self, records: Sequence[HubRecord]) -> None:
        """Commit proven successors of the head together with the position behind them. Waits while the disk is full."""
        ...

    async def fence(self, fence: Fence) -> None: ...

    async def unfence(self) -> None:
        """The hub's stream has been proven to continue what was taken in."""
        ...

    def seen(self, last: int) -> None:
        """The last sequence of headquarters' stream, for status."""
        ...
