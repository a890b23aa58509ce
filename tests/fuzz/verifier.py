"""Requests of every scheme with one thing or many spoilt: refused, or genuine in all that was signed. Nothing else is raised."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import islice
from random import Random

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from adapters.sdk.recording import RecordingIntake
from adapters.webhook.adapter import Check, _check
from adapters.webhook.schemes import resolve, table
from adapters.webhook.settings import WebhookSettings
from runtime.errors import Forbidden, Refused, Retryable
from runtime.policy.keyset import Keyset
from runtime.ports import Request, SourceContext
from tests.fuzz.campaign import Result, Told
from tests.support.mutation import Mutator

SECRET = b"0123456789abcdef-of-the-shop"
NOW = 1_767_225_600


def _rsa(p: int, q: int) -> rsa.RSAPrivateKey:
    d = rsa.rsa_recover_private_exponent(65_537, p, q)
    numbers = rsa.RSAPublicNumbers(65_537, p * q)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *crt, numbers).private_key()


BODIES = (
    b'{"timestamp": "2026-01-01T00:00:00Z", "payload": {"id": 7}}',
    b'{"id": "O-1", "lines": [{"sku": "A", "qty": 1.5}], "note": "\xc3\xbc"}',
    b"<order><id>7</id></order>",
    b"",
)
PRIMES = (
    int(
        "cddba0fec413d7b9d4fa6184b9015108a522add65ec913314631355b254533fe165f91340b98af0809c8cdf7bcee5ec22561"
        "1ea1bfe6e6537bb0078499a7ecdec9a21cf2d0463442f16818f7c12e9710b01ab527d350e58a898b6471226255680c428904"
        "bbb87813c824eb2897bb3ae2714aa2544950a24fd966f891efc596ab",
        16,
    ),
    int(
        "bf0ee7911245b077b06e45c66267ba16bc8e4846b609eab8d7f44dc384bda5e60ec12dae01a84332886586b21d8c64d4c151"
        "9b325e6fb7b16506a1790aa5d50b3bcc8f08ee14c10671583a67e83eba0b57ddc576233d3b87c77c4023a140a2f7ac8303df"
        "574836e1fbc1c2242ec9194e03f64de7b65cc4d812807ff008d24869",
        16,
    ),
)
"""Of an RSA key that everybody may know: with the same keys the same seed makes the same requests."""
RSA = _rsa(*PRIMES)
EC = ec.derive_private_key(int.from_bytes(sha256(b"fuzz").digest(), "big"), ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.from_private_bytes(sha256(b"fuzz").digest())
ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "HS256": lambda signed: hmac.digest(SECRET, signed, "sha256"),
    "RS256": lambda signed: RSA.sign(signed, padding.PKCS1v15(), SHA256()),
    "ES256": lambda signed: _r_and_s(EC.sign(signed, ec.ECDSA(SHA256(), deterministic_signing=True))),
    "EdDSA": lambda signed: ED.sign(signed),
}


@dataclass(frozen=True)
class Door:
    """A scheme bound to its secrets, and a true request."""

    name: str
    check: Check
    request: Request
    same: Callable[[Request, Request], bool]
    """Whether two requests agree in everything that was signed."""


def run(seed: int, inputs: int, told: Told) -> Result:
    """So many spoilt requests, over all schemes and bodies in turn."""
    result = Result("verifier", seed)
    chosen, mutator = Random(seed), Mutator(seed, [door.request.body for door in doors()])
    for door in doors():
        if (outcome := judge(door, door.request)) != "genuine":
            result.find(f"{door.name}: the true request is {outcome}", door.request)
    for _ in range(inputs):
        door = chosen.choice(doors())
        request = spoil(door.request, mutator)
        try:
            outcome = judge(door, request)
        except Exception as error:
            outcome = "raised"
            result.find(f"{door.name} raised", request, error)
        if outcome == "forged":
            result.find(f"{door.name}: accepted although something signed was changed", request)
        result.count(outcome, told)
    return result


def judge(door: Door, request: Request) -> str:
    """What became of it. Raises whatever the check should not have raised."""
    try:
        door.check(request)
    except Forbidden:
        return "forbidden"
    except Refused:
        return "refused"
    except Retryable:
        return "later"
    return "genuine" if door.same(door.request, request) else "forged"


def spoil(request: Request, mutator: Mutator) -> Request:
    """Its headers, its query, its body, or several of them."""
    draw = mutator.random
    headers, body, query = dict(request.headers), request.body, request.query
    parts = ["body", *headers, *(["query"] if query else [])]
    for part in draw.sample(parts, draw.choice((1, 1, 1, min(2, len(parts))))):
        if part == "body":
            body = mutator.mutate(body)
        elif part == "query":
            query = mutator.mutate(query.encode()).decode("latin-1")
        elif draw.random() < 0.1:
            del headers[part]
        elif draw.random() < 0.1:
            headers[part] = headers[part].swapcase()
        else:
            headers[part] = mutator.mutate(headers[part].encode()).decode("utf-8", "surrogateescape")
    return msgspec.structs.replace(request, headers=headers, body=body, query=query)


# ---------------------------------------------------------------- true requests, made without the verifier


@cache
def doors() -> tuple[Door, ...]:
    """Every row of the table that asks for something, and the schemes that are spelled out."""
    rows = [name for name in table() if name not in {"none", "caller", "jws"}]
    by_table = [_of_row(name, body) for name in rows for body in (BODIES[:1] if name == "usps" else BODIES)]
    tokens = [_token(name, body) for name in ALGORITHMS for body in BODIES]
    return tuple(by_table + tokens + [_public_key(body) for body in BODIES])


def _of_row(name: str, body: bytes) -> Door:
    auth = {"scheme": name} | ({} if table()[name].get("jwks") else {"secrets": ["secret://shop"]})
    scheme = resolve(msgspec.convert({"auth": auth}, WebhookSettings).auth)
    written = b"whsec_" + base64.b64encode(SECRET) if scheme.secret_form == "base64" else SECRET
    check = _check(scheme, [] if scheme.jwks else [written], _keys, _context())
    header = (scheme.header or "").lower()
    if scheme.alg == "bearer":
        return Door(
            name, check, Request(headers={"authorization": f"Bearer {SECRET.decode()}"}, body=body), _credential
        )
    if scheme.alg == "static" and scheme.query:
        return Door(
            name, check, Request(headers={}, body=body, query=f"a=b&{scheme.query}={SECRET.decode()}"), _credential
        )
    if scheme.alg == "static":
        return Door(name, check, Request(headers={header: SECRET.decode()}, body=body), _credential)
    fixed = {"{body}": body, "{ts}": str(NOW).encode(), "{id}": b"msg_1", "{secret}": SECRET}
    fixed |= {"{json:timestamp}": b"2026-01-01T00:00:00Z", "{json:payload}": b'{"id": 7}'}
    signed = scheme.template.encode()
    for mark, value in fixed.items():
        signed = signed.replace(mark.encode(), value)
    raw = {
        "sha256": lambda: sha256(signed).digest(),
        "hmac-sha256": lambda: hmac.digest(SECRET, signed, "sha256"),
        "hmac-sha512": lambda: hmac.digest(SECRET, signed, "sha512"),
        "rsa-sha256": lambda: ALGORITHMS["RS256"](signed),
    }[scheme.alg]()
    text = scheme.prefix + (raw.hex() if scheme.enc == "hex" else base64.b64encode(raw).decode())
    if scheme.timestamp_part:
        text = f"{scheme.timestamp_part}={NOW}{scheme.separator}{text}"
    named = {scheme.timestamp: str(NOW), scheme.id: "msg_1", scheme.key_id: "rsa"}
    headers = {header: text} | {known.lower(): value for known, value in named.items() if known}
    same = _same_fields if "{json:" in scheme.template else _same_body
    return Door(name, check, Request(headers=headers, body=body), same)


def _public_key(body: bytes) -> Door:
    scheme = resolve(
        msgspec.convert({"auth": {"scheme": "standard-webhooks", "secrets": ["secret://shop"]}}, WebhookSettings).auth
    )
    public = b"whpk_" + base64.b64encode(ED.public_key().public_bytes_raw())
    signature = base64.b64encode(ED.sign(b"msg_1.%d.%s" % (NOW, body))).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,AAAA v1a,{signature}"}
    return Door("v1a", _check(scheme, [public], None, _context()), Request(headers=headers, body=body), _same_body)


def _token(algorithm: str, body: bytes) -> Door:
    scheme = resolve(msgspec.convert({"auth": {"scheme": "jws", "secrets": ["secret://shop"]}}, WebhookSettings).auth)
    head = json.dumps({"alg": algorithm, "kid": algorithm[:2].lower()}).encode()
    signed = _url(head) + b"." + _url(body)
    request = Request(headers={}, body=signed + b"." + _url(ALGORITHMS[algorithm](signed)))
    return Door(f"jws {algorithm}", _check(scheme, [SECRET], _keys, _context()), request, _true_token)


def _keys(key_id: str) -> Keyset:
    return {"rsa": RSA.public_key(), "rs": RSA.public_key(), "es": EC.public_key(), "ed": ED.public_key()}


def _context() -> SourceContext:
    return SourceContext(
        name="shop",
        intake=RecordingIntake(),
        secret=lambda _: SECRET,
        directory=".",
        log=lambda *_, **__: None,
        now_us=lambda: NOW * 1_000_000,
    )


def _r_and_s(der: bytes) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in islice(decode_dss_signature(der), 2))


def _url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


# ---------------------------------------------------------------- what may differ in a request that still passes


def _same_body(true: Request, other: Request) -> bool:
    marks = ("webhook-id", "webhook-timestamp", "x-shipengine-timestamp")
    return true.body == other.body and all(true.headers.get(mark) == other.headers.get(mark) for mark in marks)


def _same_fields(true: Request, other: Request) -> bool:
    """The signature is over the values of two members, one behind the other, whatever stands around them."""
    return _joined(true.body) == _joined(other.body)


def _joined(body: bytes) -> bytes:
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return b""
    raw = [bytes(members.get(name, b"")) for name in ("timestamp", "payload")]
    return b"".join(json.loads(one).encode("utf-8", "replace") if one.startswith(b'"') else one for one in raw)


def _true_token(_true: Request, other: Request) -> bool:
    """Any true token will do: a spliced one can be that of another key."""
    return other.body.strip() in {door.request.body for door in doors() if door.name.startswith("jws ")}


def _credential(true: Request, other: Request) -> bool:
    """A credential covers nothing but itself: it must still be there, as it was."""
    said = [*other.headers.values(), other.query]
    return any(SECRET.decode() in text for text in said)
