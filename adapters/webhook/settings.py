"""The keys of a webhook source: how its sender proves who it is."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
SecretName = Annotated[str, Meta(pattern=r"^secret://[A-Za-z0-9._-]{1,100}$")]
Secrets = Annotated[list[SecretName], Meta(min_length=1, max_length=4)]
"""More than one while a secret is being rotated; a request passes with any of them."""


class NoAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="none"):
    """Anyone who reaches the listener may send. Only on loopback."""


class BearerAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="bearer"):
    """`Authorization: Bearer <secret>`."""

    secrets: Secrets


class HmacAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="hmac-sha256"):
    """HMAC-SHA256 over the raw body in a header."""

    secrets: Secrets
    header: HeaderName = "X-Signature"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, Meta(max_length=40)] = ""
    """Stands before the signature, e.g. `sha256=`."""


class WebhookSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sources.<name>]` with `adapter = "webhook"`."""

    auth: NoAuth | BearerAuth | HmacAuth
    """Required: a source is never open because somebody forgot a line."""
