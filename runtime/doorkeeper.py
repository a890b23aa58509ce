"""Lets callers in: who shows this key, token or certificate, may they do this, and how much is left of their day?

Answers from memory. What must be written down (first uses, denials, days) goes to the journal a moment later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

import anyio
from msgspec import Struct

from runtime import clock
from runtime.access import claims
from runtime.access.allowance import Allowance
from runtime.access.claims import Claims
from runtime.access.denial import Denied
from runtime.access.keys import PREFIX
from runtime.access.registry import Caller, Registry, Roll
from runtime.access.scopes import Scope, parse_roles
from runtime.access.settings import AccessSettings, OidcSettings
from runtime.access.tally import Tally
from runtime.errors import Forbidden, Refused
from runtime.fetch import fetch_document
from runtime.journal import access_log, callers
from runtime.journal.journal import Journal
from runtime.journal.store import Connection
from runtime.keyring import Keyring
from runtime.policy import jws
from runtime.policy.keyset import KEYS_BYTES_MAX, Keyset
from runtime.ports import Request

FLUSH_SECONDS = 1.0
"""At most so much of a day's count, and of what only counts, is lost by a kill."""
TOKENS_MAX = 1_000
"""Verified tokens kept in memory: an RSA signature costs about 40 µs each time."""
ALLOWANCES_MAX = 10_000
TOKEN_CHARS_MAX = 8_192
_DOES = {"write": "send to", "check": "try messages at", "receipts": "ask for receipts of"}


class _Count(Struct, frozen=True):
    """What is counted for the log: a caller ("" when unknown), and why it was turned away ("" when it was not)."""

    caller: str
    reason: str
    source: str
    """Or a part of the API: `api:stock`."""


class Doorkeeper:
    """One region's. `load` before the first request; `run` writes down until cancelled."""

    def __init__(self, journal: Journal, settings: AccessSettings, log: Callable[..., None] | None = None) -> None:
        self._journal = journal
        self.log = log or (lambda _event, **_fields: None)
        self._roll = Roll()
        self._tally: Tally[_Count] = Tally()
        self._entries: list[dict[str, Any]] = []
        self._allowances: dict[str, Allowance] = {}
        self._kept: dict[str, tuple[int, int]] = {}
        self._tokens: dict[bytes, Claims] = {}
        self._tokens_of: Keyset = {}
        self._keyring: Keyring | None = None
        self._keys_of: OidcSettings | None = None
        self._changed = anyio.Event()
        self.use(settings)

    # ------------------------------------------------------------ what is known

    def use(self, settings: AccessSettings) -> None:
        """Roles, limits and identity provider of another configuration."""
        self._settings = settings
        if settings.oidc != self._keys_of:
            oidc = self._keys_of = settings.oidc
            fetch = partial(fetch_document, oidc.jwks, KEYS_BYTES_MAX) if oidc else None
            self._keyring = Keyring(fetch, lambda: clock.now_us() // 1_000_000, self.log) if fetch else None
            self._tokens.clear()
            self._changed.set()
        self._know(self._roll)

    async def load(self) -> None:
        """Know what the journal knows: at the start, and after each grant, rotation and revocation."""
        roll, days = await self._journal.read(lambda c: (callers.everything(c), callers.days(c)))
        for name, day, requests in days:
            if name not in self._allowances:
                self._kept[name] = (day, requests)
        self._know(roll)

    def _know(self, roll: Roll) -> None:
        self._roll = roll
        self.roles = parse_roles(self._settings.roles)
        self.registry = Registry(roll, self.roles, self._settings.limits)
        for name, allowance in self._allowances.items():
            limits = self._limits(name)
            if allowance.limits != limits:
                allowance.use(limits)

    def _limits(self, name: str) -> Any:
        caller = self.registry.callers.get(name)
        return self._settings.limits if caller is None else caller.limits

    # ------------------------------------------------------------ each request

    def admit(self, source: str, request: Request) -> str:
        """The name of a caller who may do this at a source. Raises `Denied`, `Forbidden`, `Retryable`."""
        return self.authorize(("source", source, request.purpose), request)

    def authorize(self, wanted: Scope, request: Request) -> str:
        """The name of a caller whose scopes cover what is wanted. Raises `Denied`, `Forbidden`, `Retryable`."""
        area, name, verb = wanted
        place = name if area == "source" else f"{area}:{name}"
        now_us = clock.now_us()
        try:
            caller = self._identify(request, now_us)
        except Denied as error:
            self._count(_Count(error.caller, error.reason, place), now_us)
            raise
        if not caller.may(wanted):
            self._count(_Count(caller.name, "scope", place), now_us)
            raise Forbidden(
                f"This caller may not {_DOES[verb]} source {name}."
                if area == "source"
                else f"This caller lacks the scope {':'.join(wanted)}."
            )
        self._count(_Count(caller.name, "", place), now_us)
        return caller.name

    def allowance(self, caller: str) -> Allowance:
        """What is left to this caller."""
        found = self._allowances.get(caller)
        if found is None:
            if len(self._allowances) >= ALLOWANCES_MAX:
                self._forget_idle()
            found = self._allowances[caller] = Allowance(self._limits(caller), *self._kept.pop(caller, (0, 0)))
        return found

    def over_limit(self, caller: str, source: str) -> None:
        """This caller was told to wait."""
        self._count(_Count(caller, "limit", source), clock.now_us())

    def turned_away(self, uid: int) -> None:
        """A user of this machine may not administer the agent."""
        self._count(_Count(f"uid {uid}", "uid", ""), clock.now_us())

    def _identify(self, request: Request, now_us: int) -> Caller:
        given = request.headers.get("authorization")
        if given is None:
            shown = request.certificate
            if shown is None:
                raise Denied("The header authorization is missing.", "missing")
            return self.registry.by_certificate(shown.fingerprint, _digest(shown.subject), now_us)
        scheme, _, credential = given.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential.isascii():
            raise Denied("The header authorization holds no bearer key or token.", "unknown")
        if credential.startswith(PREFIX) or self._settings.oidc is None:
            return self.registry.by_key(credential, now_us)
        return self._by_token(self._settings.oidc, credential.encode(), now_us)

    def _by_token(self, oidc: OidcSettings, text: bytes, now_us: int) -> Caller:
        said = self._verified(oidc, text)
        claims.check_time(said, oidc.clock_skew_seconds, now_us / 1_000_000)
        subject = claims.identity_digest(claims.SUBJECT, oidc.issuer, said.subject)
        token_id = claims.identity_digest(claims.JTI, oidc.issuer, said.token_id)
        if subject in self.registry.revocations or token_id in self.registry.revocations:
            raise Denied("The token is not valid.", "revoked", pseudonym(subject))
        return self.registry.by_subject(subject, pseudonym(subject), said.grants, now_us)

    def _verified(self, oidc: OidcSettings, text: bytes) -> Claims:
        """Raises `Denied`, `Retryable`. A token is verified once as long as the provider's keys stay the same."""
        assert self._keyring is not None, "made with the settings"
        if len(text) > TOKEN_CHARS_MAX:
            raise Denied("The token is too long.", "token")
        name = sha256(text).digest()
        known = self._tokens.get(name)
        if known is not None and self._keyring("") is self._tokens_of:
            return known
        try:
            token = jws.split(text)
            keys = self._keyring(token.header.kid)
            jws.verify(token, keys)
        except Refused as error:
            raise Denied(str(error), "token") from None
        said = claims.read_claims(token.payload, oidc)
        if keys is not self._tokens_of or len(self._tokens) >= TOKENS_MAX:
            self._tokens, self._tokens_of = {}, keys
        self._tokens[name] = said
        return said

    def _forget_idle(self) -> None:
        """Subjects of a provider are as many as it likes: those that are not at it now begin anew."""
        self._allowances = {n: a for n, a in self._allowances.items() if a.in_flight or n in self.registry.callers}

    # ------------------------------------------------------------ what is written down

    def _count(self, what: _Count, now_us: int) -> None:
        count = self._tally.count(what, now_us / 1_000_000)
        if count is not None:
            self._entries.append(_entry(what, count))
            self._changed.set()

    async def run(self) -> None:
        """Write down what was counted, and keep the provider's keys fresh."""
        while True:
            self._changed = anyio.Event()
            keyring = self._keyring
            async with anyio.create_task_group() as tasks:
                if keyring is not None:
                    tasks.start_soon(keyring.run)
                while self._keyring is keyring:
                    await self.flush()
                    with anyio.move_on_after(FLUSH_SECONDS):
                        await self._changed.wait()
                    self._changed = anyio.Event()
                tasks.cancel_scope.cancel()

    async def flush(self, *, last: bool = False) -> None:
        """Write what waits; at an orderly stop (`last`) also the counts of this hour."""
        told = list(self._tally.rest()) if last else self._tally.overdue(clock.now_us() / 1_000_000)
        self._entries += [_entry(what, count) for what, count in told]
        entries, self._entries = self._entries, []
        days = {n: (a.day, a.requests) for n, a in self._allowances.items() if a.limits.requests_per_day_max}
        changed = [(name, *used) for name, used in days.items() if self._kept.get(name) != used]
        if not entries and not changed:
            return

        def write(connection: Connection) -> None:
            access_log.append(connection, entries)
            callers.keep_days(connection, changed)

        try:
            await self._journal.write(write)
        except BaseException:
            self._entries = entries + self._entries
            raise
        self._kept |= {name: days[name] for name, *_ in changed}


def pseudonym(subject: bytes) -> str:
    """What a subject of the provider is called here: the same each time, and nobody's name."""
    return f"oidc-{subject.hex()[:16]}"


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _entry(what: _Count, count: int) -> dict[str, Any]:
    said = {"event": "denied", "reason": what.reason} if what.reason else {"event": "used"}
    return {**said, "caller": what.caller, "source": what.source, "count": count}
