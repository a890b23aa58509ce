"""What an agent counts while it runs, and the `Snapshot` of its state that the kernel hands over at each scrape.

The hot path adds to plain integers; nothing a partner wrote becomes a label. Names: `metric_kinds`; text: `exposition`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from runtime.observe.metric_kinds import NOTICE_OUTCOMES, OTHER

COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the commit histogram: a flush takes 0.3 ms on a good disk, 5 s on one that is dying."""


class Histogram:
    """Counts by upper bound, and their sum. `add` is a bisect and two additions."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """(upper bound, values up to it), the last bound is +Inf."""
        running = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            running += count
            yield bound, running


class Counters:
    """Plain integers since the start of the process. One event loop adds to them; nothing here locks or waits.

    Sources and lanes are those of the configuration; any other name is counted as `other`.
    """

    def __init__(self, sources: Iterable[str] = (), lanes: Iterable[str] = ()) -> None:
        self.intake_requests: dict[tuple[str, int], int] = {}
        self.intake_facts: dict[str, int] = dict.fromkeys((*sources, OTHER), 0)
        self.intake_bytes: dict[str, int] = dict.fromkeys(self.intake_facts, 0)
        self.translated: dict[str, int] = dict.fromkeys(self.intake_facts, 0)
        self.commit_seconds = Histogram(COMMIT_SECONDS)
        self.commit_rows = 0
        self.rewinds: dict[str, int] = dict.fromkeys((*lanes, OTHER), 0)
        self.rewound: dict[str, int] = dict.fromkeys(self.rewinds, 0)
        self.hub_connects = 0
        self.step_failures: dict[str, int] = {}
        self.notices: dict[str, int] = dict.fromkeys(NOTICE_OUTCOMES, 0)
        self.log_lines_suppressed = 0
        self.log_lines_lost = 0

    def know(self, sources: Iterable[str], lanes: Iterable[str]) -> None:
        """Names of another configuration. Those that are gone keep their counts: a counter never goes back."""
        for name in sources:
            for counts in (self.intake_facts, self.intake_bytes, self.translated):
                counts.setdefault(name, 0)
        for name in lanes:
            for counts in (self.rewinds, self.rewound):
                counts.setdefault(name, 0)

    def request(self, source: str, status: int) -> None:
        """One answered HTTP request; `source` may be whatever stood in the path."""
        key = (source if source in self.intake_facts else OTHER, status)
        self.intake_requests[key] = self.intake_requests.get(key, 0) + 1

    def accepted(self, source: str, facts: int, body_bytes: int) -> None:
        """New facts committed for one source, duplicates not counted."""
        known = source if source in self.intake_facts else OTHER
        self.intake_facts[known] += facts
        self.intake_bytes[known] += body_bytes

    def translation(self, source: str, events: int) -> None:
        """Events translated from one source; called once a batch."""
        self.translated[source if source in self.translated else OTHER] += events

    def commit(self, seconds: float, rows: int) -> None:
        """One commit of the journal's writer."""
        self.commit_seconds.add(seconds)
        self.commit_rows += rows

    def rewind(self, lane: str, events: int) -> None:
        """The hub lost `events` acknowledged events of a lane."""
        known = lane if lane in self.rewinds else OTHER
        self.rewinds[known] += 1
        self.rewound[known] += events

    def step_failed(self, step: str) -> None:
        """A supervised step or source ended with an error; `step` is a name from the code or the configuration."""
        known = step if step in self.step_failures or len(self.step_failures) < 256 else OTHER
        self.step_failures[known] = self.step_failures.get(known, 0) + 1


class Build(Struct, frozen=True, kw_only=True):
    """What runs, as labels of `entrepot_build_info`."""

    version: str
    region: str
    environment: str
    sqlite: str
    python: str


class LaneSnapshot(Struct, frozen=True, kw_only=True):
    """One lane. `fenced` is the kind of its fence, or None; `pending` counts translated events not yet acknowledged."""

    sealed: int
    acked: int
    pending: int
    hub_last: int | None = None
    lag_seconds: float = 0.0
    """How long the oldest pending event has waited."""
    fenced: str | None = None
    refill_horizon_seconds: float | None = None


class Snapshot(Struct, frozen=True, kw_only=True):
    """The state at one moment. `books` has the keys of `BOOKS`, `letters` is keyed by (source, reason class)."""

    books: Mapping[str, int]
    lanes: Mapping[str, LaneSnapshot]
    duplicates: int
    disk_used_bytes: int
    disk_budget_bytes: int
    hub_connected: bool
    clock_bad: bool
    buffer_seconds_left: float | None = None
    """None: at the present rate it never fills."""
    letters: Mapping[tuple[str, str], int] = {}
    alerts: Mapping[str, int] = {}
    targets: Mapping[str, Mapping[str, int]] = {}
    """Target → the keys of `TARGET_BOOKS`."""
    downlinks: Mapping[str, tuple[int, bool]] = {}
    """Headquarters → last record taken in, and whether reading has stopped."""
    checkpoints_unsent: int = 0
    checkpoint_unsent_seconds: float = 0.0
