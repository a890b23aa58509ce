"""What trackers do to everybody who listens to them, told once for all carriers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from runtime.canonical.shipments import Milestone
from runtime.envelope import Envelope, Event, Message
from runtime.journal import books
from tests.packs import golden
from tests.support.kernel import Bench, configure
from tests.support.mappings import ACCEPTED_US

CARRIERS = ("easypost", "17track", "fedex", "dhl", "ups", "amazon-sp-api")
HISTORIES = [
    ("easypost", "tracker-updated-history", ("result", "tracking_details")),
    ("17track", "tracking-updated-history", ("data", "track_info", "tracking", "providers", 0, "events")),
    ("fedex", "tracking-history", ("output", "completeTrackResults", 0, "trackResults", 0, "scanEvents")),
    ("dhl", "push-history", ("shipments", 0, "events")),
    ("dhl", "express-history", ("shipments", 0, "events")),
    ("ups", "track-history", ("trackResponse", "shipment", 0, "package", 0, "activity")),
    (
        "amazon-sp-api",
        "shipment-tracking-milestones",
        ("payload", "shipmentTrackingMilestoneChangedNotification", "trackingDetail", "milestoneHistory"),
    ),
]
WORDS = frozenset(
    {"message", "description", "eventDescription", "exceptionDescription", "derivedStatus", "simplifiedTextDescription"}
)
"""Keys under which carriers write for people."""
ADAPTERS = Path(__file__).parents[2] / "adapters"

histories = pytest.mark.parametrize(("carrier", "name", "place"), HISTORIES, ids=[f"{c}-{n}" for c, n, _ in HISTORIES])


def sample(carrier: str, name: str) -> tuple[Any, dict[str, str]]:
    file = golden.HERE / carrier / f"{name}.json"
    return json.loads(file.read_text()), golden.expected(file).get("options", {})


def events(carrier: str, message: Any, options: dict[str, str] | None = None) -> list[Event]:
    chosen = golden.pack(carrier, tuple(sorted((options or {}).items())))
    body = json.dumps(message).encode()
    envelope = Envelope(
        source=carrier,
        body=body,
        content_type="application/json",
        intake_seq=1,
        epoch=1,
        received_us=ACCEPTED_US,
        correlation_id="c-1",
    )
    return [result for result in chosen.translate(envelope) if isinstance(result, Event)]


def at(message: Any, place: tuple[str | int, ...]) -> Any:
    for part in place:
        message = message[part]
    return message


def reworded(value: Any) -> Any:
    """The same message in another language."""
    if isinstance(value, dict):
        return {key: "別の言葉" if key in WORDS and part else reworded(part) for key, part in value.items()}
    return [reworded(part) for part in value] if isinstance(value, list) else value


@histories
def test_a_history_that_comes_again_tells_only_what_is_new(
    carrier: str, name: str, place: tuple[str | int, ...]
) -> None:
    """Out of order, in other words, and with one scan more: the keys of the old ones stay."""
    whole, options = sample(carrier, name)
    before = json.loads(json.dumps(whole))
    at(before, place).pop(1)
    at(before, place).reverse()
    told = {event.once_key for event in events(carrier, reworded(before), options)}
    again = [event.once_key for event in events(carrier, whole, options)]
    assert None not in again
    assert len(set(again)) == len(again) == len(at(whole, place))
    assert len(set(again) - told) == 1
    assert told < set(again)


@histories
def test_a_history_that_comes_again_after_a_restart_adds_only_its_news_to_the_journal(
    carrier: str, name: str, place: tuple[str | int, ...], tmp_path: Path
) -> None:
    whole, options = sample(carrier, name)
    before = json.loads(json.dumps(whole))
    at(before, place).pop(1)
    bench = Bench(configure(tmp_path, golden.pack(carrier, tuple(sorted(options.items())))), durable=False)
    try:
        for message, count in ((before, -1), (reworded(before), -1), (whole, 0)):
            bench.accept(Message(body=json.dumps(message).encode(), content_type="application/json"))
            bench.translate()
            bench.restart()
            assert bench.value("SELECT count(*) FROM told") == len(at(whole, place)) + count
        assert bench.value("SELECT count(*) FROM events") == len(at(whole, place))
        assert books.read(bench.connection).balanced
    finally:
        bench.close()


@histories
def test_a_milestone_is_read_from_codes_and_never_from_words(
    carrier: str, name: str, place: tuple[str | int, ...]
) -> None:
    whole, options = sample(carrier, name)
    there = [event.data.milestone for event in events(carrier, whole, options)]
    assert [event.data.milestone for event in events(carrier, reworded(whole), options)] == there
    assert len(set(there)) > 2


@histories
def test_a_scan_told_twice_in_one_message_has_one_key(carrier: str, name: str, place: tuple[str | int, ...]) -> None:
    whole, options = sample(carrier, name)
    scans = at(whole, place)
    scans.append(scans[0])
    keys = [event.once_key for event in events(carrier, whole, options)]
    assert len(keys) == len(scans) == len(set(keys)) + 1


SHAPES = [
    ("2026-03-05T04:10:00Z", "2026-03-05T04:10:00+00:00", "exact"),
    ("2026-03-05T04:10:00+08:00", "2026-03-05T04:10:00+08:00", "exact"),
    ("2026-03-05T04:10:00+0200", "2026-03-05T04:10:00+02:00", "exact"),
    ("2026-03-05T04:10:00 -0500", "2026-03-05T04:10:00-05:00", "exact"),
    ("2026-03-05T04:10:00", "2026-03-05T04:10:00+01:00", "assumed_zone"),
    ("2026-03-05 04:10:00", "2026-03-05T04:10:00+01:00", "assumed_zone"),
    ("2026-03-05 04:10:00 UTC", "2026-03-05T04:10:00+00:00", "exact"),
    ("2026-03-05T04:10:00.1234567Z", "2026-03-05T04:10:00.123456+00:00", "exact"),
    ("/Date(1772683800000)/", "2026-03-05T04:10:00+00:00", "exact"),
    ("/Date(-2208988800000)/", "2026-03-02T08:00:00+00:00", "received"),
    (1772683800, "2026-03-05T04:10:00+00:00", "exact"),
    (1772683800000, "2026-03-05T04:10:00+00:00", "exact"),
    ("20260305041000", "2026-03-05T04:10:00+01:00", "assumed_zone"),
    ("260305", "2026-03-05T00:00:00+01:00", "date_only"),
]


@pytest.mark.parametrize(("written", "moment", "quality"), SHAPES)
def test_every_shape_of_time_that_trackers_send_is_read(written: Any, moment: str, quality: str) -> None:
    whole, _ = sample("17track", "tracking-updated-history")
    scans = at(whole, HISTORIES[1][2])
    scans[:] = [{**scans[0], "time_iso": written, "time_utc": None}]
    (event,) = events("17track", whole, {"zone": "Europe/Berlin"})
    assert (event.data.occurred_at.isoformat(), event.data.time_quality) == (moment, quality)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_country_that_nobody_knows_costs_the_country_and_not_the_scan(carrier: str) -> None:
    name = next(name for pack, name, _ in HISTORIES if pack == carrier)
    whole, options = sample(carrier, name)
    count = len(events(carrier, whole, options))
    strange = json.loads(re.sub('"(de|DE|US)"', '"Nirgendwo"', json.dumps(whole)))
    found = events(carrier, strange, options)
    assert len(found) == count
    assert {event.data.place.country for event in found if event.data.place} <= {None, "AT", "CN"}


def test_all_carriers_together_speak_every_word_of_the_one_list_and_no_other() -> None:
    said: set[str] = set()
    for file in ADAPTERS.glob("*/*.csv"):
        head, *rows = file.read_text("utf-8").splitlines()
        if head.endswith(",milestone"):
            said |= {row.rsplit(",", 1)[1] for row in rows}
    assert said == set(get_args(get_args(Milestone)[0]))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_golden_files_of_each_carrier_tell_the_whole_way_of_a_parcel(carrier: str) -> None:
    told = {
        output["data"]["milestone"]
        for file in golden.samples()
        if file.parent.name == carrier
        for one in golden.expected(file)["becomes"]
        for output in one["outputs"]
        if output.get("type") == "shipment.milestone"
    }
    assert {"label_created", "out_for_delivery", "delivered"} <= told


def test_the_countries_are_the_same_for_all() -> None:
    texts = {file.read_text("utf-8") for file in ADAPTERS.glob("*/countries.csv")}
    assert len(texts) == 1
