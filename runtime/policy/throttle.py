"""A token bucket: at most `burst` at once, `rate_per_second` in the long run.

Owns nothing but two numbers; the caller passes monotonic seconds in.
"""

from __future__ import annotations


class Throttle:
    """One bucket. `now` is any monotonic time in seconds; going backwards refills nothing."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate_per_second: float, burst: float) -> None:
        """Raises `ValueError` for a rate that never refills or a bucket that holds less than one token."""
        if not rate_per_second > 0 or not burst >= 1:
            raise ValueError("rate_per_second must be above 0 and burst at least 1")
        self._rate = rate_per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at: float | None = None

    def wait_seconds(self, now: float) -> float:
        """Seconds until one token is there, 0.0 if there is one now. Takes nothing."""
        at = self._at
        if at is None:
            self._at = now
        elif now > at:
            self._tokens = min(self._burst, self._tokens + (now - at) * self._rate)
            self._at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate

    def left(self, now: float) -> float:
        """Tokens that are there now."""
        self.wait_seconds(now)
        return self._tokens

    def take(self, now: float) -> float:
        """Take one token and return 0.0, or take nothing and return the seconds to wait (for Retry-After)."""
        wait = self.wait_seconds(now)
        if not wait:
            self._tokens -= 1.0
        return wait
