"""What one caller may still ask for: a token bucket, requests in hand, and a day's worth. Pure; the caller passes times in."""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct

from runtime.access.settings import CallerLimits
from runtime.policy.throttle import Throttle

DAY_SECONDS = 86_400
BURST_SECONDS = 10.0
"""How much of the rate may come at once where no burst is given."""
IN_FLIGHT_WAIT_SECONDS = 1.0
Limit = Literal["rate", "concurrency", "day"]


class Quota(Struct, frozen=True):
    """One limit as the sender is told: `of` requests in `window_seconds`, `left` now, full again in `reset_seconds`."""

    name: Limit
    of: int
    window_seconds: int
    left: int
    reset_seconds: int


class Allowance:
    """One caller's. Refusing takes nothing, so that a sender that is told to wait loses nothing by having asked."""

    __slots__ = ("_bucket", "_limits", "day", "in_flight", "requests")

    def __init__(self, limits: CallerLimits, day: int = 0, requests: int = 0) -> None:
        self.day = day
        """Days since 1970 (UTC)."""
        self.requests = requests
        """Let in on that day."""
        self.in_flight = 0
        self.use(limits)

    def use(self, limits: CallerLimits) -> None:
        """Other limits; what was used of the day stays used."""
        self._limits = limits
        rate = limits.rate_per_second
        self._bucket = None if rate is None else Throttle(rate, self._burst(rate))

    @property
    def limits(self) -> CallerLimits:
        return self._limits

    def enter(self, now: float, now_us: int) -> tuple[Limit, float] | None:
        """Let one request in and return None, or what forbids it and the seconds to wait."""
        limits = self._limits
        if limits.in_flight_max is not None and self.in_flight >= limits.in_flight_max:
            return "concurrency", IN_FLIGHT_WAIT_SECONDS
        seconds = now_us // 1_000_000
        if seconds // DAY_SECONDS != self.day:
            self.day, self.requests = seconds // DAY_SECONDS, 0
        if limits.requests_per_day_max is not None and self.requests >= limits.requests_per_day_max:
            return "day", float(DAY_SECONDS - seconds % DAY_SECONDS)
        if self._bucket is not None:
            wait = self._bucket.take(now)
            if wait:
                return "rate", wait
        self.requests += 1
        self.in_flight += 1
        return None

    def leave(self) -> None:
        """The request that was let in has been answered."""
        self.in_flight -= 1

    def quotas(self, now: float, now_us: int) -> list[Quota]:
        """The limits that there are and what is left of them."""
        found: list[Quota] = []
        rate = self._limits.rate_per_second
        if self._bucket is not None and rate is not None:
            burst = self._burst(rate)
            left = self._bucket.left(now)
            found.append(
                Quota("rate", int(burst), max(1, round(burst / rate)), int(left), math.ceil((burst - left) / rate))
            )
        most = self._limits.requests_per_day_max
        if most is not None:
            until_midnight = DAY_SECONDS - now_us // 1_000_000 % DAY_SECONDS
            found.append(Quota("day", most, DAY_SECONDS, max(0, most - self.requests), until_midnight))
        return found

    def _burst(self, rate: float) -> float:
        return float(self._limits.burst or max(1.0, rate * BURST_SECONDS))
