"""Whether the wall clock can be believed: it must move as the clock that never jumps does.

Pure. After a jump the clock is bad until it is back, or an independent clock (the hub's) confirms it: who was right
cannot be known from inside. Order and idempotency never use the wall clock; signature freshness does.
"""

from __future__ import annotations

from msgspec import Struct

JUMP_US_MAX = 60_000_000
"""A step of more than a minute; less is the daily work of NTP. Webhook signatures tolerate 300 s."""


class Reading(Struct, frozen=True):
    """Both clocks read together. `now_us`: since 1970 (UTC). `monotonic`: seconds, best one that counts a suspended host."""

    now_us: int
    monotonic: float


class ClockVerdict(Struct, frozen=True):
    """`off_us` is how far the wall clock stands from where it should, positive when it is ahead."""

    bad: bool
    off_us: int = 0
    sentence: str = ""


GOOD = ClockVerdict(bad=False)


class ClockWatch:
    """Fed with readings every few seconds. `not_before_us`: an instant known to be past, such as the release's date."""

    def __init__(self, first: Reading, *, not_before_us: int = 0, jump_us_max: int = JUMP_US_MAX) -> None:
        self._last = first
        self._jump_us_max = jump_us_max
        self._off_us = min(0, first.now_us - not_before_us)
        self.verdict = self._judge()

    def observe(self, reading: Reading) -> ClockVerdict:
        """Compare with the reading before. Small steps of a good clock are accepted; steps of a bad one are summed up."""
        elapsed_us = round((reading.monotonic - self._last.monotonic) * 1_000_000)
        step_us = reading.now_us - self._last.now_us - elapsed_us
        self._last = reading
        if self.verdict.bad or abs(step_us) > self._jump_us_max:
            self._off_us += step_us
            self.verdict = self._judge()
        return self.verdict

    def compare(self, reading: Reading, reference_us: int) -> ClockVerdict:
        """Compare with an independent clock read at the same time: it decides, for better or worse."""
        self._last = reading
        self._off_us = reading.now_us - reference_us
        self.verdict = self._judge()
        return self.verdict

    def _judge(self) -> ClockVerdict:
        if abs(self._off_us) <= self._jump_us_max:
            self._off_us = 0
            return GOOD
        way = "ahead of" if self._off_us > 0 else "behind"
        sentence = f"The clock of this machine is about {_span(abs(self._off_us))} {way} where it should be."
        return ClockVerdict(bad=True, off_us=self._off_us, sentence=sentence)


def _span(us: int) -> str:
    seconds = us // 1_000_000
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
