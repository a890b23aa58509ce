"""How a platform proves who it is: one row of a table, not code. Says what a row may hold and refuses one with a hole."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from runtime.errors import ConfigError

Algorithm = Literal[
    "none", "caller", "bearer", "static", "sha256", "hmac-sha256", "hmac-sha512", "ed25519", "rsa-sha256", "jws"
]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
Short = Annotated[str, Meta(max_length=40)]
BY_SIGNATURE = frozenset({"sha256", "hmac-sha256", "hmac-sha512", "ed25519", "rsa-sha256", "jws"})
_PARTS = re.compile(r"(\{[a-z]+(?::[A-Za-z0-9_]+)?\})")
_KNOWN = re.compile(r"\{(body|ts|id|secret|json:[A-Za-z0-9_]+)\}")


class Scheme(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. Header names may be written in any case."""

    alg: Algorithm = "hmac-sha256"
    """none: nobody is asked · caller: a key, token or certificate that `entrepot access` has granted · bearer, static: a credential as it is · sha256: a digest over text with the secret ·
    hmac-…, ed25519, rsa-sha256: a signature in a header · jws: the body is a signed token."""
    header: HeaderName | None = None
    """Where the signature or the credential stands."""
    query: Short = ""
    """static: the credential stands in this parameter of the URL instead."""
    enc: Literal["hex", "base64"] = "hex"
    prefix: Short = ""
    """Stands before every signature, e.g. `sha256=`."""
    bare: bool = False
    """Whether the prefix may be missing."""
    separator: Short = ""
    """Splits several signatures in one header; empty: the header is one signature."""
    template: Annotated[str, Meta(max_length=200)] = "{body}"
    """Signed bytes: text with `{body}`, `{ts}`, `{id}`, `{secret}` and `{json:FIELD}` (a field of the JSON body)."""
    timestamp: HeaderName | None = None
    """Header with the signed instant. None: no replay guard; duplicates are found by key."""
    timestamp_part: Short = ""
    """Name of a part of the signature's own header that holds the instant, e.g. `t` in `t=…,v1=…`."""
    id: HeaderName | None = None
    """Header with the signed id of the message; it becomes the idempotency key where the sender names no other."""
    tolerance_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300
    """How far a signed instant may lie from now. Standard Webhooks leaves it open; 300 s is what Stripe and Svix use."""
    secret_form: Literal["raw", "base64", "nfkd"] = "raw"  # noqa: S105 - how it is written, not what it is
    """How the shared secret is written: as it is, as Base64, or as text to be normalised (NFKD) first."""
    public_prefix: Short = ""
    """Prefix of Ed25519 signatures, for secrets that are public keys (`whpk_…`)."""
    key_id: HeaderName | None = None
    """Header that names the public key of the signature."""
    jwks: Annotated[str, Meta(max_length=500)] = ""
    """https address of the platform's public keys."""


def parts(scheme: Scheme) -> list[str] | None:
    """The template cut into text and `{placeholders}`; None when the body alone is signed, the common and fast case."""
    cut = [part for part in _PARTS.split(scheme.template) if part]
    return None if cut == ["{body}"] else cut


def check(scheme: Scheme) -> None:
    """Raises `ConfigError` for a row that cannot work, or that would leave a hole."""
    if scheme.alg in {"none", "caller", "bearer"}:
        return
    if scheme.alg == "static" and (scheme.header is None) == (not scheme.query):
        raise ConfigError('a static credential stands either in a header or in the URL: give "header" or "query"')
    if scheme.alg not in {"static", "jws"} and scheme.header is None:
        raise ConfigError('the key "header" is missing: where does the signature stand?')
    if scheme.alg == "rsa-sha256" and not scheme.jwks:
        raise ConfigError('rsa-sha256 needs "jwks", the address of the public keys')
    if scheme.jwks and not scheme.jwks.startswith(("https://", "http://127.0.0.1", "http://[::1]")):
        raise ConfigError(f'jwks "{scheme.jwks}" must be an https address: who can change the keys can sign')
    if scheme.alg in BY_SIGNATURE - {"jws"}:
        _check_template(scheme)


def _check_template(scheme: Scheme) -> None:
    placeholders = {part for part in _PARTS.split(scheme.template) if part.startswith("{")}
    unknown = sorted(part for part in placeholders if not _KNOWN.fullmatch(part))
    if unknown:
        raise ConfigError(
            f'template "{scheme.template}" holds {unknown[0]}; known are {{body}} {{ts}} {{id}} {{secret}} {{json:FIELD}}'
        )
    if "{body}" not in placeholders and not any(part.startswith("{json:") for part in placeholders):
        raise ConfigError(f'template "{scheme.template}" does not hold {{body}}: anything could be sent under it')
    stamped = scheme.timestamp is not None or bool(scheme.timestamp_part)
    if ("{ts}" in placeholders) != stamped:
        raise ConfigError('a timestamp must be signed: give both {ts} in the template and "timestamp", or neither')
    if ("{id}" in placeholders) != (scheme.id is not None):
        raise ConfigError('give both {id} in the template and "id", or neither')
    if ("{secret}" in placeholders) != (scheme.alg == "sha256"):
        raise ConfigError("{secret} stands in the template of alg sha256, and only there")
