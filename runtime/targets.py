"""The port of the targets: what is delivered inside the region. Part of `runtime.ports`; adapters import it from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct


class Delivery(Struct, frozen=True, kw_only=True):
    """One event for one target, as often as it takes; the target sees the same `id` each time."""

    id: str
    """Idempotency key: `<region>.<lane>.<epoch>.<seq>` of the record at its origin; never changes between tries."""
    type: str
    key: str | None
    """Business key; deliveries of one key arrive in order."""
    attributes: Mapping[str, str]
    """CloudEvents attributes, names without `ce-`, values decoded."""
    data: bytes
    """Canonical JSON."""
    attempt: int
    first_us: int
    """When it was ready to be delivered, microseconds since 1970."""


class Delivered(Struct, frozen=True, kw_only=True):
    """What a target said when it took a delivery."""

    reference: str = ""
    """The target's own number for it, if it gave one; never a body, never personal data."""


class TargetContext(Struct, frozen=True, kw_only=True):
    """What the kernel lends to a target."""

    name: str
    region: str
    secret: Callable[[str], bytes]
    directory: str
    log: Callable[..., None]
    now_us: Callable[[], int]


class Target(Protocol):
    """A configured foreign system that takes deliveries."""

    idempotent: bool
    """Whether a second try with the same `id` changes nothing; otherwise status says at-least-once."""

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        """Whether this delivery concerns it. Pure."""
        ...

    async def deliver(self, delivery: Delivery) -> Delivered:
        """Raises `Retryable` (with `after_seconds` where the target said so), `Permanent` (becomes a letter),
        `Refused` (the target wants no more: it is disabled until a person enables it).
        """
        ...

    async def close(self) -> None: ...


class TargetAdapter(Protocol):
    """The object behind an `entrepot.targets` entry point."""

    name: str
    settings: type[Struct]

    def target(self, settings: Any, context: TargetContext) -> Target: ...

    def check(self, settings: Any, *, loopback: bool) -> Sequence[str]:
        """Problems a person should know before the start, as sentences; raises `ConfigError` for fatal ones."""
        ...
