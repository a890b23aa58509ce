"""A NATS operator with one account: the JWTs that let a region in, for as long as a test wants, or no longer.

Form: JSON claims signed with Ed25519, as nats-server reads them (its `jwt` version 2).
"""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import nkeys

EVERYTHING = {"subs": -1, "data": -1, "payload": -1}
ACCOUNT_LIMITS = EVERYTHING | {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
JETSTREAM = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


class _Key:
    """An NKey of one kind."""

    def __init__(self, kind: int) -> None:
        self.seed = bytes(nkeys.encode_seed(os.urandom(32), kind)).decode()
        self.pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public = bytes(self.pair.public_key).decode()


class Operator:
    """`settings` is what the server starts with; `credentials` what a user needs."""

    def __init__(self) -> None:
        self._operator = _Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = _Key(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = _Key(nkeys.PREFIX_BYTE_ACCOUNT)
        self._revoked: dict[str, int] = {}

    @property
    def settings(self) -> str:
        """For the server's configuration."""
        operator = _signed(self._operator, self._operator, "operator", {"type": "operator"})
        accounts = {
            self._account: self._regions(),
            self._system: _signed(
                self._operator, self._system, "system", {"type": "account", "limits": ACCOUNT_LIMITS}
            ),
        }
        preload = "\n".join(f"{key.public}: {jwt}" for key, jwt in accounts.items())
        return (
            f"operator: {operator}\nsystem_account: {self._system.public}\n"
            f"resolver: MEMORY\nresolver_preload {{\n{preload}\n}}\n"
        )

    def credentials(self, path: Path, *, seconds: int = 3_600, system: bool = False) -> str:
        """Write a `.creds` file for a new user, in one step; returns the user's public key."""
        user = _Key(nkeys.PREFIX_BYTE_USER)
        jwt = _signed(
            self._system if system else self._account, user, "eu-de", {"type": "user"} | EVERYTHING, seconds=seconds
        )
        fresh = path.with_suffix(".new")
        fresh.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        fresh.replace(path)
        return user.public

    async def revoke(self, user: str, hub: str, directory: Path) -> None:
        """Tell the running server, as `nsc push` does: this user is thrown out and let in no more."""
        self._revoked[user] = _now()
        own = directory / "system.creds"
        self.credentials(own, system=True)
        connection = await nats.connect(hub, user_credentials=str(own))
        subject = f"$SYS.REQ.ACCOUNT.{self._account.public}.CLAIMS.UPDATE"
        answer = await connection.request(subject, self._regions().encode(), timeout=5)
        assert b'"code":200' in answer.data.replace(b" ", b""), answer.data
        await connection.close()

    def _regions(self) -> str:
        claims = {"type": "account", "limits": ACCOUNT_LIMITS | JETSTREAM, "revocations": self._revoked}
        return _signed(self._operator, self._account, "regions", claims)


def _signed(issuer: _Key, subject: _Key, name: str, nats: dict[str, Any], *, seconds: int | None = None) -> str:
    claims: dict[str, Any] = {"jti": subject.public, "iat": _now(), "iss": issuer.public, "sub": subject.public}
    claims |= {"name": name, "nats": nats | {"version": 2}}
    if seconds is not None:
        claims["exp"] = _now() + seconds
    text = f"{_encoded({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_encoded(claims)}"
    return f"{text}.{_base64(issuer.pair.sign(text.encode()))}"


def _encoded(content: dict[str, Any]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
