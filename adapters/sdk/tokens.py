"""What the answer of whoever gives tokens means (RFC 6749, 5). Pure: a token, come back later, or never like this."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from adapters.sdk.answers import LATER, Answer, asked_seconds
from adapters.sdk.login import Login
from runtime.errors import Permanent, Retryable
from runtime.policy.addresses import read_origin

TOKEN_BYTES_MAX = 65_536
TOKEN_SECONDS = 300.0
"""How long a token is taken to hold that does not say so."""
_LOOK = "look at client_id, secret and scope; a changed secret is read by `entrepot reload`"
_HINTS = {
    "invalid_client": 'compare client_id and secret with the partner\'s; some want them in the form: send = "body"',
    "invalid_grant": "the refresh token has ended or was withdrawn: ask the partner for another one",
    "invalid_request": _LOOK,
    "invalid_scope": "look at scope and audience",
    "unauthorized_client": "ask the partner to let this client_id have tokens in this way",
    "unsupported_grant_type": "ask the partner for a client that gets tokens by client credentials",
}
"""By the error codes of RFC 6749, 5.2. Nothing else of such an answer is ever repeated."""
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
"""Codes that some give with a 400, though they mean later."""


class Token(Struct, frozen=True):
    """RFC 6749, 5.1. Some partners write the seconds as text."""

    access_token: str
    expires_in: float | str = TOKEN_SECONDS

    @property
    def seconds(self) -> float:
        try:
            return max(0.0, float(self.expires_in))
        except ValueError:
            return TOKEN_SECONDS


def read_token(answer: Answer, login: Login, now_us: int) -> Token:
    """Raises `Retryable` and `Permanent`, and repeats neither the answer nor what was asked."""
    origin = str(read_origin(login.token_url)[0])
    status = answer.status
    if not 200 <= status < 300:
        raise _refusal(answer, f"{origin} gives no token ({status}", now_us)
    try:
        token = msgspec.json.decode(answer.body, type=Token)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise Retryable(f"{origin} answered with something that is no token", hint="look at token_url") from None
    if not token.access_token.isascii() or not token.access_token.isprintable() or not token.access_token:
        raise Retryable(f"{origin} answered with a token that cannot stand in a header")
    return token


def _refusal(answer: Answer, said: str, now_us: int) -> Retryable | Permanent:
    code = _code(answer.body)
    said = f"{said} {code})" if code else f"{said})"
    if answer.status in LATER or answer.status >= 500 or code in _PASSING:
        return Retryable(said, after_seconds=asked_seconds(answer, now_us))
    if 300 <= answer.status < 400 or answer.status == 404:
        return Permanent(said, hint="look at token_url; redirects are not followed")
    return Permanent(said, hint=_HINTS.get(code, _LOOK))


def _code(body: bytes) -> str:
    """The error code, if it is one of those that the specification names."""
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    code = said.get("error") if isinstance(said, dict) else None
    return code if isinstance(code, str) and code in {*_HINTS, *_PASSING} else ""
