"""Names, bounded labels, and a scrape that a Prometheus client can read."""

from __future__ import annotations

import math
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from runtime.observe.alert_kinds import ALERTS
from runtime.observe.exposition import Exposition
from runtime.observe.metric_kinds import BOOKS, FENCES, METRICS
from runtime.observe.metrics import Build, Counters, Histogram, LaneSnapshot, Snapshot
from runtime.steps import _by_source

BUILD = Build(version="0.1", region="eu-de", environment="test", sqlite="3.51.3", python="3.13")


def snapshot(**changes: Any) -> Snapshot:
    given: dict[str, Any] = {
        "books": {
            "accepted": 10,
            "delivered": 4,
            "withheld": 1,
            "dead_lettered": 2,
            "ignored": 1,
            "expired": 0,
            "pending": 2,
        },
        "lanes": {
            "realtime": LaneSnapshot(sealed=7, acked=5, pending=2, hub_last=6, refill_horizon_seconds=90.0),
            "bulk": LaneSnapshot(sealed=0, acked=0, pending=0),
        },
        "duplicates": 3,
        "disk_used_bytes": 100,
        "disk_budget_bytes": 1_000,
        "hub_connected": True,
        "clock_bad": False,
        "buffer_seconds_left": 3_600.0,
        "letters": {("wms", "untranslatable"): 2},
        "alerts": {"letters_waiting": 1},
        "targets": {
            "erp": dict.fromkeys(("delivered", "not_wanted", "dead_lettered", "expired", "pending"), 1)
            | {"received": 5}
        },
        "downlinks": {"hq": (7, False)},
    }
    return Snapshot(**given | changes)


def busy_counters() -> Counters:
    counters = Counters(["wms"], ["realtime"])
    counters.request("wms", 202)
    counters.request("wms", 422)
    counters.accepted("wms", 2, 900)
    counters.translation("wms", 2)
    counters.commit(0.0004, 2)
    counters.rewind("realtime", 12)
    counters.step_failed("translate")
    return counters


def scrape(counters: Counters, now: Snapshot | None) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = Exposition(counters, BUILD).render(now).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_every_metric_of_the_table_is_shown_and_no_other() -> None:
    shown = {name for name, _ in scrape(busy_counters(), snapshot()) if name.startswith("entrepot_")}
    plain = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in shown}
    assert plain == set(METRICS)


def test_every_sample_has_exactly_the_labels_of_the_table() -> None:
    for name, labels in scrape(busy_counters(), snapshot()):
        if name in METRICS:
            assert {label for label, _ in labels} == set(METRICS[name].labels), name


def test_names_end_in_a_unit_and_only_counters_in_total() -> None:
    for name, kind in METRICS.items():
        assert name.startswith("entrepot_")
        assert name.endswith("_total") == (kind.type == "counter"), name
        assert kind.text.endswith("."), name


def test_the_books_are_shown_and_their_difference_is_zero_only_when_they_balance() -> None:
    found = scrape(Counters(), snapshot())
    assert [value(found, f"entrepot_{book}_events") for book in BOOKS] == [10, 4, 1, 2, 1, 0, 2]
    assert value(found, "entrepot_books_difference_events") == 0
    wrong = snapshot(books=dict(snapshot().books) | {"pending": 5})
    assert value(scrape(Counters(), wrong), "entrepot_books_difference_events") == -3


def test_a_fence_shows_as_one_for_its_kind_and_zero_for_the_others() -> None:
    fenced = {"realtime": LaneSnapshot(sealed=7, acked=5, pending=2, fenced="stale_self")}
    found = scrape(Counters(), snapshot(lanes=fenced))
    kinds = {kind: value(found, "entrepot_lane_fenced", lane="realtime", kind=kind) for kind in FENCES}
    assert kinds == {kind: float(kind == "stale_self") for kind in FENCES}


def test_a_fence_of_an_unknown_kind_is_not_lost() -> None:
    odd = {"bulk": LaneSnapshot(sealed=1, acked=0, pending=1, fenced="Größenwahn")}
    assert value(scrape(Counters(), snapshot(lanes=odd)), "entrepot_lane_fenced", lane="bulk", kind="other") == 1


def test_a_buffer_that_never_fills_is_infinite() -> None:
    found = scrape(Counters(), snapshot(buffer_seconds_left=None))
    assert math.isinf(value(found, "entrepot_buffer_left_seconds"))


def test_paths_that_strangers_try_do_not_become_labels() -> None:
    counters = Counters(["wms"])
    for attempt in range(500):
        counters.request(f"probe-{attempt}", 404)
        counters.accepted(f"probe-{attempt}", 1, 1)
        counters.translation(f"probe-{attempt}", 1)
        counters.rewind(f"probe-{attempt}", 1)
    found = scrape(counters, None)
    assert value(found, "entrepot_intake_requests_total", source="other", status="404") == 500
    assert not [labels for _, labels in found if "probe" in str(labels)]


def test_answers_of_all_paths_that_are_no_source_are_counted_together() -> None:
    answers = {("/in/wms", 202): 5, ("/live", 200): 3, ("/check/wms", 200): 4, ("", 404): 2}
    assert _by_source(answers) == {("wms", 202): 5, ("other", 200): 7, ("other", 404): 2}


def test_what_did_not_fit_a_schema_is_counted_by_its_source_alone() -> None:
    counters = Counters(["wms", "carrier"])
    for source, status in (("wms", 422), ("wms", 422), ("wms", 400), ("carrier", 202), ("stranger", 422)):
        counters.request(source, status)
    found = scrape(counters, None)
    counted = {labels: count for (name, labels), count in found.items() if name == "entrepot_schema_refusals_total"}
    assert counted == {frozenset({("source", "wms")}): 2}


def test_the_reason_of_a_letter_is_a_label_only_if_it_is_a_known_class() -> None:
    letters = {("wms", "mustermann"): 1, ("wms", "crashed"): 2, ("Erika M.", "untranslatable"): 4}
    found = scrape(Counters(), snapshot(letters=letters))
    assert value(found, "entrepot_letters_waiting", source="wms", reason="other") == 1
    assert value(found, "entrepot_letters_waiting", source="wms", reason="crashed") == 2
    assert value(found, "entrepot_letters_waiting", source="other", reason="untranslatable") == 4


def test_the_number_of_steps_in_labels_is_bounded() -> None:
    counters = Counters()
    for number in range(2_000):
        counters.step_failed(f"step-{number}")
    assert len(counters.step_failures) <= 257
    assert sum(counters.step_failures.values()) == 2_000


def test_every_alert_has_a_series_from_the_start() -> None:
    found = scrape(Counters(), snapshot())
    shown = {alert: value(found, "entrepot_alerts_active", alert=alert) for alert in ALERTS}
    assert shown == {alert: float(alert == "letters_waiting") for alert in ALERTS}


def test_commit_times_fall_into_cumulative_buckets() -> None:
    counters = Counters()
    for seconds in (0.0005, 0.0006, 99.0):
        counters.commit(seconds, 10)
    found = scrape(counters, None)
    assert value(found, "entrepot_commit_seconds_bucket", le="0.0005") == 1
    assert value(found, "entrepot_commit_seconds_bucket", le="0.001") == 2
    assert value(found, "entrepot_commit_seconds_bucket", le="10.0") == 2
    assert value(found, "entrepot_commit_seconds_bucket", le="+Inf") == 3
    assert value(found, "entrepot_commit_seconds_count") == 3
    assert value(found, "entrepot_commit_rows_total") == 30


def test_a_histogram_counts_each_value_once() -> None:
    histogram = Histogram((1.0, 2.0))
    for number in (0.5, 1.0, 1.5, 3.0):
        histogram.add(number)
    assert list(histogram.cumulative()) == [(1.0, 2), (2.0, 3), (float("inf"), 4)]


def test_without_a_snapshot_the_counters_are_still_shown() -> None:
    found = scrape(busy_counters(), None)
    assert value(found, "entrepot_intake_requests_total", source="wms", status="202") == 1
    assert not [name for name, _ in found if name == "entrepot_accepted_events"]


def test_two_expositions_in_one_process_do_not_disturb_each_other() -> None:
    first, second = Counters(["wms"]), Counters(["wms"])
    first.request("wms", 202)
    assert "entrepot_intake_requests_total{" in Exposition(first, BUILD).render(None).decode()
    assert "entrepot_intake_requests_total{" not in Exposition(second, BUILD).render(None).decode()


def test_new_sources_and_lanes_are_counted_by_name_and_old_ones_keep_their_counts() -> None:
    counters = Counters(["wms"], ["realtime"])
    counters.accepted("wms", 3, 30)
    counters.accepted("carrier", 1, 10)
    counters.know(["carrier"], ["bulk"])
    counters.accepted("carrier", 2, 20)
    counters.rewind("bulk", 5)
    assert counters.intake_facts == {"wms": 3, "other": 1, "carrier": 2}
    assert counters.rewound == {"realtime": 0, "other": 0, "bulk": 5}
