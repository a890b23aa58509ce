"""Receives what a platform posts to `/in/<source>`. Owns the check of who sends; the gateway does the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters.sdk.signatures import Scheme, Verifier, verify_bearer
from adapters.webhook.settings import BearerAuth, HmacAuth, NoAuth, WebhookSettings
from runtime.errors import ConfigError
from runtime.ports import Request, SourceContext

SECRET_BYTES_ADVISED = 16
"""NIST SP 800-107 r1, section 5.3.4: a key shorter than 112 bits weakens HMAC."""


class WebhookSource:
    """One sender's door. `authenticate` holds no state, so it is safe for requests side by side."""

    def __init__(self, check: Callable[[Request], None]) -> None:
        self._check = check

    def authenticate(self, request: Request) -> None:
        """Raises `Refused`."""
        self._check(request)

    async def run(self) -> None:
        """Nothing to fetch."""


class WebhookAdapter:
    """The entry object `webhook`."""

    name = "webhook"
    settings = WebhookSettings
    accepts_http = True

    def source(self, settings: WebhookSettings, context: SourceContext) -> WebhookSource:
        """Raises `ConfigError` when a secret is missing or empty."""
        auth = settings.auth
        if isinstance(auth, NoAuth):
            return WebhookSource(_anyone)
        secrets = [_secret(name, context) for name in auth.secrets]
        if isinstance(auth, BearerAuth):
            return WebhookSource(lambda request: verify_bearer(request.headers, secrets))
        verifier = Verifier(_scheme(auth), secrets, lambda: context.now_us() // 1_000_000)
        return WebhookSource(lambda request: verifier.verify(request.headers, request.body))

    def check(self, settings: WebhookSettings, *, loopback: bool) -> Sequence[str]:
        """Raises `ConfigError` for scheme "none" where others can reach the listener."""
        if not isinstance(settings.auth, NoAuth):
            return []
        if not loopback:
            raise ConfigError(
                'auth scheme "none" is refused because the gateway does not listen on loopback',
                hint='use scheme "hmac-sha256" or "bearer", or set gateway.listen to 127.0.0.1',
            )
        return ["anyone on this machine can send to this source (auth scheme none)"]


def _anyone(_request: Request) -> None:
    pass


def _secret(name: str, context: SourceContext) -> bytes:
    secret = context.secret(name)
    if not secret:
        raise ConfigError(f"{name} is empty", hint="write the shared secret into its file")
    if len(secret) < SECRET_BYTES_ADVISED:
        context.log("secret_short", source=context.name, secret=name, bytes_advised=SECRET_BYTES_ADVISED)
    return secret


def _scheme(auth: HmacAuth) -> Scheme:
    return Scheme(header=auth.header.lower(), alg="hmac-sha256", enc=auth.encoding, prefix=auth.prefix)
