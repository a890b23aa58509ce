"""The keys of a webhook source: how its sender proves who it is."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from adapters.sdk.follower import FollowSettings
from adapters.sdk.scheme import Algorithm, HeaderName, Short

SecretName = Annotated[str, Meta(pattern=r"^secret://[A-Za-z0-9._-]{1,100}$")]
Secrets = Annotated[list[SecretName], Meta(max_length=4)]
SchemeName = Literal[
    "", "none", "caller", "bearer", "static", "hmac-sha256", "standard-webhooks", "jws",
    "17track", "aftership", "bigcommerce", "easypost", "erpnext", "fedex", "flexport", "frappe", "odoo", "oracle-cx-commerce",
    "sendcloud", "shipbob", "shiphero", "shippo", "shipstation-v2", "shopify", "ups", "usps", "woocommerce",
]  # fmt: skip


class Auth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`auth = { … }`: a named scheme, perhaps changed in places, or one that is spelled out."""

    scheme: SchemeName = ""
    """A row of adapters/webhook/schemes.toml. Empty: spelled out by the keys below."""
    secrets: Secrets = []
    """More than one while a secret is being rotated; a request passes with any of them."""
    alg: Algorithm | None = None
    """hmac-sha256 unless said otherwise."""
    header: HeaderName | None = None
    """Where the signature or the credential stands."""
    query: Short | None = None
    """static: the credential stands in this parameter of the URL."""
    enc: Literal["hex", "base64"] | None = None
    """How the signature is written."""
    encoding: Literal["hex", "base64"] | None = None
    """The same as enc."""
    prefix: Short | None = None
    """Stands before the signature, e.g. `sha256=`."""
    bare: bool | None = None
    """Whether the prefix may be missing."""
    separator: Short | None = None
    """Splits several signatures in one header."""
    template: Annotated[str, Meta(max_length=200)] | None = None
    """Signed bytes: text with `{body}`, `{ts}`, `{id}`, `{secret}` and `{json:FIELD}`."""
    timestamp: HeaderName | None = None
    """Header with the signed instant: the replay guard."""
    timestamp_part: Short | None = None
    """Name of the part of the signature's header with the instant, e.g. `t`."""
    id: HeaderName | None = None
    """Header with the signed id of the message."""
    tolerance_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    """How far a signed instant may lie from now; 300 unless said otherwise."""
    secret_form: Literal["raw", "base64", "nfkd"] | None = None
    """How the shared secret is written."""
    public_prefix: Short | None = None
    """Prefix of Ed25519 signatures."""
    key_id: HeaderName | None = None
    """Header that names the public key."""
    jwks: Annotated[str, Meta(max_length=500)] | None = None
    """https address of the platform's public keys."""


class WebhookSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sources.<name>]` with `adapter = "webhook"`."""

    auth: Auth
    """Required: a source is never open because somebody forgot a line."""
    follow: FollowSettings | None = None
    """For a sender whose messages only say "look": what they speak of is asked for."""
