"""Turns counters and a snapshot into samples. Pure; a label value outside its closed set becomes `other`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runtime.observe.alert_kinds import ALERTS
from runtime.observe.metric_kinds import BOOKS, FENCES, LETTER_REASONS, OTHER, TARGET_BOOKS, UNFIT_STATUS
from runtime.observe.metrics import Build, Counters, LaneSnapshot, Snapshot
from runtime.record import NAME

Sample = tuple[str, tuple[str, ...], float]
"""Metric name, label values in the order of `MetricKind.labels`, value."""


def build_samples(build: Build) -> Iterator[Sample]:
    """What runs."""
    yield "entrepot_build_info", (build.version, build.region, build.environment, build.sqlite, build.python), 1.0


def counter_samples(counters: Counters) -> Iterator[Sample]:
    """Everything in `counters` but the histogram."""
    for (source, status), count in counters.intake_requests.items():
        yield "entrepot_intake_requests_total", (source, str(status)), count
        if status == UNFIT_STATUS and source != OTHER:
            yield "entrepot_schema_refusals_total", (source,), count
    labelled = (
        ("entrepot_intake_facts_total", counters.intake_facts),
        ("entrepot_intake_bytes_total", counters.intake_bytes),
        ("entrepot_translated_events_total", counters.translated),
        ("entrepot_lane_rewinds_total", counters.rewinds),
        ("entrepot_lane_rewound_events_total", counters.rewound),
        ("entrepot_step_failures_total", counters.step_failures),
        ("entrepot_alert_notices_total", counters.notices),
    )
    for name, counts in labelled:
        for label, count in counts.items():
            if count or label != OTHER:
                yield name, (label,), count
    yield "entrepot_commit_rows_total", (), counters.commit_rows
    yield "entrepot_hub_connects_total", (), counters.hub_connects
    yield "entrepot_log_lines_suppressed_total", (), counters.log_lines_suppressed
    yield "entrepot_log_lines_lost_total", (), counters.log_lines_lost


def snapshot_samples(now: Snapshot) -> Iterator[Sample]:
    """The state: books, lanes, letters, disk, hub, clock, alerts."""
    for book in BOOKS:
        yield f"entrepot_{book}_events", (), now.books[book]
    yield "entrepot_books_difference_events", (), 2 * now.books["accepted"] - sum(now.books[book] for book in BOOKS)
    yield "entrepot_duplicate_facts", (), now.duplicates
    yield "entrepot_hub_connected", (), now.hub_connected
    yield "entrepot_checkpoints_unsent", (), now.checkpoints_unsent
    yield "entrepot_checkpoint_unsent_seconds", (), now.checkpoint_unsent_seconds
    left = now.buffer_seconds_left
    yield "entrepot_buffer_left_seconds", (), float("inf") if left is None else left
    yield "entrepot_disk_used_bytes", (), now.disk_used_bytes
    yield "entrepot_disk_budget_bytes", (), now.disk_budget_bytes
    yield "entrepot_clock_bad", (), now.clock_bad
    for alert in ALERTS:
        yield "entrepot_alerts_active", (alert,), now.alerts.get(alert, 0)
    for lane, state in now.lanes.items():
        yield from _lane_samples(lane, state)
    yield from _letter_samples(now.letters)
    for target, account in now.targets.items():
        for book in TARGET_BOOKS:
            yield "entrepot_target_deliveries", (target, book), account[book]
        difference = 2 * account["received"] - sum(account[book] for book in TARGET_BOOKS)
        yield "entrepot_target_difference_deliveries", (target,), difference
    for region, (seq, fenced) in now.downlinks.items():
        yield "entrepot_downlink_sequence", (region,), seq
        yield "entrepot_downlink_fenced", (region,), fenced


def _lane_samples(lane: str, state: LaneSnapshot) -> Iterator[Sample]:
    yield "entrepot_lane_sealed_sequence", (lane,), state.sealed
    yield "entrepot_lane_acked_sequence", (lane,), state.acked
    yield "entrepot_lane_pending_events", (lane,), state.pending
    yield "entrepot_lane_lag_seconds", (lane,), state.lag_seconds
    if state.hub_last is not None:
        yield "entrepot_lane_hub_last_sequence", (lane,), state.hub_last
    if state.refill_horizon_seconds is not None:
        yield "entrepot_lane_refill_horizon_seconds", (lane,), state.refill_horizon_seconds
    fenced = state.fenced if state.fenced is None or state.fenced in FENCES else OTHER
    for kind in FENCES:
        yield "entrepot_lane_fenced", (lane, kind), kind == fenced


def _letter_samples(letters: Mapping[tuple[str, str], int]) -> Iterator[Sample]:
    bounded: dict[tuple[str, str], int] = {}
    for (source, reason), count in letters.items():
        key = (source if NAME.fullmatch(source) else OTHER, reason if reason in LETTER_REASONS else OTHER)
        bounded[key] = bounded.get(key, 0) + count
    for key, count in bounded.items():
        yield "entrepot_letters_waiting", key, count
