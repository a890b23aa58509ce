"""What travels through the kernel: a message in, a kept fact, canonical events, and a receipt.

Structs only, no behaviour. Instants inside the kernel are microseconds since 1970 (UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Message(Struct, frozen=True, kw_only=True):
    """What an adapter hands over: the exact bytes, and what the sender said about them."""

    body: bytes
    content_type: str = "application/json"
    key: str | None = None
    """Idempotency key; its scope is the source. None: two identical messages are two facts."""
    traceparent: str | None = None
    """W3C trace context level 1, as received. A partner's `tracestate` is never kept."""
    headers: Mapping[str, str] = {}
    """The headers that the source's rules read and no others, names in lower case: they are part of the fact."""
    correlation_id: str | None = None
    """Of the fact that this one comes from (32 hex digits); None: it begins something new."""
    caller: str | None = None
    """Who sent it, where senders have names of their own: only they are told what became of it."""


class Receipt(Struct, frozen=True, kw_only=True):
    """Proof of acceptance: these bytes are committed and flushed. Same key, same receipt, for 35 days."""

    region: str
    epoch: int
    intake_seq: int
    sha256: str
    committed_at: str
    duplicate: bool = False


class Envelope(Struct, frozen=True, kw_only=True):
    """A raw fact as the journal keeps it; the input of translation."""

    source: str
    body: bytes
    content_type: str
    intake_seq: int
    epoch: int
    received_us: int
    correlation_id: str
    key: str | None = None
    traceparent: str | None = None
    headers: Mapping[str, str] = {}


class Event(Struct, frozen=True, kw_only=True):
    """One canonical event, not yet cleared. `data` is a struct from `runtime.canonical`."""

    data: Any
    partition_key: str
    """Events of one key leave in the order of acceptance."""
    output: int = 0
    """Stable number of this output within its fact; the last part of the origin."""
    once_key: str | None = None
    """If set: the event is told once per source; later ones with the same key are ignored (tracker histories)."""


class Ignored(Struct, frozen=True, kw_only=True):
    """A part of a fact that says nothing new, and why."""

    reason: str
    output: int = 0


class Sealed(Struct, frozen=True, kw_only=True):
    """One row of the sealed outbox: what stands, byte for byte, at `seq` of the lane's hub stream."""

    seq: int
    epoch: int
    subject: str
    headers: bytes
    """Canonical header block: sorted `name:value` lines, each ended by a line feed, without `entrepot-chain`."""
    data: bytes
    chain: bytes
    """32 bytes; see `runtime.record`."""


class Signed(Struct, frozen=True, kw_only=True):
    """A statement of the region (checkpoint, epoch record) as it stands at the hub, JSON on the wire."""

    statement: str
    """JSON text, signed exactly as it stands here."""
    key_id: str
    """First 16 hex digits of SHA-256 over the raw public key."""
    signature: str
    """Ed25519 over `record.signing_input(kind, statement)`, base64."""


class LaneStatement(Struct, frozen=True, kw_only=True):
    """One lane inside a checkpoint; `chain` (hex) is the chain hash at `acked`."""

    sealed: int
    acked: int
    chain: str


class Checkpoint(Struct, frozen=True, kw_only=True):
    """The statement of a checkpoint. `books` must add up; `previous` is SHA-256 (hex) of the statement before."""

    format: int
    region: str
    environment: str
    number: int
    issued_at: str
    epoch: int
    lanes: dict[str, LaneStatement]
    books: dict[str, int]
    policy: str
    config: str
    sqlite: str
    previous: str
    final: bool = False
    """True for the one written at an orderly shutdown."""


class EpochRecord(Struct, frozen=True, kw_only=True):
    """The statement sealed at the first position of a new epoch, after `adopt`."""

    format: int
    region: str
    lane: str
    epoch: int
    previous_epoch: int
    seq: int
    issued_at: str
    reason: str
