"""NATS JWTs, version 2: who may what at a hub in operator mode, as nats-server reads them. Pure.

An operator vouches for accounts, an account for users; each claim is signed with an nkey (Ed25519).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from sync.nkey import Key

VERSION = 2
UNLIMITED = -1
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_SECOND_NS = 1_000_000_000
_NOTHING = {"pub": {"deny": [">"]}, "sub": {"deny": [">"]}}


class Claims(Struct, frozen=True, kw_only=True):
    """What a JWT says; instants are seconds since 1970 (RFC 7519 `NumericDate`), 0: none."""

    sub: str = ""
    iss: str = ""
    name: str = ""
    iat: int = 0
    exp: int = 0
    nats: dict[str, Any] = {}

    @property
    def tags(self) -> dict[str, str]:
        """`key:value` tags; ours are `environment`, `role`, `region` and `inbox`."""
        said = (str(tag).partition(":") for tag in self.nats.get("tags") or [])
        return {key: value for key, colon, value in said if colon}


def sign(issuer: Key, subject: str, name: str, nats: Mapping[str, Any], *, issued_at: int, expires_at: int = 0) -> str:
    """The JWT as text. `nats` comes from `operator`, `account` or `user`."""
    claims: dict[str, Any] = {
        "iat": issued_at,
        "iss": issuer.public,
        "name": name,
        "nats": {**nats, "version": VERSION},
        "sub": subject,
    }
    if expires_at:
        claims["exp"] = expires_at
    digest = sha256(_json(claims)).digest()
    claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    text = f"{_base64(_json(_HEADER))}.{_base64(_json(claims))}"
    return f"{text}.{_base64(issuer.sign(text.encode()))}"


def read(token: str) -> Claims:
    """What it says, unproven: the hub decides whether it is good. Raises `ValueError`."""
    try:
        body = token.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Claims)
    except (IndexError, ValueError, msgspec.MsgspecError) as error:
        raise ValueError("this is no JWT") from error


def operator(*, signing_keys: Sequence[str], system_account: str) -> dict[str, Any]:
    """Only its signing keys vouch for accounts, so the operator's own key can stay in a safe."""
    return {
        "type": "operator",
        "signing_keys": list(signing_keys),
        "system_account": system_account,
        "strict_signing_key_usage": True,
    }


def account(
    *,
    signing_keys: Sequence[str],
    connections_max: int,
    jetstream: bool,
    tags: Sequence[str] = (),
    revocations: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """A user without permissions of its own may do nothing. `revocations`: public user key → no JWT issued until then."""
    limits: dict[str, Any] = {
        "subs": UNLIMITED,
        "data": UNLIMITED,
        "payload": UNLIMITED,
        "imports": UNLIMITED,
        "exports": UNLIMITED,
        "wildcards": True,
        "conn": connections_max,
        "leaf": 0,
    }
    if jetstream:
        limits |= dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), UNLIMITED)
    return {
        "type": "account",
        "limits": limits,
        "signing_keys": list(signing_keys),
        "default_permissions": _NOTHING,
        "revocations": dict(revocations or {}),
        "tags": list(tags),
    }


def user(
    *,
    account: str,
    publish: Sequence[str],
    subscribe: Sequence[str],
    tags: Sequence[str],
    answers_max: int = 0,
    answer_seconds_max: int = 0,
) -> dict[str, Any]:
    """`account`: public key of the account, whose signing key issues it. `answers_max`: to one request."""
    claims: dict[str, Any] = {
        "type": "user",
        "issuer_account": account,
        "pub": {"allow": list(publish)},
        "sub": {"allow": list(subscribe)},
        "subs": UNLIMITED,
        "data": UNLIMITED,
        "payload": UNLIMITED,
        "tags": list(tags),
    }
    if answers_max:
        claims["resp"] = {"max": answers_max, "ttl": answer_seconds_max * _SECOND_NS}
    return claims


def credentials(token: str, seed: str) -> str:
    """A `.creds` file. Secret."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
