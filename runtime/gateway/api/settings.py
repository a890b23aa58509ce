"""The `[api]` table: whether there is an API, what it keeps to answer from, and which parts of it will end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from runtime.errors import ConfigError

Deprecable = Literal[
    "v1", "submit-order", "get-shipment", "list-stock", "list-products", "get-product",
    "list-partners", "get-partner", "get-timeline",
]  # fmt: skip


class Deprecation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[api.deprecated.OPERATION]`, or `v1` for the whole version: its answers say that it will end."""

    since: Annotated[datetime, Meta(tz=True)]
    """From when on it should not be built upon: the header Deprecation (RFC 9745)."""
    sunset: Annotated[datetime, Meta(tz=True)] | None = None
    """When it may stop answering: the header Sunset (RFC 8594). It goes on answering until an upgrade takes it away."""
    link: Annotated[str, Meta(pattern=r"^https?://[^\s<>\"]{1,300}$")] | None = None
    """Page that says what to use instead."""

    @property
    def fields(self) -> dict[str, str]:
        """As headers."""
        found = {"Deprecation": f"@{int(self.since.timestamp())}"}
        if self.sunset is not None:
            found["Sunset"] = format_datetime(self.sunset.astimezone(UTC), usegmt=True)
        if self.link is not None:
            found["Link"] = f'<{self.link}>; rel="deprecation"; type="text/html"'
        return found


class ApiSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[api]`: questions answered and orders taken at `/api/v1`, from the journal alone, so also while the hub is away. Without the table nothing is served, and nothing kept for it."""

    orders: Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$")] | None = None
    """Source that takes `POST /api/v1/orders`. Without it no orders are taken there."""
    page_rows_max: Annotated[int, Meta(ge=1, le=1_000)] = 200
    """Rows of one answer; whoever asks for no number gets up to 50."""
    rate_per_second: Annotated[float, Meta(gt=0, le=100_000)] = 100.0
    """Questions of all callers together, in the long run. More gets 429. Orders count against the limits of their source."""
    burst: Annotated[int, Meta(ge=1, le=100_000)] = 200
    """Questions that may come at once before the rate holds."""
    in_flight_max: Annotated[int, Meta(ge=1, le=10_000)] = 64
    """Questions in hand at once. More gets 429."""
    history_days: Annotated[int, Meta(ge=1, le=3_650)] = 90
    """How long timelines and shipments without news are kept, in running days."""
    record_days: Annotated[int, Meta(ge=1, le=3_650)] = 400
    """How long stock levels, products and partners of which nothing is heard are kept, in running days."""
    record_rows_max: Annotated[int, Meta(ge=1, le=10_000_000)] = 500_000
    """Shipments, stock levels, products and partners, of each kind; those told longest ago go first. A row takes about 300 bytes."""
    timeline_rows_max: Annotated[int, Meta(ge=1, le=50_000_000)] = 1_000_000
    """Rows of all timelines together; the oldest go first. A row takes about 120 bytes."""
    deprecated: dict[Deprecable, Deprecation] = {}
    """Operations, or `v1` as a whole, that will end."""

    def deprecation(self, operation: str) -> Deprecation | None:
        """What holds for an operation: its own word, else that of the version."""
        own: Mapping[str, Deprecation] = {str(name): said for name, said in self.deprecated.items()}
        return own.get(operation) or own.get("v1")


def check_api(settings: ApiSettings) -> None:
    """Raises `ConfigError` for a sunset before the deprecation (RFC 9745, section 4)."""
    for name, said in settings.deprecated.items():
        if said.sunset is not None and said.sunset < said.since:
            raise ConfigError(
                f"api.deprecated.{name}: sunset is before since", hint="callers are warned before it ends, not after"
            )
