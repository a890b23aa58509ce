"""The keys of whatever asks a partner by GET: one host, how we prove who we are, and how much we ask."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from adapters.sdk.login import Login, Text
from adapters.sdk.pin import opened
from adapters.sdk.scheme import HeaderName
from runtime.policy.addresses import Kind, Reach
from runtime.policy.retry import Backoff

Address = Annotated[str, Meta(min_length=1, max_length=2_000)]
Megabytes = 1024 * 1024


class Fetching(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every kind of GET has."""

    url: Address
    """https; only its scheme, host and port are ever connected to, and no redirect is followed."""
    login: Login = Login()
    """How we prove who we are."""
    headers: dict[HeaderName, Text] = {}
    """Sent with each request, e.g. `Accept`. Nothing secret: that belongs into `login`."""
    networks: list[Kind] = []
    """Where the host's name may lead beside the public Internet. Link-local and other special addresses are always refused."""
    requests_per_hour_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000
    """Budget. A tenth of it may go out at once, the rest evenly."""
    request_seconds_max: Annotated[float, Meta(gt=0, le=600)] = 30.0
    """From the connection to the last byte."""
    body_bytes_max: Annotated[int, Meta(ge=1, le=64 * Megabytes)] = 8 * Megabytes
    """A larger answer is given up, and is a failure."""
    backoff_seconds_min: Annotated[float, Meta(ge=0, le=3_600)] = 1.0
    """Wait after a first failure; it doubles, with jitter."""
    backoff_seconds_max: Annotated[float, Meta(ge=0, le=86_400)] = 45.0
    """The longest wait that we choose by ourselves."""
    retry_after_seconds_max: Annotated[float, Meta(ge=0, le=604_800)] = 3_600.0
    """The longest wait that the partner can ask for (Retry-After)."""
    failures_max: Annotated[int, Meta(ge=1, le=1_000)] = 5
    """Failures in a row (no connection, no answer in time, 5xx) after which the partner is left alone."""
    open_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 45.0
    """How long; then one request tries again."""

    @property
    def reach(self) -> Reach:
        return opened(self.networks)

    @property
    def backoff(self) -> Backoff:
        return Backoff(seconds_min=self.backoff_seconds_min, seconds_max=self.backoff_seconds_max)
