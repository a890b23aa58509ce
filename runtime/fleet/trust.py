"""The port of trust: keys, logins and claims of the hub, and the few messages by which a region is let in.

`sync` implements it behind the entry point `entrepot.trust`. Seeds, credentials and tokens passed here are secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from runtime.ports import Scope, StreamReport


class Login(NamedTuple):
    """What a JWT says of itself, unproven."""

    user: str
    account: str
    environment: str
    region: str
    issued_at: int
    expires_at: int


class HubFile(Protocol):
    """One generated file."""

    content: bytes
    secret: bool


class Posted(Protocol):
    """One message at the hub."""

    subject: str
    body: bytes


class Desk(Protocol):
    """One connection to the hub. Each call raises `Retryable` while it is away, `Permanent` when a stream is missing."""

    async def prepare(self, environment: str, replicas: int) -> None:
        """Make the stream of enrolments if it is missing. Raises `Refused` when it is another environment's."""
        ...

    async def post(self, token_id: str, part: str, body: bytes) -> None:
        """Raises `Refused` when there is one already."""
        ...

    async def read(self, token_id: str, part: str) -> bytes | None: ...

    async def enrolments(self) -> Sequence[Posted]: ...

    async def renewal(self, region: str) -> tuple[bytes | None, bytes | None]:
        """(what its agent says of its login, the newest login that was left for it)."""
        ...

    async def leave_login(self, region: str, token: str) -> None: ...

    async def make_streams(
        self, region: str, environment: str, lanes: Sequence[str], replicas: int
    ) -> list[StreamReport]:
        """The streams of its lanes, its checkpoints and its downlink; those that exist are mended."""
        ...

    async def revoke(self, account: str, users: Sequence[str], *, operator: str, now: int) -> str:
        """The account's new claims, pushed to every server. `operator`: seed of its signing key. System account only."""
        ...


class Trust(Protocol):
    """The object behind the entry point."""

    plan: type[Struct]
    """What a central team decides about its hub."""

    def hub_files(self, plan: Any, given: Mapping[str, bytes], *, now: int) -> Mapping[str, HubFile]:
        """Everything for a hub in operator mode; keys in `given` are kept. Raises `ConfigError`."""
        ...

    def make_user(self) -> tuple[str, str]:
        """(seed, public key) of a new login."""
        ...

    def public_key(self, seed: str) -> str:
        """Raises `ConfigError` for a text that is no seed."""
        ...

    def login(
        self,
        role: str,
        name: str,
        *,
        issuer: str,
        account: str,
        environment: str,
        user: str,
        lanes: Sequence[str] = (),
        now: int,
        seconds: int,
    ) -> str:
        """A JWT. `name`: the region of an agent, the token's id, or a person's. Raises `ConfigError` for a reserved one."""
        ...

    def read(self, token: str) -> Login:
        """Raises `Refused` when it is no JWT."""
        ...

    def credentials(self, token: str, seed: str) -> str:
        """A `.creds` text."""
        ...

    def desk(self, settings: Any, scope: Scope) -> AbstractAsyncContextManager[Desk]:
        """`settings` are those of the hub."""
        ...
