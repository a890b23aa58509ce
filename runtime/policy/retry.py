"""How long to wait before the next try: exponential back-off with full jitter.

Full jitter spreads a fleet that lost the same server at the same moment. The draw is passed in.
"""

from __future__ import annotations

from msgspec import Struct


class Backoff(Struct, frozen=True, kw_only=True):
    """A schedule in seconds: the ceiling doubles from `seconds_min` up to `seconds_max`."""

    seconds_min: float = 0.5
    seconds_max: float = 60.0
    factor: float = 2.0


def ceiling_seconds(backoff: Backoff, attempt: int) -> float:
    """The longest wait after the `attempt`-th failure in a row (1-based)."""
    ceiling = backoff.seconds_min
    for _ in range(attempt - 1):
        ceiling *= backoff.factor
        if ceiling >= backoff.seconds_max:
            break
    return min(ceiling, backoff.seconds_max)


def wait_seconds(backoff: Backoff, attempt: int, draw: float, *, after_seconds: float | None = None) -> float:
    """Seconds to wait after the `attempt`-th failure in a row.

    `draw` lies in [0, 1) and comes from the caller's seeded generator. `after_seconds` is what the other
    side asked for (Retry-After): a floor, itself capped at `seconds_max` so that nobody can park us for ever.
    """
    wait = backoff.seconds_min + draw * (ceiling_seconds(backoff, attempt) - backoff.seconds_min)
    if after_seconds is None:
        return wait
    return max(wait, min(after_seconds, backoff.seconds_max))
