"""`entrepot map render` shows what a target would send, and what would become a letter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.cli.entry import main

RENDERING = """
rendering = "legacy"
version = 2
format = "csv"
[csv]
encoding = "windows-1252"
[tables.units]
file = "units.csv"
[fields]
NO = { path = "data.order_id", digits = 4 }
NAME = "data.name"
UNIT = { path = "data.unit", table = "units" }
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("legacy.toml").write_text(RENDERING)
    Path("units.csv").write_text("code,ours\nH87,STK\n")
    Path("good.json").write_text('{"type": "t", "data": {"order_id": "17", "name": "Käthe", "unit": "H87"}}')
    Path("bad.json").write_text('{"type": "t", "data": {"order_id": "17a", "name": "Käthe", "unit": "H87"}}')
    Path("bare.json").write_text('{"order_id": "17"}')
    Path("text.json").write_text("order")
    return tmp_path


def test_an_event_is_shown_as_it_would_be_sent(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "render", "legacy.toml", "good.json"]) == 0
    shown = capsys.readouterr().out
    assert "legacy 2 (" in shown
    assert "NO,NAME,UNIT\n0017,Käthe,STK\n" in shown


def test_an_event_that_would_be_a_letter_is_told_with_its_field_and_exit_code_2(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", "render", "legacy.toml", "good.json", "bad.json", "--json"]) == 2
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["event"], good["content_type"]) == ("good.json", "text/csv; charset=windows-1252")
    assert good["body"] == "NO,NAME,UNIT\n0017,Käthe,STK\n"
    assert "fields.NO: is not a number of at most 4 digits" in bad["rejected"]
    assert "17a" not in bad["rejected"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.toml", "good.json"], "none.toml cannot be read"),
        (["legacy.toml", "none.json"], "the event none.json cannot be read"),
        (["legacy.toml", "bare.json"], "bare.json has no data"),
        (["legacy.toml", "text.json"], "text.json is no JSON object"),
        (["good.json", "good.json"], "good.json: not valid TOML"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    words: list[str], says: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", "render", *words]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
