"""What a signed token (JWT, RFC 7519) says, once its signature has been verified. Pure.

Refuses whatever is not for us, not now, or not said at all; never quotes the token.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, TypeGuard

import msgspec
from msgspec import Struct

from runtime.access.denial import Denied
from runtime.access.settings import OidcSettings

TEXT_CHARS_MAX = 500
SCOPES_MAX = 100
JTI, SUBJECT = "jti", "subject"


class Claims(Struct, frozen=True):
    """Instants are seconds since 1970."""

    subject: str
    token_id: str
    expires: float
    not_before: float
    grants: tuple[str, ...]


def identity_digest(kind: str, issuer: str, value: str) -> bytes:
    """Stands for a subject or token id wherever it is stored: the value itself may be somebody's name or address."""
    return sha256(f"{kind}\0{issuer}\0{value}".encode("utf-8", "surrogatepass")).digest()


def read_claims(payload: bytes, settings: OidcSettings) -> Claims:
    """All that does not change with time. Raises `Denied`."""
    try:
        said = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise Denied("The token holds no claims.", "token") from None
    if said.get("iss") != settings.issuer:
        raise Denied("The token is from another issuer.", "token")
    audience = said.get("aud")
    if not set(settings.audience) & {
        a for a in (audience if isinstance(audience, list) else [audience]) if _is_text(a)
    }:
        raise Denied("The token is for another audience.", "token")
    expires, starts = said.get("exp"), said.get("nbf", 0)
    if not _is_number(expires) or not _is_number(starts):
        raise Denied("The token does not say until when it holds.", "token")
    subject, token_id = said.get("sub"), said.get("jti", "")
    if not _is_text(subject) or not subject or not _is_text(token_id):
        raise Denied("The token does not say whom it is about.", "token")
    return Claims(subject, token_id, float(expires), float(starts), _grants(said.get(settings.scopes_claim)))


def check_time(claims: Claims, skew_seconds: int, now_seconds: float) -> None:
    """Raises `Denied`."""
    if now_seconds >= claims.expires + skew_seconds:
        raise Denied("The token has expired.", "expired")
    if now_seconds < claims.not_before - skew_seconds:
        raise Denied("The token does not hold yet.", "token")


def _grants(said: object) -> tuple[str, ...]:
    listed = said.split(" ") if isinstance(said, str) else said if isinstance(said, list) else []
    return tuple(text for text in listed[:SCOPES_MAX] if _is_text(text) and text)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= TEXT_CHARS_MAX


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
