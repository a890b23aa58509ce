"""What may stand in entrepot.toml. Every limit has a bound, a default and a sentence here; docs are checked against it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from runtime.access.settings import AccessSettings
from runtime.fleet.settings import FleetSettings
from runtime.gateway.api.settings import ApiSettings
from runtime.gateway.settings import GatewaySettings, SourceLimits
from runtime.observe.alerts import AlertSettings
from runtime.pipeline.route import Route

Name = Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$")]
MEBIBYTE = 1024 * 1024


class SecretSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[secrets]`: one file a secret. systemd's credentials directory is looked at first."""

    dir: str | None = None
    """Folder of secret files."""


class ResidencySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[residency]`: what may leave. Without a policy nothing does."""

    policy: str
    """Policy file (TOML)."""


BALLAST_BYTES = 16 * MEBIBYTE
"""As large as the journal's log before it is taken over into the file, which may have to grow for that."""


class JournalSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[journal]`: how much disk, and how long what is safe at the hub is kept for refill."""

    disk_bytes_max: Annotated[int, Meta(ge=64 * MEBIBYTE)] = 10_240 * MEBIBYTE
    """Disk budget. When it is used up, senders get 507 and try again; nothing is dropped."""
    ballast_bytes: Annotated[int, Meta(ge=0, le=1_024 * MEBIBYTE)] = BALLAST_BYTES
    """A file that is given back when the disk is really full, so that the agent can still settle what it has. Less may not be enough."""
    refill_hours: Annotated[int, Meta(ge=1, le=24 * 365)] = 72
    """How long acknowledged records stay for a refill of the hub, counted in running hours."""
    key_days: Annotated[int, Meta(ge=1, le=400)] = 35
    """How long an idempotency key answers with the same receipt, counted in running days."""
    watchdog_seconds: Annotated[int, Meta(ge=10, le=3_600)] = 60
    """A step that hangs longer (a mapping without end) ends the process; the service manager starts it again."""


class EvidenceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[evidence]`: signed checkpoints."""

    checkpoint_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """Time between two signed checkpoints; one more is written at an orderly stop."""


class LaneSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[lanes.<name>]`: an ordered path to the hub with its own stream."""

    lag_seconds_warning: Annotated[int, Meta(ge=1, le=86_400 * 365)] = 900
    """Status says "warning" when the oldest event of this lane has waited longer while the hub is there."""


class SourceSettings(Struct, frozen=True, kw_only=True):
    """`[sources.<name>]`: the keys that every adapter shares. The others belong to the adapter."""

    adapter: str
    """Name of an installed adapter."""
    mapping: str | None = None
    """Mapping file (TOML)."""
    pack: str | None = None
    """Instead of a mapping: name of an installed mapping pack; `entrepot packs list` shows them."""
    options: dict[str, str] = {}
    """What the pack leaves to the region; `entrepot packs show NAME` lists it."""
    translator: str | None = None
    """Instead of a mapping: name of an installed Python translator (entry point group entrepot.translators)."""
    lane: Name | None = None
    """Lane of the events, unless a route says otherwise. May be left out when there is one lane only."""
    on_letter: Literal["pass", "park"] = "pass"
    """After a rejected message: `pass` lets successors go on, `park` makes those of the same key wait."""
    dedupe: Literal["key", "body", "none"] = "key"
    """What makes two messages the same: the idempotency key, the exact body, or nothing."""
    schema: str | None = None
    """JSON Schema 2020-12 (a file) that every message must fit; others get 422 and are not kept. For sources that receive HTTP."""
    answer_status: Literal[200, 202] = 202
    """What a message that was taken is answered with. 200 is for platforms that count nothing else as taken."""
    limits: SourceLimits | None = None
    """This source's own limits instead of those of [gateway]."""


class RetrySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[targets.<name>.retry]`: when a target does not take a delivery and may take it later."""

    seconds_min: Annotated[float, Meta(ge=0.05, le=3_600)] = 1.0
    """Shortest pause before the next try; it doubles with each one, with jitter."""
    seconds_max: Annotated[float, Meta(ge=0.05, le=86_400)] = 300.0
    """Longest pause, also when the target asks for a longer one (Retry-After)."""
    attempts_max: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """After so many tries it becomes a letter; none: it is tried for ever."""
    give_up_after_hours: Annotated[float, Meta(gt=0, le=24 * 365)] | None = None
    """After so long it becomes a letter; none: it is tried for ever."""


class TargetSettings(Struct, frozen=True, kw_only=True):
    """`[targets.<name>]`: the keys that every target shares. The others belong to the adapter."""

    adapter: str
    """Name of an installed target adapter."""
    reads: Name = "inbox"
    """`inbox`: what headquarters sends. The name of a lane: what clearance let out on it, once the hub has it."""
    on_letter: Literal["pass", "park"] = "pass"
    """After a delivery was rejected for good: `pass` lets successors of its key go on, `park` makes them wait."""
    retry: RetrySettings = field(default_factory=RetrySettings)
    expire_hours: Annotated[float, Meta(gt=0, le=24 * 365)] | None = None
    """What is older is not delivered any more but counted as expired; an event's own `expirytime` counts as well."""
    in_flight_max: Annotated[int, Meta(ge=1, le=256)] = 8
    """Deliveries on their way at once, each of another business key."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 60.0
    """A target that has not answered by then did not take it; the next try has the same id."""
    breaker_failures_max: Annotated[int, Meta(ge=1, le=10_000)] = 5
    """After so many failures in a row nothing is sent for a while, then one delivery tries."""
    breaker_open_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    """How long that while is."""


class DownlinkSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[downlink]`: what headquarters sends to this region. Without this table nothing is read."""

    region: Name = "hq"
    """Id of headquarters: its lane that is named like this region is read."""
    public_key: str = ""
    """File with headquarters' public key (`signing.pub`): only with it an epoch that it announces is proven to be its own."""
    poll_seconds: Annotated[float, Meta(ge=0.05, le=60)] = 2.0
    """An idle downlink looks so often; what is published in between is heard at once where the hub permits it."""


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """entrepot.toml."""

    region: Name
    """Id of the region: part of subjects, stream names and receipts."""
    jurisdiction: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    """ISO 3166 alpha-2 code of the law that holds here."""
    environment: Literal["test", "prod"]
    """Stands in the hub's stream metadata; a mismatch stops sending."""
    data_dir: str = "state"
    """Journal, keys, lock and admin socket."""
    lanes: dict[Name, LaneSettings]
    sources: dict[Name, dict[str, Any]] = {}
    routes: list[Route] = []
    """By event type, source or key; the first match decides."""
    targets: dict[Name, dict[str, Any]] = {}
    downlink: DownlinkSettings | None = None
    hub: dict[str, Any] = field(default_factory=dict)
    residency: ResidencySettings
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    api: ApiSettings | None = None
    access: AccessSettings = field(default_factory=AccessSettings)
    secrets: SecretSettings = field(default_factory=SecretSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    fleet: FleetSettings | None = None
    """Headquarters may steer this region; without the table nobody does."""

    @property
    def headquarters(self) -> str:
        """Whose lane for this region is read; empty without `[downlink]`."""
        return "" if self.downlink is None else self.downlink.region
