"""The example mappings do with the example samples what their comments say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.mapping import Trial, try_mapping
from runtime.mapping.trial import split_sample
from tests.support.mappings import EXAMPLES, example

MAPPINGS = {"wms": "acme-wms.toml", "carrier": "blitz-carrier.toml", "legacy": "legacy-stock.toml"}


def trials(sample: Path) -> list[Trial]:
    mapping = example(MAPPINGS[sample.parent.name])
    content_type = "text/csv" if sample.suffix == ".csv" else "application/json"
    return [try_mapping(mapping, fact) for fact in split_sample(sample.read_bytes(), content_type)]


def outputs(name: str) -> list[dict[str, Any]]:
    return [output for trial in trials(EXAMPLES / "samples" / name) for output in trial.outputs]


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("wms/01-order-new.json", ["order.created"]),
        ("wms/02-pick.json", ["stock.picked"]),
        ("wms/03-ship.json", ["shipment.dispatched"]),
        ("wms/04-receipt.json", ["goods.received"]),
        ("wms/05-adjust.json", ["stock.adjusted"] * 2),
        ("wms/06-ping.json", [None]),
        ("carrier/01-first-scan.json", ["shipment.milestone"] * 2),
        ("carrier/02-in-transit.json", ["shipment.milestone"] * 3),
        ("carrier/03-delivered.json", ["shipment.milestone"] * 6),
        ("carrier/04-customs-unknown-code.json", ["shipment.milestone"] * 2),
        ("legacy/bestand-2026-03-02.csv", ["stock.snapshot"] * 5),
        ("legacy/bestand-2026-03-03.csv", ["stock.snapshot"] * 3 + [None]),
        ("legacy/bestand-2026-03-04-mit-fehler.csv", ["stock.snapshot"] * 2),
    ],
)
def test_a_sample_becomes_these_events(name: str, types: list[str | None]) -> None:
    assert [output.get("type") for output in outputs(name)] == types


def test_every_sample_is_translated_but_for_the_one_line_that_is_meant_to_fail() -> None:
    found = {}
    for sample in sorted((EXAMPLES / "samples").glob("*/*")):
        if sample.parent.name in MAPPINGS:
            errors = [problem.position for trial in trials(sample) for problem in trial.errors]
            if errors:
                found[sample.name] = errors
    assert found == {"bestand-2026-03-04-mit-fehler.csv": ["/Menge"]}


def test_a_carrier_that_repeats_its_history_tells_each_milestone_once() -> None:
    names = ("01-first-scan.json", "02-in-transit.json", "03-delivered.json")
    keys = [output["once_key"] for name in names for output in outputs(f"carrier/{name}")]
    assert (len(keys), len(set(keys))) == (11, 6)


def test_german_numbers_units_and_times_of_the_legacy_system_are_understood() -> None:
    last = outputs("legacy/bestand-2026-03-02.csv")[4]["data"]
    assert (last["on_hand"], last["reserved"], last["unit"]) == ("75000", "2400", "H87")
    assert last["occurred_at"] == "2026-03-02T06:15:00+01:00"
    assert outputs("legacy/bestand-2026-03-03.csv")[1]["data"]["unit_raw"] == "ROL"


def test_picking_and_shipping_keep_the_order_of_their_sales_order() -> None:
    keys = {outputs(f"wms/{name}.json")[0]["partition_key"] for name in ("01-order-new", "02-pick", "03-ship")}
    assert keys == {"SO-104711"}
