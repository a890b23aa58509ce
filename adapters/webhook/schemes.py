"""From `auth = { … }` of a source to the scheme in force: a row of the table, with what the source says instead."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from adapters.sdk.scheme import Scheme, check
from adapters.webhook.settings import Auth
from runtime.errors import ConfigError

_NOT_OF_THE_SCHEME = frozenset({"scheme", "secrets", "encoding"})


@cache
def table() -> dict[str, dict[str, Any]]:
    """Every named scheme."""
    return tomllib.loads(files("adapters.webhook").joinpath("schemes.toml").read_text("utf-8"))


def resolve(auth: Auth) -> Scheme:
    """The scheme in force. Raises `ConfigError` when it cannot work."""
    row = dict(table()[auth.scheme]) if auth.scheme else {}
    own = {name: value for name, value in msgspec.structs.asdict(auth).items() if value is not None}
    if auth.encoding is not None:
        row["enc"] = auth.encoding
    row |= {name: value for name, value in own.items() if name not in _NOT_OF_THE_SCHEME}
    scheme = msgspec.convert(row, Scheme)
    check(scheme)
    if scheme.alg == "caller" and auth.secrets:
        raise ConfigError(
            "auth: scheme caller has no secrets here", hint="`entrepot access grant` makes a key for each caller"
        )
    if scheme.alg == "rsa-sha256" and auth.secrets:
        raise ConfigError("auth: rsa-sha256 is verified with the keys of jwks alone", hint="leave secrets out")
    if scheme.alg not in {"none", "caller"} and not auth.secrets and not scheme.jwks:
        raise ConfigError('auth: the key "secrets" is missing', hint='for example secrets = ["secret://NAME"]')
    if scheme.alg == "none" and auth.secrets:
        raise ConfigError("auth: scheme none asks nobody, so it has no secrets", hint="name the sender's scheme")
    return scheme
