"""The `[access]` table: roles, what a caller may ask for, and whose signed tokens are believed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from runtime.access.scopes import parse_roles
from runtime.errors import ConfigError

RoleName = Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$")]


class CallerLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[access.limits]`: what each caller may ask for, whatever the source; `access grant` can say otherwise for one."""

    rate_per_second: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    """Requests in the long run. More gets 429. None: only the source's own limits hold."""
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Requests that may come at once before the rate holds; without it, those of ten seconds."""
    in_flight_max: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """Requests in hand at once. More gets 429."""
    requests_per_day_max: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    """Requests from midnight to midnight UTC, counted through restarts. More gets 429 until midnight."""


class OidcSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[access.oidc]`: callers that an identity provider vouches for with a signed token (JWT)."""

    issuer: Annotated[str, Meta(min_length=1, max_length=500)]
    """Must stand in `iss` letter for letter."""
    audience: Annotated[list[Annotated[str, Meta(min_length=1, max_length=500)]], Meta(min_length=1, max_length=8)]
    """One of these must stand in `aud`: a token for somebody else opens nothing here."""
    jwks: Annotated[str, Meta(max_length=500)]
    """https address of the provider's public keys."""
    clock_skew_seconds: Annotated[int, Meta(ge=0, le=600)] = 60
    """How far the provider's clock may be from ours."""
    scopes_claim: Annotated[str, Meta(max_length=100)] = "scope"
    """Claim with scopes and `role:NAME`, as a list or parted by blanks; empty: only subjects bound by `access grant` pass."""


class AccessSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[access]`: callers with names of their own, for sources with `auth = { scheme = "caller" }`."""

    roles: dict[RoleName, list[str]] = {}
    """Role → scopes such as `source:wms:write`; given by `access grant NAME --role ROLE`."""
    limits: CallerLimits = field(default_factory=CallerLimits)
    oidc: OidcSettings | None = None


def check_access(settings: AccessSettings) -> None:
    """Raises `ConfigError` for a role with a scope that does not exist, or keys that anybody on the way could change."""
    parse_roles(settings.roles)
    oidc = settings.oidc
    if oidc is not None and not oidc.jwks.startswith(("https://", "http://127.0.0.1", "http://[::1]")):
        raise ConfigError(f'access.oidc.jwks "{oidc.jwks}" must be an https address: who can change the keys can sign')
