"""Who this agent is towards the hub: credentials, keys and TLS, read afresh for each connection.

Rotation needs no restart: a replaced file is used at the next connection, which comes at half of a JWT's life.
"""

from __future__ import annotations

import base64
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import nkeys
from msgspec import Struct

from runtime.errors import ConfigError
from runtime.ports import Scope
from sync.settings import HubSettings

SECRET = "secret://"  # noqa: S105


class _Claims(Struct):
    """The two claims of a NATS user JWT that bound its life (RFC 7519 `NumericDate`, seconds)."""

    exp: int = 0
    iat: int = 0


class Access:
    """Turns settings into the options of one connection attempt."""

    def __init__(self, settings: HubSettings, scope: Scope) -> None:
        self._settings = settings
        self._scope = scope
        self.inboxes = f"_INBOX_{scope.region}.>"
        """What permissions name: a wildcard stands for whole parts of a subject only."""
        self.inbox_prefix = f"_INBOX_{scope.region}.{secrets.token_hex(4)}"
        self.encrypted = bool(settings.tls_ca or settings.tls_cert)
        self.life_seconds: float | None = None
        """Renew the connection after this; None when the credentials do not expire."""
        self.ends_at: int | None = None
        """When the credentials expire, in seconds since 1970; None when they do not."""

    def options(self) -> dict[str, Any]:
        """Keyword arguments for nats-py. Raises `ConfigError` naming the key that is wrong."""
        settings = self._settings
        found: dict[str, Any] = {}
        self.life_seconds = self.ends_at = None
        if settings.credentials:
            found |= self._from_credentials(self._text("credentials", settings.credentials))
        if settings.nkey:
            found["nkeys_seed_str"] = _checked_seed("nkey", self._text("nkey", settings.nkey))
        if settings.user:
            found |= {"user": settings.user, "password": self._text("password", settings.password)}
        if settings.token:
            found["token"] = self._text("token", settings.token)
        if self.encrypted or any(server.startswith("tls:") for server in settings.servers):
            found["tls"] = self._tls()
        return found

    def _text(self, key: str, value: str) -> str:
        if value.startswith(SECRET):
            return self._scope.secret(value).decode().strip()
        if key in {"password", "token"}:
            raise ConfigError(f"[hub] {key} must be `secret://name`, not the secret itself")
        try:
            return self._path(value).read_text().strip()
        except OSError as error:
            raise ConfigError(f"[hub] {key}: cannot read {value}: {error.strerror}") from error

    def _path(self, value: str) -> Path:
        return Path(self._scope.directory, value)

    def _from_credentials(self, text: str) -> dict[str, Any]:
        """nats-py's own reader never ends on a file without the BEGIN line, so it is not used."""
        jwt, seed = _section(text, "NATS USER JWT"), _section(text, "USER NKEY SEED")
        if not jwt or not seed:
            raise ConfigError("[hub] credentials: no `BEGIN NATS USER JWT` and `BEGIN USER NKEY SEED` sections in it")
        _checked_seed("credentials", seed)
        claims = _claims(jwt)
        self.life_seconds = _half_life_seconds(claims)
        self.ends_at = claims.exp or None
        return {"user_jwt_cb": lambda: bytearray(jwt.encode()), "signature_cb": _signer(seed)}

    def _tls(self) -> ssl.SSLContext:
        settings = self._settings
        try:
            context = ssl.create_default_context(cafile=str(self._path(settings.tls_ca)) if settings.tls_ca else None)
            if settings.tls_cert:
                key = str(self._path(settings.tls_key)) if settings.tls_key else None
                context.load_cert_chain(str(self._path(settings.tls_cert)), key)
        except OSError as error:
            raise ConfigError(f"[hub] tls_ca, tls_cert or tls_key cannot be used: {error}") from error
        return context


def _section(text: str, name: str) -> str:
    """The line after `-----BEGIN <name>-----`; empty when there is none."""
    lines = text.splitlines()
    for position, line in enumerate(lines[:-1]):
        if f"BEGIN {name}" in line:
            return lines[position + 1].strip()
    return ""


def _checked_seed(key: str, seed: str) -> str:
    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()
    except Exception as error:  # nkeys raises errors of binascii, its own and ValueError alike
        raise ConfigError(f"[hub] {key}: not an NKey seed") from error
    return seed


def _signer(seed: str) -> Callable[[str], bytes]:
    def sign(nonce: str) -> bytes:
        pair = nkeys.from_seed(bytearray(seed.encode()))
        signed = base64.b64encode(pair.sign(nonce.encode()))
        pair.wipe()
        return signed

    return sign


def _claims(jwt: str) -> _Claims:
    """Empty when it cannot be read: the hub decides whether it is good."""
    try:
        body = jwt.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=_Claims)
    except (IndexError, ValueError, msgspec.MsgspecError):
        return _Claims()


def _half_life_seconds(claims: _Claims) -> float | None:
    """Half of `exp - iat`: the wall clock is not asked, so a wrong one cannot cut the connection."""
    return max(1.0, (claims.exp - claims.iat) / 2) if claims.exp > claims.iat > 0 else None
