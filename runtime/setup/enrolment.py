"""A region's side of being let in: keys are born here, the request goes out, the answer becomes files.

What waits for an answer is kept beside the region's keys, so that the same command may be run again at any time.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import msgspec
from msgspec import Struct

from runtime import clock, plugins
from runtime.config.assemble import Configuration
from runtime.config.load import convert
from runtime.errors import Refused
from runtime.fleet import enrolment
from runtime.fleet.enrolment import ENROLMENT, Answer, Request, Token
from runtime.fleet.trust import Desk, Trust
from runtime.identity import Identity, load_or_create
from runtime.ports import Scope
from runtime.setup.place import JOURNAL_FILE, Owner, acting_as, agent_user, write

PENDING_FILE = "enrolment.pending"
CREDENTIALS_FILE = "hub.creds"
AUTHORITY_FILE = "hub-ca.pem"
ENROLLED_FILE = "enrolled.json"
LOOK_SECONDS = 2.0
"""Between two looks for the answer."""


class Pending(Struct, frozen=True, kw_only=True):
    """A request that was made and not answered yet. Secret."""

    token: str
    seed: str
    document: bytes


class Enrolled(Struct, frozen=True, kw_only=True):
    """What headquarters has given to this region; nothing in it is secret."""

    region: str
    environment: str
    fingerprint: str
    servers: list[str]
    credentials: str
    tls_ca: str
    release_keys: list[str]


class Host:
    """The files of one region. `folder` holds its keys, and belongs to the agent alone."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.folder = configuration.data_dir / "identity"
        self._owner: Owner | None = agent_user()

    def identity(self) -> Identity:
        """Its signing key; made if this is the first start. Raises `IdentityMissing` when a region lost it."""
        journal = self.configuration.data_dir / JOURNAL_FILE
        with acting_as(self._owner):
            return load_or_create(self.folder, journal_is_new=not journal.exists())

    def put(self, name: str, content: bytes) -> Path:
        """Whole or not at all, for the agent's eyes only."""
        with acting_as(self._owner):
            write(self.folder / name, content, 0o600, None, private=True)
        return self.folder / name

    def pending(self) -> Pending | None:
        """What is waiting for an answer."""
        try:
            return msgspec.json.decode((self.folder / PENDING_FILE).read_bytes(), type=Pending)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def done(self) -> None:
        """Nothing waits any more."""
        (self.folder / PENDING_FILE).unlink(missing_ok=True)

    def named(self, path: Path) -> str:
        """As entrepot.toml names it: relative to its folder where it lies inside."""
        directory = self.configuration.directory
        return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)


class Asked(NamedTuple):
    """Where the request stands. `enrolled`: None while nobody has decided."""

    fingerprint: str
    enrolled: Enrolled | None


async def ask(token: Token, host: Host, *, wait_seconds: float, tell: Callable[[str], None]) -> Asked:
    """Make the request, or go on with the one that was made, and wait for the answer. `tell` gets the fingerprint.

    Raises `Refused` with the reason: expired, another region or environment, used, denied.
    """
    model, trust = host.configuration.model, plugins.trust()
    enrolment.check_token(token, region=model.region, environment=model.environment, now=clock.now_us() // 1_000_000)
    pending = _prepared(token, host, trust)
    fingerprint = enrolment.fingerprint(enrolment.read_request(pending.document))
    authority = host.put(AUTHORITY_FILE, token.ca.encode()) if token.ca else None
    raw = {"servers": token.servers, "credentials": "secret://token", "tls_ca": str(authority or "")}
    settings = convert(raw, plugins.hub().settings, where="the token")
    scope = Scope(
        region=token.region,
        environment=token.environment,
        directory=str(host.folder),
        secret=lambda _: token.login.encode(),
    )
    async with trust.desk(settings, scope) as desk:
        await _request(desk, token, pending)
        tell(fingerprint)
        answer = await _answered(desk, token, wait_seconds)
    if answer is None:
        return Asked(fingerprint, None)
    return Asked(fingerprint, _taken(answer, token, pending, host, trust))


def _prepared(token: Token, host: Host, trust: Trust) -> Pending:
    found = host.pending()
    if found is not None and found.token == token.id:
        return found
    identity = host.identity()
    seed, user = trust.make_user()
    request = Request(
        token=token.id,
        region=token.region,
        environment=token.environment,
        user=user,
        signing_key=base64.b64encode(identity.public_key).decode(),
        lanes=sorted(host.configuration.model.lanes),
    )
    document = identity.sign(ENROLMENT, msgspec.json.encode(request, order="sorted").decode())
    pending = Pending(token=token.id, seed=seed, document=document)
    host.put(PENDING_FILE, msgspec.json.encode(pending))
    return pending


async def _request(desk: Desk, token: Token, pending: Pending) -> None:
    """The hub takes one request for a token. Ours may be there already."""
    try:
        await desk.post(token.id, "request", pending.document)
    except Refused:
        if await desk.read(token.id, "request") != pending.document:
            raise Refused(
                "this token has been used before: a token works once",
                hint="if it was not you, tell headquarters at once; ask for a new one",
            ) from None


async def _answered(desk: Desk, token: Token, wait_seconds: float) -> Answer | None:
    """Looks once at least."""
    found = await desk.read(token.id, "answer")
    with anyio.move_on_after(wait_seconds):
        while found is None:
            await anyio.sleep(LOOK_SECONDS)
            found = await desk.read(token.id, "answer")
    return None if found is None else _read(found)


def _read(found: bytes) -> Answer:
    try:
        return msgspec.json.decode(found, type=Answer)
    except msgspec.MsgspecError:
        raise Refused("the answer of headquarters cannot be read", hint="ask headquarters for a new token") from None


def _taken(answer: Answer, token: Token, pending: Pending, host: Host, trust: Trust) -> Enrolled:
    fingerprint = enrolment.fingerprint(enrolment.read_request(pending.document))
    if not answer.approved:
        host.done()
        reason = f": {answer.reason}" if answer.reason else ""
        raise Refused(f"headquarters has denied the request{reason}", hint="ask headquarters; it takes a new token")
    login = trust.read(answer.login)
    expected = (trust.public_key(pending.seed), token.account, token.environment, token.region)
    if (login.user, login.account, login.environment, login.region) != expected or answer.fingerprint != fingerprint:
        raise Refused(
            "the login that came back is not the one that was asked for; nothing was written",
            hint="somebody may sit between this host and headquarters: tell headquarters at once",
        )
    credentials = host.put(CREDENTIALS_FILE, trust.credentials(answer.login, pending.seed).encode())
    enrolled = Enrolled(
        region=token.region,
        environment=token.environment,
        fingerprint=fingerprint,
        servers=token.servers,
        credentials=host.named(credentials),
        tls_ca=host.named(host.folder / AUTHORITY_FILE) if token.ca else "",
        release_keys=token.release_keys,
    )
    host.put(ENROLLED_FILE, msgspec.json.encode(enrolled))
    host.done()
    return enrolled
