"""A record as a line: a CloudEvent that any tool reads, and nothing that was not asked for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from runtime.oversight.lines import Filter, line
from runtime.ports import HubRecord


def stored(name: str = "order.created", data: bytes = b'{"number":"4711"}', **headers: str) -> HubRecord:
    said = {
        "ce-id": "1.7.0", "ce-type": "io.entrepot.order.created.v1", "ce-source": "/entrepot/eu-de/shop",
        "ce-specversion": "1.0", "ce-datacontenttype": "application/json", "ce-subject": "A%20B",
        "entrepot-origin": "1.7.0", "entrepot-chain": "ff", "nats-expected-last-sequence": "6",
    }  # fmt: skip
    return HubRecord(
        seq=7, subject=f"ev.eu-de.realtime.{name}", headers=said | headers, data=data, time="2026-11-23T09:30:00Z"
    )


def read(found: HubRecord) -> dict[str, Any]:
    text = line("eu-de", "realtime", found)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    return dict(orjson.loads(text))


def test_attributes_are_decoded_and_the_place_in_the_stream_is_told() -> None:
    event = read(stored())
    assert event["subject"] == "A B"
    assert event["data"] == {"number": "4711"}
    assert (event["entrepotregion"], event["entrepotlane"], event["entrepotseq"]) == ("eu-de", "realtime", 7)
    assert "entrepot-chain" not in event
    assert event["entrepotorigin"] == "1.7.0"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"not json"])
def test_data_that_is_no_json_is_carried_as_base64(data: bytes) -> None:
    event = read(stored(data=data))
    assert "data" not in event
    assert event["data_base64"]


def test_a_broken_line_feed_in_the_data_stays_inside_its_line() -> None:
    assert read(stored(data=b'{"a":\n1}'))["data"] == {"a": 1}


def test_stubs_are_shown_only_to_those_who_ask_and_epochs_to_nobody() -> None:
    stub, epoch = stored("entrepot.withheld"), stored("entrepot.epoch")
    assert not Filter().wants("eu-de", "realtime", stub)
    assert Filter(withheld=True).wants("eu-de", "realtime", stub)
    assert not Filter(withheld=True).wants("eu-de", "realtime", epoch)


def test_patterns_choose_regions_lanes_and_types() -> None:
    wanted = Filter(regions=["eu-*"], lanes=["realtime"], types=["io.entrepot.order.*"])
    assert wanted.lane("eu-de", "realtime")
    assert not wanted.lane("us-ny", "realtime")
    assert not wanted.lane("eu-de", "bulk")
    assert wanted.wants("eu-de", "realtime", stored())
    assert not wanted.wants("eu-de", "realtime", stored(**{"ce-type": "io.entrepot.stock.adjusted.v1"}))
