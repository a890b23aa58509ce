"""Headquarters' side of letting regions in: tokens, decisions, renewals, revocation. `fleet.enrolment` decides, this does.

Everything that must be remembered stands at the hub, in a stream from which nothing can be deleted.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
import msgspec
from msgspec import Struct

from runtime import clock, plugins
from runtime.config.load import convert, read_toml
from runtime.errors import ConfigError, Refused
from runtime.fleet import enrolment
from runtime.fleet.enrolment import LOGIN_SECONDS, Answer, Enrolment, Offer, Renewable, Token
from runtime.fleet.trust import Desk, Login
from runtime.ports import Scope, StreamReport

PLACE = "hub.toml"
ISSUER = "issuer.seed"
OPERATOR = "operator-signing.seed"
HEADQUARTERS = "hq"
TOKEN_ID_BYTES = 8


class Place(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """hub.toml in a folder of keys, as `topology hub-config` writes it."""

    environment: str
    account: str
    servers: list[str]
    websockets: list[str] = []
    replicas: int = 1
    tls_ca: str = ""
    credentials: str
    release_keys: list[str] = []


class Renewed(NamedTuple):
    """What came of one region's login."""

    region: str
    state: str
    """renewed, not due, not asked, refused."""
    reason: str = ""
    ends_at: int = 0


class Office:
    """Works with one folder of keys. Raises `ConfigError` for one that is incomplete."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.place = convert(read_toml(directory / PLACE), Place, where=str(directory / PLACE))
        self._trust = plugins.trust()

    async def offer(self, region: str, *, seconds: int, websocket: bool, release_keys: Sequence[str], by: str) -> Token:
        """A token that works once. Raises `ConfigError` for a name that no region can have."""
        now, place, identifier = _now(), self.place, secrets.token_hex(TOKEN_ID_BYTES)
        self._login("agent", region, self._trust.make_user()[1], now)
        seed, user = self._trust.make_user()
        login = self._login("enroller", identifier, user, now, seconds=seconds)
        offered = Offer(region=region, environment=place.environment, expires_at=now + seconds, by=by)
        async with self._desk() as desk:
            await desk.prepare(place.environment, place.replicas)
            await desk.post(identifier, "token", msgspec.json.encode(offered))
        return Token(
            id=identifier,
            region=region,
            environment=place.environment,
            expires_at=now + seconds,
            servers=place.websockets if websocket else place.servers,
            ca=(self.directory / place.tls_ca).read_text() if place.tls_ca else "",
            account=place.account,
            login=self._trust.credentials(login, seed),
            release_keys=list(release_keys) or place.release_keys,
        )

    async def enrolments(self) -> list[Enrolment]:
        """All that stand at the hub, oldest first."""
        async with self._desk() as desk:
            return await _gathered(desk)

    async def approve(self, named: str, *, by: str) -> tuple[Enrolment, list[StreamReport]]:
        """Sign the login, record the region's key, make its streams. Raises `Refused` with the reason."""
        now = _now()
        async with self._desk() as desk:
            one = enrolment.decidable(await _gathered(desk), named, environment=self.place.environment, now=now)
            asked = one.request
            assert asked is not None, "decidable gives requests only"
            login = self._login("agent", asked.region, asked.user, now, lanes=asked.lanes)
            reports = await desk.make_streams(asked.region, self.place.environment, asked.lanes, self.place.replicas)
            answer = Answer(
                approved=True,
                fingerprint=one.fingerprint,
                login=login,
                signing_key=asked.signing_key,
                user=asked.user,
                region=asked.region,
                by=by,
            )
            await desk.post(one.id, "answer", msgspec.json.encode(answer))
        return one, reports

    async def deny(self, named: str, *, reason: str, by: str) -> Enrolment:
        """Raises `Refused` when it cannot be answered any more."""
        async with self._desk() as desk:
            gathered = await _gathered(desk)
            one = enrolment.decidable(gathered, named, environment=self.place.environment, now=_now())
            answer = Answer(approved=False, fingerprint=one.fingerprint, reason=reason, by=by)
            await desk.post(one.id, "answer", msgspec.json.encode(answer))
        return one

    async def renew(self) -> list[Renewed]:
        """A new login for each region whose own is half over and that has asked."""
        async with self._desk() as desk:
            found = enrolment.in_force(await _gathered(desk))
            return [await self._renewed(desk, region, one) for region, one in sorted(found.items())]

    async def _renewed(self, desk: Desk, region: str, one: Enrolment) -> Renewed:
        now = _now()
        said, left = await desk.renewal(region)
        if said is None:
            return Renewed(region, "not asked")
        try:
            asked = msgspec.json.decode(said, type=Renewable)
            answered_at = 0 if left is None else self._read(left).issued_at
            if not enrolment.renewal_due(one, asked, answered_at=answered_at, now=now):
                return Renewed(region, "not due", ends_at=asked.expires_at)
        except (Refused, msgspec.MsgspecError) as error:
            return Renewed(region, "refused", str(error))
        await desk.leave_login(region, self._login("agent", region, asked.user, now, lanes=asked.lanes))
        return Renewed(region, "renewed", ends_at=now + LOGIN_SECONDS)

    async def revoke(self, region: str, operations: Path) -> list[Enrolment]:
        """The hub throws the region out and lets it in no more. `operations`: the folder that vouches for accounts."""
        other, operator = Office(operations), _seed(operations / OPERATOR)
        async with self._desk() as desk:
            mine = enrolment.let_in(await _gathered(desk), region)
            if not mine:
                raise Refused(f"region {region} has no login in force", hint="`entrepot fleet enrol list` shows all")
            async with other._desk() as system:
                users = [user for _, user in mine]
                fresh = await system.revoke(self.place.account, users, operator=operator, now=_now())
            kept = operations / f"account-{self.place.environment}.jwt"
            await anyio.to_thread.run_sync(write, kept, fresh.encode() + b"\n", 0o644)
            for one, _ in mine:
                await desk.post(one.id, "revoked", b"{}")
        return [one for one, _ in mine]

    def issue(self, role: str, name: str, *, seconds: int) -> str:
        """Credentials for a person or a program of headquarters. Secret."""
        seed, user = self._trust.make_user()
        return self._trust.credentials(self._login(role, name, user, _now(), seconds=seconds), seed)

    def _login(
        self, role: str, name: str, user: str, now: int, *, lanes: Sequence[str] = (), seconds: int = LOGIN_SECONDS
    ) -> str:
        place = self.place
        return self._trust.login(
            role,
            name,
            issuer=_seed(self.directory / ISSUER),
            account=place.account,
            environment=place.environment,
            user=user,
            lanes=lanes,
            now=now,
            seconds=seconds,
        )

    def _read(self, token: bytes) -> Login:
        return self._trust.read(token.decode("ascii", "replace"))

    @asynccontextmanager
    async def _desk(self) -> AsyncIterator[Desk]:
        place = self.place
        raw: dict[str, Any] = {"servers": place.servers, "credentials": place.credentials, "tls_ca": place.tls_ca}
        settings = convert(raw, plugins.hub().settings, where=str(self.directory / PLACE))
        scope = Scope(
            region=HEADQUARTERS, environment=place.environment, directory=str(self.directory), secret=_no_secret
        )
        async with self._trust.desk(settings, scope) as desk:
            yield desk


async def _gathered(desk: Desk) -> list[Enrolment]:
    return enrolment.gather((posted.subject, posted.body) for posted in await desk.enrolments())


def public_key(one: Enrolment) -> bytes:
    """With what a region signs, as it was approved: the file that `entrepot verify --public-key` takes."""
    key = one.answer.signing_key if one.answer else one.request.signing_key if one.request else ""
    return base64.b64encode(base64.b64decode(key)) + b"\n"


def write(path: Path, content: bytes, mode: int) -> None:
    """Whole, or not at all. Raises `ConfigError`."""
    unfinished = path.with_name(f".{path.name}.new")
    try:
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror})", hint="name another place") from None


def _seed(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({type(error).__name__})", hint="name the folder that `topology hub-config` wrote"
        ) from None


def _no_secret(name: str) -> bytes:
    raise ConfigError(f"{name}: a folder of keys has files, no secrets by name")


def _now() -> int:
    return clock.now_us() // 1_000_000
