"""What may stand in fleet.toml. Every limit has a bound, a default and a sentence here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from runtime.config.model import Name, SecretSettings
from runtime.fleet.judgement import Limits

PublicKey = Annotated[str, Meta(min_length=1, max_length=200)]
Percent = Annotated[float, Meta(gt=0, le=100)]


class RolloutSettings(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[rollout]`: how a change spreads, and what stops it."""

    waves_percent: Annotated[list[Percent], Meta(min_length=1, max_length=20)] = field(
        default_factory=lambda: [1.0, 10.0, 50.0, 100.0]
    )
    """How much of the fleet has the change after each wave; each wave has at least one region more. Default: 1, 10, 50, 100."""
    poll_seconds: Annotated[float, Meta(ge=0.1, le=600)] = 15.0
    """Look again this often even when nothing was heard."""


class FreezeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[freeze]]`: from … until nothing new is offered. Going back is always possible."""

    since: str = field(name="from")
    """RFC 3339 with offset."""
    until: str
    """RFC 3339 with offset."""
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    """Shown to whoever is held up by it."""
    regions: list[Name] = []
    """Empty, and `groups` too: everybody."""
    groups: list[Name] = []
    """All members of these."""


class RegionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[regions.<name>]`: one agent, by the region id of its entrepot.toml."""

    jurisdiction: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    """As in its entrepot.toml; the rendered configuration is checked under it."""
    groups: list[Name] = []
    """Layers between base and region, the later one wins."""
    part_of: Name | None = None
    """Where a region has several hosts: whose folder `regions/<name>` this one takes, before its own `agents/<name>`."""
    public_key: PublicKey = ""
    """Ed25519, base64 or hex: with what the agent signs. Else the file `enrolled/<name>.pub`."""
    veto: str = ""
    """Why its regional IT takes no change now: rollouts leave it out."""


class FleetFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """fleet.toml."""

    environment: Literal["test", "prod"]
    """Stands in every signed document and in the hub's streams; a mismatch stops everything."""
    hub: dict[str, Any]
    """`[hub]`: as in entrepot.toml."""
    secrets: SecretSettings = field(default_factory=SecretSettings)
    """As in entrepot.toml: where `secret://name` of `[hub]` is looked up."""
    release_keys: Annotated[list[PublicKey], Meta(min_length=1, max_length=16)]
    """Public keys of the role `release`: whose revisions, timestamps and changes count."""
    release_key: str = "release.key"
    """File of this machine's private release key; it never belongs into git. Needed to change something only."""
    timestamp_days: Annotated[float, Meta(ge=0.01, le=90)] = 7.0
    """How long regions believe what is newest, unless `fleet refresh` says it again."""
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    """How a change spreads."""
    freeze: Annotated[list[FreezeSettings], Meta(max_length=200)] = []
    """When nothing new is offered."""
    groups: dict[Name, str] = {}
    """Name → what it is for; each has the folder `groups/<name>`."""
    regions: dict[Name, RegionSettings]
    """Every agent, by the region id of its entrepot.toml."""
