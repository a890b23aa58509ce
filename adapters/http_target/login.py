"""The forms of `auth`, each as the login that the kit knows. Pure."""

from __future__ import annotations

from adapters.http_target.settings import TargetAuth
from adapters.sdk.login import Login, token_pin
from adapters.sdk.outbound import OWN_HEADERS
from runtime.errors import ConfigError
from runtime.policy.addresses import Reach

_FORMS = (
    "auth is one of: bearer, username with password, header with secret, token_url with client_id and secret (OAuth2)"
)
_GRANT = ("client_id", "refresh", "scope", "audience")


def read_login(auth: TargetAuth | None, reach: Reach) -> Login:
    """Raises `ConfigError` unless `auth` is one whole form, and its `token_url` lies within reach."""
    if auth is None:
        return Login()
    if auth.header is not None and auth.header.lower() in OWN_HEADERS:
        raise ConfigError(f"auth: {auth.header} is written by the connection itself")
    forms = [login for login in (_bearer(auth), _basic(auth), _header(auth), _oauth2(auth)) if login is not None]
    if len(forms) != 1:
        raise ConfigError(_FORMS)
    if forms[0].kind == "oauth2":
        token_pin(forms[0], reach, table="auth")
    elif any(getattr(auth, key) for key in _GRANT):
        raise ConfigError(f"auth: {', '.join(key for key in _GRANT if getattr(auth, key))} belongs to token_url")
    return forms[0]


def login_header(auth: TargetAuth | None) -> str:
    """The header that the login takes for itself; empty without one."""
    return "" if auth is None else auth.header or "Authorization"


def _bearer(auth: TargetAuth) -> Login | None:
    return None if auth.bearer is None else Login(kind="bearer", secret=auth.bearer)


def _basic(auth: TargetAuth) -> Login | None:
    if auth.username is None and auth.password is None:
        return None
    if auth.username is None or auth.password is None:
        raise ConfigError(_FORMS)
    return Login(kind="basic", user=auth.username, secret=auth.password)


def _header(auth: TargetAuth) -> Login | None:
    if auth.token_url is not None or (auth.header is None and auth.secret is None):
        return None
    if auth.header is None or auth.secret is None:
        raise ConfigError(_FORMS)
    return Login(kind="header", header=auth.header, secret=auth.secret)


def _oauth2(auth: TargetAuth) -> Login | None:
    if auth.token_url is None:
        return None
    for key in ("client_id", "secret"):
        if not getattr(auth, key):
            raise ConfigError(f"auth: token_url needs {key}")
    return Login(
        kind="oauth2",
        secret=auth.secret or "",
        header=auth.header,
        token_url=auth.token_url,
        client_id=auth.client_id,
        refresh=auth.refresh or "",
        scope=auth.scope,
        audience=auth.audience,
        send=auth.send,
    )
