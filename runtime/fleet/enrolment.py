"""How a region gets its login: a one-time token, a request with keys born on its host, a fingerprint that two people
compare, an answer. What may be asked, and what may be answered, is decided here. Pure.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from runtime.envelope import Signed
from runtime.errors import ConfigError, Refused
from runtime.fleet.signing import key_id
from runtime.record import signing_input

ENROLMENT = "enrolment"
"""Kind of the region's signature."""
TOKEN_MARK = "entrepot-token-1."  # noqa: S105
TOKEN_BYTES_MAX = 16_384
REQUEST_BYTES_MAX = 16_384
LANES_MAX = 32
LOGIN_SECONDS = 7 * 86_400
"""Life of an agent's login; it is renewed at half of it."""
FINGERPRINT_GROUPS = 6

State = Literal["open", "expired", "requested", "approved", "denied", "revoked", "refused"]
Part = Literal["token", "request", "answer", "revoked"]


class Token(Struct, frozen=True, kw_only=True):
    """What headquarters hands over, out of band: the only secret in it is a login that can ask once."""

    id: str
    region: str
    environment: str
    expires_at: int
    """Seconds since 1970."""
    servers: list[str]
    ca: str
    """PEM of the hub's private authority; empty: a public one."""
    account: str
    """Public key of the account whose logins count."""
    login: str
    """A `.creds` text. Secret."""
    release_keys: list[str] = []
    """Of headquarters: whose configuration counts. Base64."""


class Offer(Struct, frozen=True, kw_only=True):
    """What headquarters remembers of a token; stands at the hub and holds no secret."""

    region: str
    environment: str
    expires_at: int
    by: str = ""


class Request(Struct, frozen=True, kw_only=True):
    """What a region asks with; signed with its own key, so that headquarters can verify its checkpoints later."""

    token: str
    region: str
    environment: str
    user: str
    """Public key of the login; its seed never leaves the host."""
    signing_key: str
    """The region's Ed25519 key, base64."""
    lanes: list[str]


class Answer(Struct, frozen=True, kw_only=True):
    """What headquarters has decided."""

    approved: bool
    fingerprint: str
    reason: str = ""
    login: str = ""
    """JWT for the key of the request; worthless without its seed."""
    signing_key: str = ""
    """Recorded: checkpoints of this region are checked with it."""
    user: str = ""
    region: str = ""
    by: str = ""


class Enrolment(Struct, frozen=True, kw_only=True):
    """One token and what became of it."""

    id: str
    offer: Offer
    request: Request | None = None
    answer: Answer | None = None
    fault: str = ""
    """Why the request does not count."""
    revoked: bool = False

    @property
    def fingerprint(self) -> str:
        """Of the request; empty before there is one."""
        return fingerprint(self.request) if self.request else ""

    def state(self, now: int) -> State:
        """`now`: seconds since 1970."""
        if self.revoked:
            return "revoked"
        if self.answer is not None:
            return "approved" if self.answer.approved else "denied"
        if self.fault:
            return "refused"
        if now >= self.offer.expires_at:
            return "expired"
        return "requested" if self.request else "open"


def write_token(token: Token) -> str:
    """One line of text. Secret."""
    packed = zlib.compress(msgspec.json.encode(token), 9)
    return TOKEN_MARK + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_token(text: str) -> Token:
    """Raises `ConfigError` for a text that is none."""
    text = "".join(text.split())
    sentence = "this is no enrolment token, or a part of it is missing"
    hint = "take the whole line that headquarters' `entrepot fleet enrol new` wrote; a file is safest"
    if not text.startswith(TOKEN_MARK) or len(text) > TOKEN_BYTES_MAX:
        raise ConfigError(sentence, hint=hint)
    packed = text.removeprefix(TOKEN_MARK)
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), TOKEN_BYTES_MAX)
        return msgspec.json.decode(content, type=Token)
    except (ValueError, zlib.error, msgspec.MsgspecError):
        raise ConfigError(sentence, hint=hint) from None


def fingerprint(request: Request) -> str:
    """Six groups of four: what both sides read to each other. Covers every word of the request."""
    digest = sha256(msgspec.json.encode(request, order="sorted")).hexdigest()
    return "-".join(digest[at : at + 4] for at in range(0, 4 * FINGERPRINT_GROUPS, 4))


def check_token(token: Token, *, region: str, environment: str, now: int) -> None:
    """May this host use it? Raises `Refused`."""
    if now >= token.expires_at:
        raise Refused("the token has expired", hint="ask headquarters for a new one")
    if token.region != region:
        raise Refused(
            f"the token is for region {token.region}, this is {region}", hint="ask headquarters for the right one"
        )
    if token.environment != environment:
        raise Refused(
            f"the token is for environment {token.environment}, this agent's is {environment}",
            hint="test and prod never mix: ask headquarters for the right one",
        )


def read_request(document: bytes) -> Request:
    """A request whose signature is that of the key in it. Raises `Refused`."""
    if len(document) > REQUEST_BYTES_MAX:
        raise Refused(f"the request has {len(document)} bytes, at most {REQUEST_BYTES_MAX} are read")
    try:
        signed = msgspec.json.decode(document, type=Signed)
        request = msgspec.json.decode(signed.statement, type=Request)
        key = base64.b64decode(request.signing_key, validate=True)
        signature = base64.b64decode(signed.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signing_input(ENROLMENT, signed.statement))
    except InvalidSignature:
        raise Refused("the request is not signed with the key that it names") from None
    except (ValueError, msgspec.MsgspecError):
        raise Refused("the request cannot be read") from None
    if signed.key_id != key_id(key):
        raise Refused("the request names another key than the one that signed it")
    return request


def gather(posted: Iterable[tuple[str, bytes]]) -> list[Enrolment]:
    """From (subject, body) in the order of the hub; that of the result is by what happened last. What nobody has
    offered is left out.
    """
    parts: dict[str, dict[str, bytes]] = {}
    for subject, body in posted:
        words = subject.split(".")
        if len(words) == 3:
            said = parts.pop(words[1], {})
            said.setdefault(words[2], body)
            parts[words[1]] = said
    return [found for identifier, said in parts.items() if (found := _one(identifier, said)) is not None]


def _one(identifier: str, said: Mapping[str, bytes]) -> Enrolment | None:
    try:
        offer = msgspec.json.decode(said["token"], type=Offer)
        answer = msgspec.json.decode(said["answer"], type=Answer) if "answer" in said else None
    except (KeyError, msgspec.MsgspecError):
        return None
    request, fault = None, ""
    if "request" in said:
        try:
            request = read_request(said["request"])
            _fits(identifier, offer, request)
        except Refused as error:
            fault = str(error)
    return Enrolment(id=identifier, offer=offer, request=request, answer=answer, fault=fault, revoked="revoked" in said)


def _fits(identifier: str, offer: Offer, request: Request) -> None:
    if request.token != identifier:
        raise Refused("the request names another token: it was copied from elsewhere")
    if request.region != offer.region:
        raise Refused(f"the request is for region {request.region}, the token for {offer.region}")
    if request.environment != offer.environment:
        raise Refused(f"the request is for environment {request.environment}, the token for {offer.environment}")
    if len(request.lanes) > LANES_MAX:
        raise Refused(f"the request names {len(request.lanes)} lanes, at most {LANES_MAX} are possible")


def decidable(enrolments: Sequence[Enrolment], named: str, *, environment: str, now: int) -> Enrolment:
    """The request with this fingerprint, if it may be answered now. Raises `Refused` with the reason."""
    wanted = named.strip().lower().replace(" ", "-")
    found = [one for one in enrolments if one.request is not None and one.fingerprint == wanted]
    if not found:
        raise Refused(
            f"no request has the fingerprint {named}",
            hint="`entrepot fleet enrol list` shows them; compare every group with what the region sees",
        )
    one, state = found[-1], found[-1].state(now)
    if one.offer.environment != environment:
        raise Refused(f"the request is for environment {one.offer.environment}, these keys are for {environment}")
    refusals = {
        "expired": "the token of this request has expired",
        "approved": "this request was approved already: a token works once",
        "denied": "this request was denied already: a token works once",
        "revoked": "this login was revoked",
        "refused": one.fault,
    }
    if state in refusals:
        raise Refused(refusals[state], hint="make a new token with `entrepot fleet enrol new`")
    return one


def in_force(enrolments: Sequence[Enrolment]) -> dict[str, Enrolment]:
    """Region → the enrolment that counts: the one approved last. A revocation ends all that came before it."""
    found: dict[str, Enrolment] = {}
    for one in enrolments:
        if one.revoked:
            found.pop(one.offer.region, None)
        elif one.answer is not None and one.answer.approved:
            found[one.offer.region] = one
    return found


def let_in(enrolments: Sequence[Enrolment], region: str) -> list[tuple[Enrolment, str]]:
    """All logins of a region that may still be good, with the public key of each."""
    mine = [one for one in enrolments if one.offer.region == region and not one.revoked]
    return [(one, one.answer.user) for one in mine if one.answer is not None and one.answer.approved]


class Renewable(Struct, frozen=True, kw_only=True):
    """What an agent says of its login; as `sync` writes it."""

    user: str
    issued_at: int
    expires_at: int
    lanes: list[str]


def renewal_due(one: Enrolment, asked: Renewable, *, answered_at: int, now: int) -> bool:
    """Whether the agent gets a new login now. `answered_at`: when the newest one left for it was issued, or 0.

    Raises `Refused` when the request is for another key than the one that two people have compared.
    """
    assert one.answer is not None, "only what was approved is renewed"
    if asked.user != one.answer.user:
        raise Refused(f"the agent of {one.offer.region} asks for another key than the one that was approved")
    if len(asked.lanes) > LANES_MAX:
        raise Refused(
            f"the agent of {one.offer.region} names {len(asked.lanes)} lanes, at most {LANES_MAX} are possible"
        )
    half = (asked.issued_at + asked.expires_at) / 2
    waits = answered_at > asked.issued_at
    return now >= half and not waits
