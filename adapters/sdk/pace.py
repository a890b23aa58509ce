"""When the next request to one partner may go out: hourly budget, breaker, back-off, and what the partner asked for.

Pure: monotonic seconds and the draw of the jitter are passed in.
"""

from __future__ import annotations

from runtime.policy.breaker import Breaker
from runtime.policy.retry import Backoff, wait_seconds
from runtime.policy.throttle import Throttle

HOUR_SECONDS = 3_600
BURST_SHARE = 10
"""A tenth of the hourly budget may go out at once; the rest flows evenly, so that no hour has more than all of it."""


class Pace:
    """One partner's. `take` before each request, then `succeeded` or `failed`."""

    def __init__(
        self,
        *,
        requests_per_hour_max: int,
        backoff: Backoff,
        failures_max: int,
        open_seconds: float,
        retry_after_seconds_max: float,
    ) -> None:
        burst = max(1, requests_per_hour_max // BURST_SHARE)
        evenly = max(requests_per_hour_max - burst, 1)
        self._budget = Throttle(evenly / HOUR_SECONDS, burst)
        self._breaker = Breaker(failures_max, open_seconds)
        self._backoff = backoff
        self._retry_after_seconds_max = retry_after_seconds_max
        self._failures = 0
        self._not_before = 0.0

    @property
    def broken(self) -> bool:
        """Whether the partner has failed so often that it is left alone for a while."""
        return self._breaker.state != "closed"

    def take(self, now: float) -> float:
        """0.0: a request may go out, and is counted. Otherwise the seconds after which to ask again."""
        wait = max(self._not_before - now, self._budget.wait_seconds(now))
        if wait > 0:
            return wait
        wait = self._breaker.wait_seconds(now)
        return wait or self._budget.take(now)

    def succeeded(self) -> None:
        """The partner answered as it should."""
        self._failures = 0
        self._breaker.succeeded()

    def failed(self, now: float, draw: float, *, after_seconds: float | None = None, ill: bool = True) -> None:
        """`after_seconds`: what the partner asked for. `ill`: whether the failure speaks against its health."""
        self._failures += 1
        wait = wait_seconds(self._backoff, self._failures, draw)
        if after_seconds is not None:
            wait = max(wait, min(after_seconds, self._retry_after_seconds_max))
        self._not_before = now + wait
        if ill:
            self._breaker.failed(now)
        else:
            self._breaker.succeeded()
