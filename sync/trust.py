"""The object behind the entry point `entrepot.trust`: lets regions in, renews and revokes their logins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from runtime import record
from runtime.errors import ConfigError, Permanent, Refused
from runtime.ports import Scope, StreamReport
from sync import board, claims, hubfiles, jwt, nkey, permissions, topology
from sync import fleet_names as names
from sync.board import Posted
from sync.channel import Channel
from sync.hubfiles import HubFile
from sync.hubplan import HubPlan
from sync.link import NatsLink
from sync.nkey import Key
from sync.permissions import Permissions, Role


class Login(NamedTuple):
    """What a JWT says of itself, unproven; instants are seconds since 1970."""

    user: str
    account: str
    environment: str
    region: str
    issued_at: int
    expires_at: int


class NatsDesk:
    """A connection and the few messages by which regions are let in."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def prepare(self, environment: str, replicas: int) -> None:
        """See `Desk`."""
        await board.prepare(self._channel, environment=environment, replicas=replicas)

    async def post(self, token_id: str, part: str, body: bytes) -> None:
        """See `Desk`."""
        await board.post(self._channel, names.enrolment(token_id, part), body)

    async def read(self, token_id: str, part: str) -> bytes | None:
        """See `Desk`."""
        found = await board.last(self._channel, names.ENROL_STREAM, names.enrolment(token_id, part))
        return None if found is None else found.body

    async def enrolments(self) -> Sequence[Posted]:
        """See `Desk`."""
        return await board.everything(self._channel, names.ENROL_STREAM)

    async def renewal(self, region: str) -> tuple[bytes | None, bytes | None]:
        """See `Desk`."""
        asked = await board.last(self._channel, names.STATE_STREAM, names.login_request(region))
        given = await board.last(self._channel, names.CONFIG_STREAM, names.login(region))
        return (None if asked is None else asked.body), (None if given is None else given.body)

    async def leave_login(self, region: str, token: str) -> None:
        """See `Desk`."""
        await board.post(self._channel, names.login(region), token.encode())
        await self._channel.write(b"PUB %b 0\r\n\r\n" % names.poke(region).encode())

    async def make_streams(
        self, region: str, environment: str, lanes: Sequence[str], replicas: int
    ) -> list[StreamReport]:
        """See `Desk`."""
        own = [(region, lane) for lane in (*lanes, record.CHECKPOINTS_LANE)]
        reports = []
        for owner, lane in (*own, (names.HEADQUARTERS, region)):
            scope = Scope(region=owner, environment=environment, directory=".", secret=_no_secret)
            made = await topology.compare(self._channel, scope, lane, first=1, replicas=replicas, apply=True)
            reports.append(made)
        return reports

    async def revoke(self, account: str, users: Sequence[str], *, operator: str, now: int) -> str:
        """See `Desk`."""
        return await claims.revoke(self._channel, account, users, _key(operator), now=now)


class NatsTrust:
    """Implements `runtime.fleet.trust.Trust`."""

    plan = HubPlan

    def hub_files(self, plan: HubPlan, given: Mapping[str, bytes], *, now: int) -> Mapping[str, HubFile]:
        """See `Trust`."""
        return hubfiles.build(plan, given, now_seconds=now)

    def make_user(self) -> tuple[str, str]:
        """See `Trust`."""
        made = nkey.make("user")
        return made.seed, made.public

    def public_key(self, seed: str) -> str:
        """See `Trust`."""
        return _key(seed).public

    def login(
        self,
        role: Role,
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
        """See `Trust`."""
        allowed, region = _allowed(role, name, lanes), name if role == "agent" else ""
        nats = permissions.claims(role, allowed, account=account, environment=environment, region=region)
        return jwt.sign(_key(issuer), user, f"{role} {name}".strip(), nats, issued_at=now, expires_at=now + seconds)

    def read(self, token: str) -> Login:
        """See `Trust`."""
        try:
            said = jwt.read(token)
        except ValueError as error:
            raise Refused("this is no login") from error
        tags, account = said.tags, str(said.nats.get("issuer_account", ""))
        return Login(said.sub, account, tags.get("environment", ""), tags.get("region", ""), said.iat, said.exp)

    def credentials(self, token: str, seed: str) -> str:
        """See `Trust`."""
        return jwt.credentials(token, seed)

    @asynccontextmanager
    async def desk(self, settings: Any, scope: Scope) -> AsyncIterator[NatsDesk]:
        """See `Trust`. `settings` is a `HubSettings`."""
        async with NatsLink(settings, scope).opened() as channel:
            yield NatsDesk(channel)


def _allowed(role: Role, name: str, lanes: Sequence[str]) -> Permissions:
    if role == "agent" and not permissions.may_be_a_region(name):
        raise ConfigError(f"no region can be called {name!r}: the name is taken, or no name (a-z, 0-9 and -)")
    if role == "agent":
        wrong = [lane for lane in lanes if not record.NAME.fullmatch(lane)]
        if wrong:
            raise ConfigError(f"{wrong[0]!r} is no name of a lane (a-z, 0-9 and -)")
        return permissions.agent(name, lanes)
    if role == "headquarters":
        return permissions.headquarters()
    if not record.NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name (a-z, 0-9 and -, at most 40)")
    made = {"reader": permissions.reader, "auditor": permissions.auditor, "enroller": permissions.enroller}
    return made[role](name)


def _key(seed: str) -> Key:
    try:
        return Key(seed)
    except ValueError as error:
        raise ConfigError(
            "this file holds no NKey seed", hint="name the one that `topology hub-config` wrote"
        ) from error


def _no_secret(name: str) -> bytes:
    raise Permanent(f"{name}: no secret is needed here")


TRUST = NatsTrust()
