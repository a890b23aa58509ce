"""A platform never seen before goes from a sample to correct events with the workbench alone, as the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.cli.entry import main
from tests.docs.workbench import PAGE, told


def test_every_answer_on_the_page_is_what_the_commands_say(tmp_path: Path) -> None:
    assert told(tmp_path) == PAGE.read_text("utf-8"), "python -m tests.docs.workbench writes the answers anew"


def test_the_checked_mapping_gives_the_correct_event_and_leaves_only_the_priority_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told(tmp_path)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["map", "test", "kolibri.toml", "order.json", "--json"]) == 1  # the zone was assumed, as it must be
    (trial,) = json.loads(capsys.readouterr().out)
    (event,) = trial["outputs"]
    assert trial["unread"] == ["pedido.prioridad"]
    assert event["type"] == "order.created"
    data = event["data"]
    assert (data["order_id"], data["gross_total"], data["currency"]) == ("88123", "1234.50", "EUR")
    assert [(line["sku"], line["quantity"], line["unit"], line["unit_price"]) for line in data["lines"]] == [
        ("MUG-BLUE", "2", "H87", "9.95"),
        ("TABLE-OAK", "1", "H87", "1214.60"),
    ]
    assert data["ship_to"]["address"]["country"] == "PT"
