"""A circuit breaker: after enough failures in a row stop asking, later let one trial through.

Owns the state of one foreign system; the caller passes monotonic seconds in.
"""

from __future__ import annotations

from typing import Literal

State = Literal["closed", "open", "trial"]


class Breaker:
    """`closed`: calls go through. `open`: none do for `open_seconds`. `trial`: exactly one is on its way."""

    __slots__ = ("_failures", "_failures_max", "_open_seconds", "_opened_at", "_trial_at")

    def __init__(self, failures_max: int = 5, open_seconds: float = 30.0) -> None:
        self._failures_max = failures_max
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._trial_at: float | None = None

    @property
    def state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "open" if self._trial_at is None else "trial"

    def wait_seconds(self, now: float) -> float:
        """Return 0.0 if a call may go out now, and count it as the trial if the breaker was open.

        A trial that never reported back (its task died) is given up after another `open_seconds`.
        """
        wait = self.left_seconds(now)
        if wait == 0 and self._opened_at is not None:
            self._trial_at = now
        return wait

    def left_seconds(self, now: float) -> float:
        """As `wait_seconds`, counting nothing."""
        since = self._opened_at if self._trial_at is None else self._trial_at
        return 0.0 if since is None else max(0.0, since + self._open_seconds - now)

    def succeeded(self) -> None:
        """The call worked: close, and forget earlier failures."""
        self._failures = 0
        self._opened_at = self._trial_at = None

    def failed(self, now: float) -> None:
        """The call failed in a way that speaks against the system (never for `Permanent` or `Refused`)."""
        self._failures += 1
        if self._trial_at is not None or self._failures >= self._failures_max:
            self._opened_at = now
            self._trial_at = None
