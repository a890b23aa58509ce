"""Everybody who was let in, in memory: who is it that shows this credential, and what may they do? Pure.

A registry never changes; after each grant, rotation or revocation there is a new one.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from runtime.access.denial import Denied
from runtime.access.keys import read_key
from runtime.access.scopes import Scope, covers, expand
from runtime.access.settings import CallerLimits
from runtime.errors import ConfigError

Kind = Literal["key", "certificate", "certificate-subject", "oidc-subject"]
_NOBODY = bytes(32)


class Credential(Struct, frozen=True, kw_only=True):
    """One row. `digest`: SHA-256 of the secret, the certificate, or the name in it."""

    id: str
    caller: str
    kind: Kind
    digest: bytes
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None


class CallerRow(Struct, frozen=True, kw_only=True):
    """One row. `grants`: scopes, and roles as `role:NAME`."""

    name: str
    grants: Sequence[str]
    limits: CallerLimits
    created_us: int
    revoked_us: int | None = None


class Roll(Struct, frozen=True, kw_only=True):
    """Everything that the journal holds about access."""

    callers: Sequence[CallerRow] = ()
    credentials: Sequence[Credential] = ()
    revocations: Collection[bytes] = ()
    """Digests of subjects and token ids whose tokens open nothing any more."""


class Caller(Struct, frozen=True, kw_only=True):
    """Somebody with a name and what they may do."""

    name: str
    scopes: tuple[Scope, ...]
    limits: CallerLimits

    def may(self, wanted: Scope) -> bool:
        """Whether one of the scopes covers it."""
        return covers(self.scopes, wanted)


class Registry:
    """Built from the journal's rows and the configured roles."""

    def __init__(self, roll: Roll, roles: Mapping[str, tuple[Scope, ...]], limits: CallerLimits | None = None) -> None:
        self._roles = roles
        self._limits = limits or CallerLimits()
        self.revocations = frozenset(roll.revocations)
        self.callers = {row.name: self._caller(row) for row in roll.callers if row.revoked_us is None}
        self._keys = {c.id: c for c in roll.credentials if c.kind == "key"}
        self._others = {(c.kind, c.digest): c for c in roll.credentials if c.kind != "key" and c.revoked_us is None}

    def by_key(self, text: str, now_us: int) -> Caller:
        """Raises `Denied`. As much work for a key that does not exist as for one that does."""
        read = read_key(text)
        key_id, digest = read or ("", _NOBODY)
        found = self._keys.get(key_id)
        genuine = hmac.compare_digest(found.digest if found is not None else _NOBODY, digest)
        if found is None or not genuine:
            raise Denied("The API key is not valid.", "unknown")
        return self._in_force(found, "The API key", now_us)

    def by_certificate(self, fingerprint: bytes, subject: bytes, now_us: int) -> Caller:
        """Digests of a client certificate that the listener has verified, and of its subject. Raises `Denied`."""
        found = self._others.get(("certificate", fingerprint)) or self._others.get(("certificate-subject", subject))
        if found is None:
            raise Denied("The client certificate is not known.", "unknown")
        return self._in_force(found, "The client certificate", now_us)

    def by_subject(self, subject: bytes, pseudonym: str, grants: Iterable[str], now_us: int) -> Caller:
        """A subject that a provider vouches for: bound to a caller here, or with what its token grants. Raises `Denied`."""
        found = self._others.get(("oidc-subject", subject))
        if found is not None:
            return self._in_force(found, "The token", now_us)
        return Caller(name=pseudonym, scopes=self._understood(grants), limits=self._limits)

    def _in_force(self, credential: Credential, what: str, now_us: int) -> Caller:
        caller = self.callers.get(credential.caller)
        if caller is None or credential.revoked_us is not None:
            raise Denied(f"{what} is not valid.", "revoked", credential.caller)
        if credential.expires_us is not None and now_us >= credential.expires_us:
            raise Denied(f"{what} has expired.", "expired", credential.caller)
        return caller

    def _caller(self, row: CallerRow) -> Caller:
        own = {
            name: value for name in CallerLimits.__struct_fields__ if (value := getattr(row.limits, name)) is not None
        }
        given = {name: getattr(self._limits, name) for name in CallerLimits.__struct_fields__}
        return Caller(name=row.name, scopes=expand(row.grants, self._roles), limits=CallerLimits(**given | own))

    def _understood(self, grants: Iterable[str]) -> tuple[Scope, ...]:
        """What a token says in our own words; providers put other words into the same claim."""
        found: list[Scope] = []
        for text in grants:
            try:
                found += expand([text], self._roles)
            except ConfigError:
                continue
        return tuple(found)
