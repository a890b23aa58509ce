"""A NATS operator with one account: the JWTs that let a region in, for as long as a test wants, or no longer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import nats

from sync import jwt, nkey

EVERYTHING = [">"]


class Operator:
    """`settings` is what the server starts with; `credentials` what a user needs."""

    def __init__(self) -> None:
        self._operator, self._signing = nkey.make("operator"), nkey.make("operator")
        self._account, self._issuer = nkey.make("account"), nkey.make("account")
        self._system, self._system_issuer = nkey.make("account"), nkey.make("account")
        self._revoked: dict[str, int] = {}

    @property
    def settings(self) -> str:
        """For the server's configuration."""
        nats_claims = jwt.operator(signing_keys=[self._signing.public], system_account=self._system.public)
        operator = jwt.sign(self._operator, self._operator.public, "operator", nats_claims, issued_at=now())
        system = jwt.account(signing_keys=[self._system_issuer.public], connections_max=-1, jetstream=False)
        accounts = {
            self._account.public: self._regions(),
            self._system.public: jwt.sign(self._signing, self._system.public, "system", system, issued_at=now()),
        }
        preload = "\n".join(f"{key}: {token}" for key, token in accounts.items())
        return (
            f"operator: {operator}\nsystem_account: {self._system.public}\n"
            f"resolver: MEMORY\nresolver_preload {{\n{preload}\n}}\n"
        )

    def credentials(self, path: Path, *, seconds: int = 3_600, system: bool = False) -> str:
        """Write a `.creds` file for a new user, in one step; returns the user's public key."""
        user = nkey.make("user")
        account, issuer = (self._system, self._system_issuer) if system else (self._account, self._issuer)
        claims = jwt.user(account=account.public, publish=EVERYTHING, subscribe=EVERYTHING, tags=[])
        token = jwt.sign(issuer, user.public, "eu-de", claims, issued_at=now(), expires_at=now() + seconds)
        fresh = path.with_suffix(".new")
        fresh.write_text(jwt.credentials(token, user.seed))
        fresh.replace(path)
        return user.public

    async def revoke(self, user: str, hub: str, directory: Path) -> None:
        """Tell the running server, as `nsc push` does: this user is thrown out and let in no more."""
        self._revoked[user] = now()
        own = directory / "system.creds"
        self.credentials(own, system=True)
        connection = await nats.connect(hub, user_credentials=str(own))
        subject = f"$SYS.REQ.ACCOUNT.{self._account.public}.CLAIMS.UPDATE"
        answer = await connection.request(subject, self._regions().encode(), timeout=5)
        assert b'"code":200' in answer.data.replace(b" ", b""), answer.data
        await connection.close()

    def _regions(self) -> str:
        claims = jwt.account(
            signing_keys=[self._issuer.public], connections_max=-1, jetstream=True, revocations=self._revoked
        )
        return jwt.sign(self._signing, self._account.public, "regions", claims, issued_at=now())


def now() -> int:
    """Seconds since 1970."""
    return int(datetime.now(UTC).timestamp())
