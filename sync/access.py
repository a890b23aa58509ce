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

from runtime.errors import ConfigError
from runtime.ports import Scope
from sync import jwt
from sync.jwt import Claims
from sync.nkey import Key
from sync.settings import HubSettings

SECRET = "secret://"  # noqa: S105
ENCRYPTED = ("tls:", "wss:")


class Access:
    """Turns settings into the options of one connection attempt."""

    def __init__(self, settings: HubSettings, scope: Scope) -> None:
        self._settings = settings
        self._scope = scope
        self._connection = secrets.token_hex(4)
        self._inbox = scope.region
        self.encrypted = bool(settings.tls_ca or settings.tls_cert)
        self.life_seconds: float | None = None
        """Renew the connection after this; None when the credentials do not expire."""
        self.login: Claims | None = None
        """What the credentials say of themselves; None when they are no JWT."""

    @property
    def inboxes(self) -> str:
        """What permissions name: a wildcard stands for whole parts of a subject only."""
        return f"_INBOX_{self._inbox}.>"

    @property
    def inbox_prefix(self) -> str:
        """Of this object's own; a login may say whose inboxes it may hear."""
        return f"_INBOX_{self._inbox}.{self._connection}"

    @property
    def ends_at(self) -> int | None:
        """When the credentials expire, in seconds since 1970; None when they do not."""
        return (self.login.exp or None) if self.login else None

    @property
    def credentials_file(self) -> Path | None:
        """Where a renewed login would go; None when it is a secret, or there is none."""
        named = self._settings.credentials
        return None if not named or named.startswith(SECRET) else self._path(named)

    def must_encrypt(self, server: str) -> bool:
        """Whether plain text is refused there."""
        return self.encrypted or server.startswith(ENCRYPTED)

    def options(self) -> dict[str, Any]:
        """Keyword arguments for nats-py. Raises `ConfigError` naming the key that is wrong."""
        settings = self._settings
        found: dict[str, Any] = {}
        self.life_seconds, self.login, self._inbox = None, None, self._scope.region
        if settings.credentials:
            found |= self._from_credentials(self._text("credentials", settings.credentials))
        if settings.nkey:
            found["nkeys_seed_str"] = _checked_seed("nkey", self._text("nkey", settings.nkey))
        if settings.user:
            found |= {"user": settings.user, "password": self._text("password", settings.password)}
        if settings.token:
            found["token"] = self._text("token", settings.token)
        if self.encrypted or any(server.startswith(ENCRYPTED) for server in settings.servers):
            found["tls"] = self._tls()
        return found

    def _text(self, key: str, value: str) -> str:
        if key in {"password", "token"} and not value.startswith(SECRET):
            raise ConfigError(f"[hub] {key} must be `secret://name`, not the secret itself")
        try:
            content = self._scope.secret(value) if value.startswith(SECRET) else self._path(value).read_bytes()
            return content.decode().strip()
        except OSError as error:
            raise ConfigError(f"[hub] {key}: cannot read {value}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise ConfigError(f"[hub] {key}: {value} is no text", hint="copy the login anew, as UTF-8") from None

    def _path(self, value: str) -> Path:
        return Path(self._scope.directory, value)

    def _from_credentials(self, text: str) -> dict[str, Any]:
        """nats-py's own reader never ends on a file without the BEGIN line, so it is not used."""
        token, seed = section(text, "NATS USER JWT"), section(text, "USER NKEY SEED")
        if not token or not seed:
            raise ConfigError("[hub] credentials: no `BEGIN NATS USER JWT` and `BEGIN USER NKEY SEED` sections in it")
        _checked_seed("credentials", seed)
        self._take(token)
        return {"user_jwt_cb": lambda: bytearray(token.encode()), "signature_cb": _signer(seed)}

    def _take(self, token: str) -> None:
        """Raises `ConfigError` for a login of another environment or region: the hub would take it."""
        try:
            self.login = jwt.read(token)
        except ValueError:
            return  # the hub says what it thinks of it
        said = self.login.tags
        self._inbox = said.get("inbox", self._scope.region)
        self.life_seconds = _half_life_seconds(self.login)
        for key in ("environment", "region"):
            own = getattr(self._scope, key)
            if self._scope.environment and said.get(key, own) != own:
                raise ConfigError(
                    f"[hub] credentials are for {key} {said[key]}, this agent's is {own}",
                    hint="ask the central team for a login of this one, or correct entrepot.toml",
                )

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


def section(text: str, name: str) -> str:
    """The line after `-----BEGIN <name>-----`; empty when there is none."""
    lines = text.splitlines()
    for position, line in enumerate(lines[:-1]):
        if f"BEGIN {name}" in line:
            return lines[position + 1].strip()
    return ""


def _checked_seed(key: str, seed: str) -> str:
    try:
        Key(seed)
    except ValueError as error:
        raise ConfigError(f"[hub] {key}: not an NKey seed") from error
    return seed


def _signer(seed: str) -> Callable[[str], bytes]:
    return lambda nonce: base64.b64encode(Key(seed).sign(nonce.encode()))


def _half_life_seconds(claims: Claims) -> float | None:
    """Half of `exp - iat`: the wall clock is not asked, so a wrong one cannot cut the connection."""
    return max(1.0, (claims.exp - claims.iat) / 2) if claims.exp > claims.iat > 0 else None
