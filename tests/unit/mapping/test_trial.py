"""What `entrepot map test` shows: events, unread fields, warnings, and errors with the value at their place."""

from __future__ import annotations

import json

import msgspec
import pytest

from runtime.errors import Untranslatable
from runtime.mapping.trial import split_sample, try_mapping
from tests.support.mappings import ACCEPTED_US, STOCK, compiled, snapshot

BERLIN = 'zone = "Europe/Berlin"\nkey = "id"'


def test_a_trial_shows_events_as_plain_json() -> None:
    trial = try_mapping(snapshot(top=BERLIN), json.dumps(STOCK | {"id": 5}).encode())
    (output,) = json.loads(msgspec.json.encode(trial.outputs))
    assert (output["type"], output["output"], output["partition_key"]) == ("stock.snapshot", 0, "A-1")
    assert output["data"]["on_hand"] == "5"
    assert (trial.key, trial.errors, trial.warnings, trial.unread) == ("5", [], [], [])


def test_fields_that_nobody_reads_are_listed_once() -> None:
    message = STOCK | {"extra": 1, "rows": [{"a": 1}, {"a": 2}, {"b": None}], "empty": "", "deep": {"x.y": 1}}
    assert try_mapping(snapshot(), json.dumps(message).encode()).unread == ["extra", "rows[].a", 'deep."x.y"']


def test_what_a_jmespath_expression_reads_counts_as_read() -> None:
    mapping = snapshot("lot = { jmespath = \"rows[?a=='1'].b | [0]\" }")
    message = STOCK | {"rows": [{"a": "1", "b": "x"}], "other": 1}
    assert try_mapping(mapping, json.dumps(message).encode()).unread == ["other"]


def test_only_the_outputs_that_applied_count_as_readers() -> None:
    second = '[[outputs]]\ntype = "stock.adjusted"\nwhen = "kind == \'A\'"\n[outputs.fields]\nsku = "sku"\noccurred_at = "at"\nreason = "why"'
    mapping = compiled(
        '[[outputs]]\ntype = "stock.snapshot"\n[outputs.fields]\nsku = "sku"\non_hand = "qty"\noccurred_at = "at"\n'
        + second
    )
    assert try_mapping(mapping, json.dumps(STOCK | {"why": "x"}).encode()).unread == ["why"]
    assert try_mapping(mapping, json.dumps(STOCK | {"why": "x", "kind": "A"}).encode()).unread == []


def test_guessed_zones_check_digits_and_raw_units_are_warned_about() -> None:
    mapping = snapshot(
        'gtin = { path = "ean", convert = "gtin14" }\nunit = "uom"', top='zone = "Europe/Berlin"\nkey = "id"'
    )
    message = STOCK | {"at": "2026-03-02T08:00:00", "ean": "4006381333930", "uom": "Stck"}
    warnings = " · ".join(try_mapping(mapping, json.dumps(message).encode()).warnings)
    assert "the zone of the mapping was assumed" in warnings
    assert "gtin has a wrong check digit" in warnings
    assert "unit_raw: the unit is no known code" in warnings
    assert "the mapping's key is not in this message" in warnings


def test_the_time_of_acceptance_is_given_by_the_caller() -> None:
    mapping = compiled(
        '[[outputs]]\ntype = "stock.snapshot"\n[outputs.fields]\nsku = "sku"\non_hand = "qty"\noccurred_at = { missing = "received" }'
    )
    trial = try_mapping(mapping, b'{"sku":"A","qty":1}', received_us=ACCEPTED_US)
    assert trial.outputs[0]["data"]["occurred_at"] == "2026-03-02T08:00:00Z"
    assert "the time of acceptance stands in" in trial.warnings[0]


def test_an_error_shows_the_value_at_its_place() -> None:
    (problem,) = try_mapping(snapshot(), json.dumps(STOCK | {"qty": "a lot"}).encode()).errors
    assert (problem.position, problem.value) == ("/qty", '"a lot"')
    (problem,) = try_mapping(snapshot(), b'{"sku": ').errors
    assert (problem.position, problem.value) == ("line 1, column 9", None)


def test_a_sample_of_lines_is_split_into_its_facts() -> None:
    text = '\ufeffArtikel;Name;Menge\nA-1;"Größe; 4x40";1,5\nA-2;B;\n'
    rows = [json.loads(row) for row in split_sample(text.encode(), "text/csv")]
    assert rows == [
        {"Artikel": "A-1", "Name": "Größe; 4x40", "Menge": "1,5"},
        {"Artikel": "A-2", "Name": "B", "Menge": ""},
    ]
    assert split_sample("Größe\nä\n".encode("latin-1"), "text/csv") == ['{"Größe":"ä"}'.encode()]
    assert split_sample(b'{"a":1}\n\n{"a":2}\n', "application/x-ndjson") == [b'{"a":1}', b'{"a":2}']
    assert split_sample(b"anything", "application/json") == [b"anything"]


def test_a_sample_that_is_no_csv_is_refused() -> None:
    with pytest.raises(Untranslatable):
        split_sample(b"a;b\n" + b"x" * 200_000 + b";y\n", "text/csv")
