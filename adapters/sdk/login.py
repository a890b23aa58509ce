"""How a login is described, for whoever asks a partner and for whoever sends to one. `credentials` acts on it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from adapters.sdk.pin import Pin, pin_within
from adapters.sdk.scheme import HeaderName
from runtime.errors import ConfigError, Permanent
from runtime.policy.addresses import Reach

SecretName = Annotated[str, Meta(pattern=r"^(secret://[A-Za-z0-9._-]{1,100})?$")]
Text = Annotated[str, Meta(max_length=500, pattern=r"^[ -~]*$")]
TokenUrl = Annotated[str, Meta(max_length=2_000)]
_NEEDED = {
    "none": (),
    "bearer": ("secret",),
    "basic": ("user", "secret"),
    "header": ("header", "secret"),
    "oauth2": ("token_url", "client_id", "secret"),
}


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`login = { … }`: how we prove who we are."""

    kind: Literal["none", "bearer", "basic", "header", "oauth2"] = "none"
    """bearer, basic, header: `secret` as it is. oauth2: client credentials (RFC 6749, 4.4), or `refresh`."""
    secret: SecretName = ""
    """Token, password, API key, or client secret: `secret://NAME`."""
    user: Text = ""
    """basic: the user name."""
    header: HeaderName | None = None
    """header: its name, e.g. `X-Api-Key`. oauth2: where the token stands by itself; else `Authorization: Bearer`."""
    token_url: TokenUrl = ""
    """oauth2: where tokens are given."""
    client_id: Text = ""
    """oauth2."""
    refresh: SecretName = ""
    """oauth2: a refresh token that the partner has given (RFC 6749, 6), e.g. Amazon's: `secret://NAME`."""
    scope: Text = ""
    """oauth2, where the partner wants one."""
    audience: Text = ""
    """oauth2, where the partner wants one."""
    send: Literal["basic", "body"] = "basic"
    """oauth2: whether id and secret go in the header Authorization or in the form."""


def check_login(login: Login, reach: Reach, *, table: str = "login") -> None:
    """Raises `ConfigError` for a key that is missing or cannot be used. `table`: what the settings call the login."""
    for key in _NEEDED[login.kind]:
        if not getattr(login, key):
            raise ConfigError(f'{table}: kind = "{login.kind}" needs "{key}"')
    if login.kind == "oauth2":
        token_pin(login, reach, table=table)


def token_pin(login: Login, reach: Reach, *, table: str) -> Pin:
    """The one place that is asked for tokens. Raises `ConfigError`."""
    key = f"{table}.token_url"
    found = pin_within(login.token_url, reach, key=key)
    try:
        found.within(login.token_url)
    except Permanent:
        raise ConfigError(f"{key} holds a blank or a sign that no address may hold", hint="percent-encode it") from None
    return found
