"""When something happened, and how well that is known. Every canonical event is an `Occurrence`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from runtime.canonical.classes import Class

Instant = Annotated[datetime, Meta(tz=True), Class("business")]
"""RFC 3339 with an offset; a time without one is refused."""
Day = Annotated[date, Class("business")]
"""A calendar day where only the day is meant (due date, best before)."""

TimeQuality = Annotated[Literal["exact", "assumed_zone", "date_only", "received"], Class("business")]
"""exact: the source gave an offset · assumed_zone: local time, zone of the source · date_only: midnight
stands for the day · received: the source gave none, the time of acceptance stands in."""


class Canonical(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What every canonical struct shares: immutable, absent means not stated, no reference cycles."""


class Occurrence(Canonical, frozen=True, kw_only=True):
    """What every canonical event carries: the instant at which it happened in the real world."""

    occurred_at: Instant
    time_quality: TimeQuality = "exact"
    """Quality of `occurred_at` alone."""
