"""Compact signed tokens (JWS, RFC 7515): three parts with dots. Pure. The key decides the algorithm, never the token.

Every malformed token ends in `Refused`.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from runtime.errors import Refused
from runtime.policy.keyset import Keyset, algorithm, candidates, from_base64url, signed_by

TOKEN_CHARS_MAX = 1_048_576
SHARED = "HS256"


class JoseHeader(Struct):
    """The first part. `crit` names extensions that a reader must understand: there are none that we do."""

    alg: str
    kid: str = ""
    crit: list[str] = []


class Token(Struct, frozen=True):
    """A token whose signature was not looked at yet."""

    header: JoseHeader
    payload: bytes
    signature: bytes
    signed: bytes


def split(text: bytes) -> Token:
    """The parts. Raises `Refused`."""
    try:
        if len(text) > TOKEN_CHARS_MAX:
            raise ValueError("too long")
        signed, _, signature = text.decode("ascii").strip().rpartition(".")
        head, dot, payload = signed.partition(".")
        if not dot:
            raise ValueError("parts")
        header = msgspec.json.decode(from_base64url(head), type=JoseHeader)
        return Token(header, from_base64url(payload), from_base64url(signature), signed.encode())
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise Refused("The token is not a compact JWS (RFC 7515).") from None


def verify(token: Token, keys: Keyset, secrets: Sequence[bytes] = ()) -> None:
    """Raises `Refused` unless one of the keys or shared secrets made the signature."""
    if token.header.crit:
        raise Refused("The token asks for extensions that are not understood.")
    genuine = False
    if token.header.alg == SHARED:
        for secret in secrets:
            genuine |= hmac.compare_digest(hmac.digest(secret, token.signed, "sha256"), token.signature)
    else:
        for key in candidates(keys, token.header.kid):
            genuine |= algorithm(key) == token.header.alg and signed_by(key, token.signature, token.signed)
    if not genuine:
        raise Refused("The token's signature does not match.")
