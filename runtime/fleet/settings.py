"""The `[fleet]` table: whose signatures count here, how often headquarters is asked, and how long a revision is on trial."""

from __future__ import annotations

import base64
from typing import Annotated

from msgspec import Meta, Struct

from runtime.errors import ConfigError

PublicKey = Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{43}=$")]
Label = Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,60}$")]


class FleetSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[fleet]`: headquarters may steer this region. Without the table nobody does. No revision can change it."""

    release_keys: Annotated[list[PublicKey], Meta(min_length=1, max_length=8)]
    """Ed25519 public keys of headquarters, 32 raw bytes as base64. More than one while a key is being rotated."""
    region_keys: Annotated[list[PublicKey], Meta(max_length=8)] = []
    """Keys of regional IT: only what one of these has signed may loosen the residency floor or the authentication."""
    labels: dict[Label, Label] = {}
    """By which headquarters groups its agents, such as `country = "DE"`."""
    poll_seconds: Annotated[float, Meta(ge=0.1, le=3_600)] = 60.0
    """How often headquarters is asked for something new; a poke only makes it sooner. With jitter."""
    presence_seconds: Annotated[float, Meta(ge=0.1, le=3_600)] = 60.0
    """Time between two heartbeats, with jitter."""
    intake_seconds_max: Annotated[float, Meta(ge=0.2, le=40)] = 20.0
    """A revision on trial is taken back when intake has been broken for this long. Promised is a minute in all."""
    hub_seconds_max: Annotated[float, Meta(ge=1, le=570)] = 540.0
    """A revision that has not been confirmed after this long is taken back. Promised are ten minutes in all."""
    soak_seconds: Annotated[float, Meta(ge=0.1, le=480)] = 60.0
    """Hub and intake must be well for this long, without a break, before a revision is confirmed."""


def check_fleet(settings: FleetSettings) -> None:
    """Raises `ConfigError` for a trial that cannot end well, and for a key that would have both words."""
    if settings.soak_seconds >= settings.hub_seconds_max:
        raise ConfigError(
            "fleet.soak_seconds must be shorter than fleet.hub_seconds_max, or no revision could ever be confirmed"
        )
    if shared := sorted({*settings.release_keys} & {*settings.region_keys}):
        raise ConfigError(
            f"fleet: {shared[0]} stands in release_keys and in region_keys: headquarters could loosen what is the region's",
            hint="regional IT makes a key of its own, and keeps it",
        )


def raw_keys(keys: list[PublicKey]) -> tuple[bytes, ...]:
    """32 bytes each."""
    return tuple(base64.b64decode(key) for key in keys)
