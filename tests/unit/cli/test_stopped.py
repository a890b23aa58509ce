"""Commands on the journal of a stopped agent: they answer as the running one would, and make nothing by themselves."""

from __future__ import annotations

import csv
import json
import os
from argparse import Namespace
from pathlib import Path

import pytest

from runtime import operations
from runtime.cli import letters
from runtime.cli.ask import asking
from tests.support.example import EXAMPLE, copy_example, entrepot, take_in

ORDER = (EXAMPLE / "samples" / "wms" / "01-order-new.json").read_bytes()
RUBBISH = b'{"message_id": "r-1", "kind": "PICK", "pick": {"by": "m.muster"}}'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A region that has taken in an order and a message that became a letter."""
    config = copy_example(tmp_path)
    take_in(config, "wms", ORDER, RUBBISH)
    return config


def test_a_command_says_in_the_lock_that_it_is_one_so_that_a_start_waits_for_it(config: Path) -> None:
    with asking(Namespace(config=str(config))) as ask:
        assert (config.parent / "state" / "journal.lock").read_text() == f"{os.getpid()} command"
        assert ask("status")["region"] == "eu-de"


@pytest.mark.parametrize(
    "words",
    [["status"], ["letters", "list"], ["replay", "--source", "wms", "--from", "1"], ["journal", "stats"]],
    ids=" ".join,
)
def test_before_the_first_start_there_is_no_journal_and_none_is_made(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    said = entrepot(capsys, *words, "--config", config)
    assert said.code == 2
    assert "there is no journal in" in said.err
    assert "entrepot run" in said.err
    assert not (tmp_path / "state").exists()


def test_status_says_the_plain_thing_first(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "status", "--config", config)
    assert said.code == 1
    lines = said.out.splitlines()
    assert "the agent is not running" in lines[0]
    assert lines[1] == "the books balance: 2 accepted = 1 dead-lettered + 1 pending"
    assert "1 rejected messages (letters) wait for you: wms 1" in said.out


def test_status_for_programs_has_the_books_and_the_lanes(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = entrepot(capsys, "status", "--json", "--config", config).json()
    books = ("accepted", "delivered", "withheld", "dead_lettered", "ignored", "expired", "pending")
    assert [status[name] for name in books] == [2, 0, 0, 1, 0, 0, 1]
    assert set(status["lanes"]) == {"realtime", "bulk"}
    lane = {"sealed", "acked", "hub_last", "fenced", "refill_horizon_seconds"}
    assert lane <= set(status["lanes"]["realtime"])
    assert {"buffer_seconds_left", "duplicates", "alerts"} <= set(status)
    assert status["running"] is False


def test_a_letter_is_listed_and_shown_without_what_it_says(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = entrepot(capsys, "letters", "list", "--json", "--config", config).json()
    assert [(row["source"], row["state"]) for row in listed] == [("wms", "open")]
    masked = entrepot(capsys, "letters", "show", str(listed[0]["id"]), "--config", config)
    assert "m.muster" not in masked.out
    assert '"by"' in masked.out
    whole = entrepot(capsys, "letters", "show", str(listed[0]["id"]), "--unmask", "--config", config)
    assert "m.muster" in whole.out


def test_a_retry_after_the_mapping_was_mended_translates_the_letter(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = entrepot(capsys, "letters", "retry", "--json", "--config", config)
    assert still.code == 1
    assert [row["result"] for row in still.json()] == ["letter"]
    mapping = config.parent / "mappings" / "acme-wms.toml"
    mapping.write_text(mapping.read_text().replace("kind == 'PING'", "kind in ('PING', 'PICK')"))
    mended = entrepot(capsys, "letters", "retry", "--json", "--config", config)
    assert mended.code == 0
    assert [row["result"] for row in mended.json()] == ["ignored"]
    assert entrepot(capsys, "letters", "list", "--json", "--config", config).json() == []


def test_a_discarded_letter_stays_in_the_books(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entrepot(capsys, "letters", "discard", "1", "--config", config).code == 0
    assert entrepot(capsys, "letters", "list", "--json", "--config", config).json() == []
    discarded = entrepot(capsys, "letters", "list", "--state", "discarded", "--json", "--config", config).json()
    assert [row["id"] for row in discarded] == [1]
    assert entrepot(capsys, "status", "--json", "--config", config).json()["dead_lettered"] == 1


def test_an_unknown_letter_is_a_sentence(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "letters", "show", "77", "--config", config)
    assert said.code == 2
    assert said.err.startswith("entrepot: there is no letter 77\n  next: ")


def test_a_dry_replay_says_what_a_changed_mapping_would_do_and_changes_nothing(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("replay", "--source", "wms", "--from", "1", "--to", "1", "--dry-run", "--json", "--config")
    same = entrepot(capsys, *words, config)
    assert (same.code, same.json()["counts"]) == (0, {"same": 1})
    mapping = config.parent / "mappings" / "acme-wms.toml"
    mapping.write_text(mapping.read_text().replace('remarks = "order.note"\n', ""))
    differs = entrepot(capsys, *words, config)
    assert (differs.code, differs.json()["counts"]) == (1, {"differs": 1})
    (difference,) = differs.json()["changes"][0]["differences"]
    assert difference["leaf"] == "remarks"
    assert difference["before"].startswith("(text, ")
    assert difference["after"] is None
    table = entrepot(capsys, *(word for word in words if word != "--json"), config)
    assert "by the rules of today" in table.out


def test_a_long_replay_goes_on_where_a_portion_of_it_ended(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("replay", "--source", "wms", "--from", "1", "--dry-run", "--json", "--config")
    whole = entrepot(capsys, *words, config).json()
    assert len({change["origin"].split(".")[1] for change in whole["changes"]}) > 1, "several facts"
    monkeypatch.setattr(operations, "REPLAYED_MAX", 1)
    assert entrepot(capsys, *words, config).json() == whole


def test_letters_are_retried_some_at_a_time_in_order_of_acceptance(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(config, "wms", RUBBISH.replace(b"r-1", b"r-2"))
    monkeypatch.setattr(letters, "RETRIED_MAX", 1)
    retried = entrepot(capsys, "letters", "retry", "--json", "--config", config).json()
    assert [(row["id"], row["result"]) for row in retried] == [(1, "letter"), (2, "letter")]
    assert entrepot(capsys, "letters", "retry", "--source", "legacy", "--json", "--config", config).json() == []


def test_the_journal_is_verified(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "journal", "verify", "--config", config)
    assert said.code == 0
    assert "intact" in said.out


def test_an_export_appears_complete_or_not_at_all(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    said = entrepot(capsys, "journal", "export", "--dispositions", "--out", out, "--config", config)
    assert said.code == 0
    rows = list(csv.reader(out.read_text().splitlines()))
    assert rows[0][:4] == ["lane", "seq", "epoch", "origin"]
    nowhere = entrepot(
        capsys, "journal", "export", "--dispositions", "--out", tmp_path / "no" / "x", "--config", config
    )
    assert nowhere.code == 2
    assert "--out" in nowhere.err
    assert [p.name for p in tmp_path.glob(".*.part")] == []


def test_an_empty_export_is_valid_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "journal", "export", "--dispositions", "--format", "json", "--config", config)
    assert json.loads(said.out) == []


def test_adopt_without_a_fence_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "adopt", "--reason", "restored", "--config", config)
    assert said.code == 2
    assert "nothing to adopt" in said.err


def test_a_stopped_journal_is_backed_up_restored_and_fenced(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = entrepot(capsys, "journal", "backup", tmp_path / "saved", "--config", config)
    assert saved.code == 0, saved.err
    assert "up to message 2; proven" in saved.out
    assert "keys are not in it" in saved.out
    again = entrepot(capsys, "journal", "backup", tmp_path / "saved" / "manifest.json", "--config", config)
    assert (again.code, "never overwrites" in again.err) == (2, True)
    restored = entrepot(capsys, "journal", "restore", tmp_path / "saved", "--config", config)
    assert restored.code == 0, restored.err
    assert "the former journal lies in" in restored.out
    assert "entrepot adopt" in restored.out
    status = entrepot(capsys, "status", "--json", "--config", config).json()
    assert {lane["fenced"] for lane in status["lanes"].values()} == {"stale_self"}
    nothing = entrepot(capsys, "journal", "restore", tmp_path, "--config", config)
    assert nothing.code == 2
    assert "is no backup" in nothing.err


def test_a_repair_shows_first_and_acts_when_told_to(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = entrepot(capsys, "journal", "repair", "--config", config)
    assert shown.code == 1
    assert "messages saved" in shown.out
    assert "nothing was changed; add --yes" in shown.out
    done = entrepot(capsys, "journal", "repair", "--yes", "--json", "--config", config)
    assert done.code == 0, done.err
    assert done.json()["report"]["facts"]["saved"] == 2
    status = entrepot(capsys, "status", "--json", "--config", config).json()
    assert {lane["fenced"] for lane in status["lanes"].values()} == {"stale_self"}
