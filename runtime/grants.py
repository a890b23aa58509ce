"""Who may call, decided by a person: grant, rotate, revoke, list, audit. Each is one change of the journal, log included.

A secret is in the answer of the call that made it and nowhere else, ever.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from runtime import clock
from runtime.access import claims, ledger
from runtime.access.keys import RANDOM_BYTES, NewKey, new_key
from runtime.access.registry import CallerRow, Credential, Kind, Roll
from runtime.access.scopes import ROLE, parse_scope
from runtime.access.settings import AccessSettings, CallerLimits
from runtime.errors import Permanent, Refused
from runtime.journal import access_log, callers
from runtime.journal.store import Connection
from runtime.kernel import Kernel
from runtime.nearest import nearest

T = TypeVar("T")
ROWS_MAX = 1_000
HOUR_US = 3_600_000_000


class Shown(Struct, frozen=True, kw_only=True):
    """Other ways than a key to show who one is; texts as a person writes them."""

    fingerprints: Sequence[str] = ()
    certificate_subjects: Sequence[str] = ()
    oidc_subjects: Sequence[str] = ()


class Grants:
    """`by` is the user id of who asks, for the log."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._journal = kernel.journal
        self._doorkeeper = kernel.doorkeeper

    @property
    def _settings(self) -> AccessSettings:
        return self._kernel.configuration.model.access

    async def grant(
        self, *, name: str, scopes: Sequence[str], roles: Sequence[str], shown: Shown, limits: CallerLimits,
        key: bool | None, key_hours: float | None, by: int,
    ) -> dict[str, Any]:  # fmt: skip
        """Let a caller do more. `key` None: a new caller gets one unless it shows something else. Raises `ConfigError`, `Refused`."""
        grants = [*scopes, *(f"{ROLE}{role}" for role in roles)]
        for scope in scopes:
            parse_scope(scope)
        for role in roles:
            if role not in self._settings.roles:
                raise Refused(
                    f"there is no role {role!r}{nearest(role, self._settings.roles)}",
                    hint="roles stand in [access.roles] of entrepot.toml",
                )
        others = self._others(shown)
        drawn = new_key(os.urandom(RANDOM_BYTES))
        now = clock.now_us()

        def write(connection: Connection) -> tuple[CallerRow, list[Credential]]:
            roll = callers.everything(connection)
            before = _find(roll, name)
            if before is None and not grants:
                raise Refused(f"{name} would be allowed nothing", hint="add --scope source:NAME:write, or --role ROLE")
            row = _grown(before, name, grants, limits, now)
            fresh = [_credential(name, kind, digest, now) for kind, digest in others]
            if key or (key is None and before is None and not others):
                fresh.append(_key(name, drawn, key_hours, now))
            _unused(roll, fresh)
            callers.put(connection, row)
            for credential in fresh:
                callers.add(connection, credential)
            access_log.append(connection, [_said("granted", name, by, grants=grants, credentials=_told(fresh))])
            return row, fresh

        row, fresh = await self._write(write)
        return self._answer(row, fresh, drawn)

    async def rotate(self, *, name: str, overlap_hours: float, key_hours: float | None, by: int) -> dict[str, Any]:
        """A new key; the older ones hold until the overlap is over. Raises `Refused`."""
        drawn = new_key(os.urandom(RANDOM_BYTES))
        now = clock.now_us()
        until = now + round(overlap_hours * HOUR_US)

        def write(connection: Connection) -> tuple[CallerRow, Credential]:
            roll = callers.everything(connection)
            row = _known(roll, name)
            older = [c.id for c in _in_force(roll, name, now) if c.kind == "key"]
            fresh = _key(name, drawn, key_hours, now)
            callers.expire(connection, older, until)
            callers.add(connection, fresh)
            entry = _said("rotated", name, by, credentials=_told([fresh]), older=older, until=clock.rfc3339(until))
            access_log.append(connection, [entry])
            return row, fresh

        row, fresh = await self._write(write)
        return self._answer(row, [fresh], drawn) | {"older_until": clock.rfc3339(until)}

    async def revoke(
        self, *, name: str | None, credentials: Sequence[str], scopes: Sequence[str], subjects: Sequence[str],
        token_ids: Sequence[str], by: int,
    ) -> dict[str, Any]:  # fmt: skip
        """Take away a caller, some of its credentials or scopes, or what a provider's tokens open. At once. Raises `Refused`."""
        now = clock.now_us()
        banned = [self._oidc(claims.SUBJECT, text) for text in subjects]
        banned += [self._oidc(claims.JTI, text) for text in token_ids]

        def write(connection: Connection) -> dict[str, Any]:
            roll = callers.everything(connection)
            done: dict[str, Any] = {"subjects": len(subjects), "token_ids": len(token_ids)}
            for credential in credentials:
                if credential not in {c.id for c in roll.credentials if name in (None, c.caller)}:
                    raise Refused(f"there is no credential {credential}", hint="`entrepot access list` shows them")
            ids = list(credentials)
            if name is not None:
                row = _known(roll, name)
                if scopes:
                    kept = [grant for grant in row.grants if grant not in scopes]
                    callers.put(connection, msgspec.structs.replace(row, grants=kept))
                elif not credentials:
                    ids = [c.id for c in roll.credentials if c.caller == name and c.revoked_us is None]
                    callers.put(connection, msgspec.structs.replace(row, revoked_us=now))
            callers.revoke(connection, ids, now)
            callers.ban(connection, banned, now)
            done |= {"caller": name or "", "credentials": ids, "scopes": list(scopes)}
            access_log.append(connection, [{"event": "revoked", "by": f"uid {by}", **done}])
            return done

        return await self._write(write)

    async def everybody(self) -> list[dict[str, Any]]:
        """Everybody, with credentials and what they may do."""
        roll = await self._journal.read(callers.everything)
        return [self._caller(row, [c for c in roll.credentials if c.caller == row.name]) for row in roll.callers]

    async def audit(self, *, after: int = 0, limit: int = 100) -> dict[str, Any]:
        """The newest entries (or those after a number), and whether the chain of all of them holds."""
        await self._doorkeeper.flush()
        stated = await self._journal.read(access_log.head)
        count = int(stated.partition(" ")[0] or 0)
        number, chain, problem = 0, ledger.START, ""
        while not problem and number < count:
            rows = await self._journal.read(
                partial(access_log.page, after=number, rows_max=min(ROWS_MAX, count - number))
            )
            if not rows:
                problem = f"the access log ends at entry {number}, but {count} were written"
            number, chain, problem = ledger.follow(rows, number, chain) if rows else (number, chain, problem)
        if not problem and stated not in ("", f"{number} {chain.hex()}"):
            problem = "the newest entries of the access log are not the ones that were written"
        first = after or max(0, number - limit)
        shown = await self._journal.read(partial(access_log.page, after=first, rows_max=min(limit, ROWS_MAX)))
        entries = [{"number": n, **json.loads(entry)} for n, entry, _ in shown]
        return {"ok": not problem, "problem": problem, "count": number, "chain": chain.hex(), "entries": entries}

    async def note(self, verb: str, by: int, **said: Any) -> None:
        """An administrative verb was asked for by somebody who may."""
        entry = {"event": "administered", "verb": verb, "by": f"uid {by}", **said}
        await self._journal.write(lambda connection: access_log.append(connection, [entry]))

    # ------------------------------------------------------------ means

    async def _write(self, change: Callable[[Connection], T]) -> T:
        answer = await self._journal.write(change)
        await self._doorkeeper.load()
        return answer

    def _others(self, shown: Shown) -> list[tuple[Kind, bytes]]:
        found: list[tuple[Kind, list[bytes]]] = [
            ("certificate", [_fingerprint(text) for text in shown.fingerprints]),
            ("certificate-subject", [sha256(text.encode()).digest() for text in shown.certificate_subjects]),
            ("oidc-subject", [self._oidc(claims.SUBJECT, text) for text in shown.oidc_subjects]),
        ]
        return [(kind, digest) for kind, digests in found for digest in digests]

    def _oidc(self, kind: str, text: str) -> bytes:
        if self._settings.oidc is None:
            raise Refused("no identity provider is configured", hint="[access.oidc] of entrepot.toml names one")
        return claims.identity_digest(kind, self._settings.oidc.issuer, text)

    def _answer(self, row: CallerRow, fresh: list[Credential], drawn: NewKey) -> dict[str, Any]:
        answer = self._caller(row, fresh)
        if any(credential.id == drawn.id for credential in fresh):
            answer["key"] = drawn.text
        return answer

    def _caller(self, row: CallerRow, credentials: Sequence[Credential]) -> dict[str, Any]:
        roles = [grant.removeprefix(ROLE) for grant in row.grants if grant.startswith(ROLE)]
        now = clock.now_us()
        return {
            "name": row.name,
            "scopes": [grant for grant in row.grants if not grant.startswith(ROLE)],
            "roles": roles,
            "roles_missing": [role for role in roles if role not in self._settings.roles],
            "limits": {k: v for k, v in msgspec.to_builtins(row.limits).items() if v is not None},
            "created_at": clock.rfc3339(row.created_us),
            "revoked_at": None if row.revoked_us is None else clock.rfc3339(row.revoked_us),
            "credentials": [_shown(credential, now) for credential in credentials],
        }


def _find(roll: Roll, name: str) -> CallerRow | None:
    return next((row for row in roll.callers if row.name == name and row.revoked_us is None), None)


def _known(roll: Roll, name: str) -> CallerRow:
    row = _find(roll, name)
    if row is None:
        names = [row.name for row in roll.callers if row.revoked_us is None]
        raise Refused(f"there is no caller {name!r}{nearest(name, names)}", hint="`entrepot access list` shows them")
    return row


def _grown(before: CallerRow | None, name: str, grants: Sequence[str], limits: CallerLimits, now: int) -> CallerRow:
    if before is None:
        return CallerRow(name=name, grants=list(dict.fromkeys(grants)), limits=limits, created_us=now)
    own = {field: getattr(limits, field) for field in CallerLimits.__struct_fields__}
    changed = {field: value for field, value in own.items() if value is not None}
    return msgspec.structs.replace(
        before,
        grants=list(dict.fromkeys([*before.grants, *grants])),
        limits=msgspec.structs.replace(before.limits, **changed),
    )


def _in_force(roll: Roll, name: str, now: int) -> list[Credential]:
    return [
        c
        for c in roll.credentials
        if c.caller == name and c.revoked_us is None and (c.expires_us is None or c.expires_us > now)
    ]


def _credential(name: str, kind: Kind, digest: bytes, now: int) -> Credential:
    return Credential(id=os.urandom(6).hex(), caller=name, kind=kind, digest=digest, created_us=now)


def _key(name: str, drawn: NewKey, hours: float | None, now: int) -> Credential:
    expires = None if hours is None else now + round(hours * HOUR_US)
    return Credential(id=drawn.id, caller=name, kind="key", digest=drawn.digest, created_us=now, expires_us=expires)


def _unused(roll: Roll, fresh: Sequence[Credential]) -> None:
    taken = {(c.kind, c.digest): c.caller for c in roll.credentials if c.revoked_us is None}
    for credential in fresh:
        owner = taken.get((credential.kind, credential.digest))
        if owner is not None:
            raise Refused(f"this {credential.kind} already stands for {owner}", hint="revoke it there first")


def _fingerprint(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        digest = b""
    if len(digest) != sha256().digest_size:
        raise Permanent("a fingerprint is 64 hex digits: SHA-256 of the certificate", hint="or name its file instead")
    return digest


def _said(event: str, name: str, by: int, **more: Any) -> dict[str, Any]:
    return {"event": event, "caller": name, "by": f"uid {by}", **more}


def _told(credentials: Sequence[Credential]) -> list[dict[str, Any]]:
    return [
        {"id": c.id, "kind": c.kind, "expires_at": None if c.expires_us is None else clock.rfc3339(c.expires_us)}
        for c in credentials
    ]


def _shown(credential: Credential, now: int) -> dict[str, Any]:
    state = "in force"
    if credential.revoked_us is not None:
        state = "revoked"
    elif credential.expires_us is not None and credential.expires_us <= now:
        state = "expired"
    return {
        "id": credential.id,
        "kind": credential.kind,
        "state": state,
        "created_at": clock.rfc3339(credential.created_us),
        "expires_at": None if credential.expires_us is None else clock.rfc3339(credential.expires_us),
    }
