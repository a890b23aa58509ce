"""Every metric that an agent shows, by name. docs/operations.md holds the same table; a test compares them.

Labels come from closed sets only: configured sources and lanes, HTTP statuses, names in the code.
"""

from __future__ import annotations

from msgspec import Struct

BOOKS = ("accepted", "delivered", "withheld", "dead_lettered", "ignored", "expired", "pending")
TARGET_BOOKS = ("received", "delivered", "not_wanted", "dead_lettered", "expired", "pending")
FENCES = ("diverged", "stale_self", "hub_recreated", "horizon", "wrong_stream", "policy", "unreadable", "other")
LETTER_REASONS = ("untranslatable", "crashed", "unconfigured", "other")
"""Classes of reasons. The reason itself may quote a partner and never becomes a label."""
NOTICE_OUTCOMES = ("delivered", "dropped", "failed")
OTHER = "other"
UNFIT_STATUS = 422
"""What the gateway answers to a message that does not fit the schema of its source, and to nothing else."""


class MetricKind(Struct, frozen=True):
    """One row of the table: Prometheus type, what it says, and the names of its labels."""

    type: str
    text: str
    labels: tuple[str, ...] = ()


METRICS: dict[str, MetricKind] = {
    "entrepot_build_info": MetricKind(
        "gauge", "Always 1; the labels say what runs.", ("version", "region", "environment", "sqlite", "python")
    ),
    "entrepot_accepted_events": MetricKind(
        "gauge", "The books: events accepted, and facts not yet or not translatable."
    ),
    "entrepot_delivered_events": MetricKind(
        "gauge", "The books: acknowledged by the hub and released, in whole or in part."
    ),
    "entrepot_withheld_events": MetricKind(
        "gauge", "The books: told to the hub as a stub only; the content stayed here."
    ),
    "entrepot_dead_lettered_events": MetricKind(
        "gauge", "The books: rejected messages (letters), discarded ones included."
    ),
    "entrepot_ignored_events": MetricKind("gauge", "The books: said nothing new, such as a tracker's resent history."),
    "entrepot_expired_events": MetricKind("gauge", "The books: ended by a policy with a time limit."),
    "entrepot_pending_events": MetricKind("gauge", "The books: everything else; held and parked ones included."),
    "entrepot_books_difference_events": MetricKind(
        "gauge", "Accepted minus all other books. Anything but 0 is a defect."
    ),
    "entrepot_duplicate_facts": MetricKind("gauge", "Repeated messages that were answered with their first receipt."),
    "entrepot_intake_requests_total": MetricKind(
        "counter", "HTTP requests to /in/<source> by answer.", ("source", "status")
    ),
    "entrepot_schema_refusals_total": MetricKind(
        "counter", "Requests of those that did not fit the schema of the source: nothing of them was kept.", ("source",)
    ),
    "entrepot_intake_facts_total": MetricKind(
        "counter", "Messages accepted for the first time since the start.", ("source",)
    ),
    "entrepot_intake_bytes_total": MetricKind("counter", "Bytes of those messages.", ("source",)),
    "entrepot_translated_events_total": MetricKind("counter", "Events translated since the start.", ("source",)),
    "entrepot_letters_waiting": MetricKind(
        "gauge", "Rejected messages that wait for a decision.", ("source", "reason")
    ),
    "entrepot_commit_seconds": MetricKind("histogram", "Time of one journal commit, flush to disk included."),
    "entrepot_commit_rows_total": MetricKind("counter", "Rows written by those commits."),
    "entrepot_lane_sealed_sequence": MetricKind("gauge", "Last sequence sealed on the lane.", ("lane",)),
    "entrepot_lane_acked_sequence": MetricKind("gauge", "Last sequence that the hub has acknowledged.", ("lane",)),
    "entrepot_lane_hub_last_sequence": MetricKind("gauge", "Last sequence seen in the hub's stream.", ("lane",)),
    "entrepot_lane_pending_events": MetricKind(
        "gauge", "Lag: events of the lane that the hub has not acknowledged.", ("lane",)
    ),
    "entrepot_lane_lag_seconds": MetricKind("gauge", "How long the oldest of them has waited; 0 when none.", ("lane",)),
    "entrepot_lane_fenced": MetricKind(
        "gauge", "1 while sending is stopped and a person must decide.", ("lane", "kind")
    ),
    "entrepot_lane_refill_horizon_seconds": MetricKind(
        "gauge", "How far back the lane could be sent again if the hub lost it.", ("lane",)
    ),
    "entrepot_lane_rewinds_total": MetricKind("counter", "Times the hub had lost acknowledged events.", ("lane",)),
    "entrepot_lane_rewound_events_total": MetricKind(
        "counter", "Acknowledged events that had to be sent again.", ("lane",)
    ),
    "entrepot_target_deliveries": MetricKind(
        "gauge", "A target's books: received is the sum of the other five.", ("target", "book")
    ),
    "entrepot_target_difference_deliveries": MetricKind(
        "gauge", "Received minus all other books of the target. Anything but 0 is a defect.", ("target",)
    ),
    "entrepot_downlink_sequence": MetricKind(
        "gauge", "Last record of headquarters that was taken in.", ("headquarters",)
    ),
    "entrepot_downlink_fenced": MetricKind(
        "gauge", "1 while nothing is taken in from headquarters and somebody must look.", ("headquarters",)
    ),
    "entrepot_hub_connected": MetricKind("gauge", "1 while connected to the hub."),
    "entrepot_hub_connects_total": MetricKind("counter", "Connections made to the hub since the start."),
    "entrepot_checkpoints_unsent": MetricKind("gauge", "Signed checkpoints that wait for the hub."),
    "entrepot_checkpoint_unsent_seconds": MetricKind("gauge", "Age of the oldest of them; 0 when none waits."),
    "entrepot_buffer_left_seconds": MetricKind(
        "gauge", "Time until the disk budget is full at the present rate; +Inf: never."
    ),
    "entrepot_disk_used_bytes": MetricKind("gauge", "Disk space that the journal uses."),
    "entrepot_disk_budget_bytes": MetricKind("gauge", "Disk space that the journal may use."),
    "entrepot_clock_bad": MetricKind("gauge", "1 while the wall clock cannot be believed."),
    "entrepot_step_failures_total": MetricKind(
        "counter", "Failures of a step or source that was started again.", ("step",)
    ),
    "entrepot_alerts_active": MetricKind("gauge", "Alerts raised now, by name.", ("alert",)),
    "entrepot_alert_notices_total": MetricKind(
        "counter", "Notices for the alert webhook, by what became of them.", ("outcome",)
    ),
    "entrepot_log_lines_suppressed_total": MetricKind("counter", "Repeated log lines that were not written."),
    "entrepot_log_lines_lost_total": MetricKind("counter", "Log lines that could not be written."),
}
"""What GET /metrics shows, in this order. `_total` names are counters."""
