"""Receives what a platform posts to `/in/<source>`. Owns the check of who sends; the gateway does the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import parse_qs

import anyio

from adapters.sdk.follower import Follower, check_following, follow_rule
from adapters.sdk.scheme import Scheme
from adapters.sdk.signatures import Verifier, verify_bearer, verify_credential
from adapters.webhook.guide import guide, signs_the_whole
from adapters.webhook.schemes import resolve
from adapters.webhook.settings import WebhookSettings
from runtime.errors import ConfigError, Refused, Retryable, one_at_a_time
from runtime.fetch import fetch_document
from runtime.keyring import Keyring
from runtime.policy import jws
from runtime.policy.keyset import KEYS_BYTES_MAX, Keyset
from runtime.ports import Admission, Follow, Guide, Request, SourceContext

SECRET_BYTES_ADVISED = 16
"""NIST SP 800-107 r1, section 5.3.4: a key shorter than 112 bits weakens HMAC."""
PARAMETERS_MAX = 20
"""In a URL that holds a credential."""
CLOCK_SECONDS = 30.0
"""When a sender may come back while the clock of this machine is wrong."""

Check = Callable[[Request], Admission | None]


class WebhookSource:
    """One sender's door. `authenticate` holds no state of its own, so it is safe for requests side by side."""

    def __init__(self, check: Check, keyring: Keyring | None = None, follower: Follower | None = None) -> None:
        self._check = check
        self._tasks = [task for task in (keyring, follower) if task is not None]

    def authenticate(self, request: Request) -> Admission | None:
        """See `runtime.ports.Source`."""
        return self._check(request)

    async def run(self) -> None:
        """Fetches the platform's public keys, and what thin messages lead to; nothing else."""
        with one_at_a_time():
            async with anyio.create_task_group() as group:
                for task in self._tasks:
                    group.start_soon(task.run)


class WebhookAdapter:
    """The entry object `webhook`."""

    name = "webhook"
    settings = WebhookSettings
    accepts_http = True

    def source(self, settings: WebhookSettings, context: SourceContext) -> WebhookSource:
        """Raises `ConfigError` when a secret is missing or empty."""
        scheme = resolve(settings.auth)
        secrets = [_secret(name, context) for name in settings.auth.secrets]
        keyring = None
        if scheme.jwks:
            fetch = partial(fetch_document, scheme.jwks, KEYS_BYTES_MAX)
            keyring = Keyring(fetch, lambda: context.now_us() // 1_000_000, context.log)
        follower = None if settings.follow is None else Follower(settings.follow, context)
        return WebhookSource(_check(scheme, secrets, keyring, context), keyring, follower)

    def follow(self, settings: WebhookSettings) -> Follow | None:
        """Which messages only say where to look."""
        return None if settings.follow is None else follow_rule(settings.follow)

    def guide(self, settings: WebhookSettings) -> Guide:
        """How this source's senders sign, as a person does it by hand."""
        return guide(resolve(settings.auth), by_secret=bool(settings.auth.secrets))

    def check(self, settings: WebhookSettings, *, loopback: bool) -> Sequence[str]:
        """Raises `ConfigError` for a scheme that cannot work, and for "none" where others can reach the listener."""
        scheme = resolve(settings.auth)
        if settings.follow is not None:
            check_following(settings.follow)
        if scheme.alg == "static":
            return [
                "its sender proves itself by a credential that never changes: whoever sees one request can send others"
            ]
        if scheme.alg != "none":
            return []
        if not loopback:
            raise ConfigError(
                'auth scheme "none" is refused because the gateway does not listen on loopback',
                hint='name the scheme of the sender (for example "hmac-sha256" or "bearer"), or set gateway.listen to 127.0.0.1',
            )
        return ["anyone on this machine can send to this source (auth scheme none)"]


def _check(scheme: Scheme, secrets: list[bytes], keyring: Keyring | None, context: SourceContext) -> Check:
    if scheme.alg == "none":
        return _anyone
    if scheme.alg == "caller":
        return lambda request: Admission(caller=context.admit(request))
    if scheme.alg == "bearer":
        return lambda request: verify_bearer(request.headers, secrets)
    if scheme.alg == "static":
        return partial(_static, scheme, secrets)
    if scheme.alg == "jws":
        return partial(_token, secrets, keyring)
    verifier = Verifier(scheme, secrets, lambda: context.now_us() // 1_000_000, keyring or _no_keys)
    check: Check = partial(_signed, verifier)
    if scheme.timestamp or scheme.timestamp_part:
        check = partial(_fresh, verifier, context.clock_is_right)
    return check if signs_the_whole(scheme) else partial(_no_get, check)


def _no_get(check: Check, request: Request) -> Admission | None:
    """A signature over fields of the message says nothing about a path."""
    if request.purpose == "receipts":
        raise Refused("This source's signatures cover fields of a message, so a GET proves nobody: ask for a key.")
    return check(request)


def _anyone(_request: Request) -> None:
    pass


def _no_keys(key_id: str) -> Keyset:
    return {}


def _static(scheme: Scheme, secrets: list[bytes], request: Request) -> None:
    if scheme.header:
        verify_credential(request.headers.get(scheme.header.lower()), secrets, f"header {scheme.header}")
    else:
        verify_credential(_parameter(request.query, scheme.query), secrets, f"parameter {scheme.query} of the URL")


def _parameter(query: str, name: str) -> str | None:
    try:
        return parse_qs(query, max_num_fields=PARAMETERS_MAX).get(name, [None])[0]
    except ValueError:
        return None


def _token(secrets: list[bytes], keyring: Keyring | None, request: Request) -> None:
    if request.purpose == "receipts":
        raise Refused("This source's messages are signed tokens, so a GET proves nobody: ask for a key for receipts.")
    token = jws.split(request.body)
    keys = keyring(token.header.kid) if keyring is not None and token.header.alg != jws.SHARED else {}
    jws.verify(token, keys, secrets)


def _signed(verifier: Verifier, request: Request) -> Admission | None:
    message_id = verifier.verify(request.headers, request.body, keeps=request.purpose == "write")
    return None if message_id is None else Admission(message_id=message_id)


def _fresh(verifier: Verifier, clock_is_right: Callable[[], bool], request: Request) -> Admission | None:
    """A signed instant can only be judged by a clock that is right: until then the sender keeps the message."""
    if not clock_is_right():
        raise Retryable(
            "The clock of this machine is wrong, so no signed timestamp can be judged.", after_seconds=CLOCK_SECONDS
        )
    return _signed(verifier, request)


def _secret(name: str, context: SourceContext) -> bytes:
    secret = context.secret(name)
    if not secret:
        raise ConfigError(f"{name} is empty", hint="write the shared secret into its file")
    if len(secret) < SECRET_BYTES_ADVISED:
        context.log("secret_short", source=context.name, secret=name, bytes_advised=SECRET_BYTES_ADVISED)
    return secret
