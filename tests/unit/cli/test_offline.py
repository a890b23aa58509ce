"""Commands that need no agent: schema, map test, and verify while the hub is away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.canonical.registry import TYPES
from tests.support.example import EXAMPLE, change, copy_example, entrepot
from tests.support.nats import free_port

MAPPINGS = EXAMPLE / "mappings"
SAMPLES = EXAMPLE / "samples"
PUBLIC_KEY = "11" * 32


def test_every_schema_is_written_to_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entrepot(capsys, "schema", "--out", tmp_path / "s").code == 0
    written = {path.name.removesuffix(".schema.json") for path in (tmp_path / "s").iterdir()}
    assert written == set(TYPES)
    assert json.loads((tmp_path / "s" / "order.created.schema.json").read_text())["x-business-key"] == "order_id"


def test_an_unknown_type_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "schema", "order.craeted")
    assert said.code == 2
    assert "did you mean 'order.created'?" in said.err


def test_a_sample_is_translated_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "map", "test", MAPPINGS / "acme-wms.toml", SAMPLES / "wms" / "01-order-new.json")
    assert said.code in {0, 1}
    assert "order.created (output 0" in said.out
    assert "order.priority" in said.out


def test_each_line_of_a_report_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    sample = SAMPLES / "legacy" / "bestand-2026-03-04-mit-fehler.csv"
    said = entrepot(capsys, "map", "test", MAPPINGS / "legacy-stock.toml", sample, "--json")
    assert said.code == 2
    assert [len(trial["errors"]) for trial in said.json()][:2] == [0, 1]


@pytest.mark.parametrize(
    ("mapping", "sample", "told"),
    [
        ("acme-wsm.toml", "wms/06-ping.json", "acme-wms.toml"),
        ("acme-wms.toml", "wms/nothing.json", "cannot be read"),
    ],
)
def test_a_missing_file_is_named(mapping: str, sample: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "map", "test", MAPPINGS / mapping, SAMPLES / sample)
    assert said.code == 2
    assert told in said.err


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """A region whose hub is not there."""
    config = copy_example(tmp_path)
    change(config, "127.0.0.1:4222", f"127.0.0.1:{free_port()}")
    return config


def test_topology_before_the_first_start_asks_the_hub_and_makes_no_journal(
    away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = entrepot(capsys, "topology", "--config", away)
    assert said.code == 2
    assert "127.0.0.1" in said.err
    assert "next: check the address ([hub] servers" in said.err
    assert not (away.parent / "state").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--hub", "nats://127.0.0.1:1"], ["--region and --public-key must be given"]),
        (
            ["--hub", "nats://127.0.0.1:1", "--region", "eu-de", "--public-key", "abc"],
            ["neither a file nor", "Ed25519"],
        ),
    ],
)
def test_verify_says_what_it_needs(
    words: list[str],
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    said = entrepot(capsys, "verify", *words)
    assert said.code == 2
    assert [part for part in told if part not in said.err] == []


def test_verify_of_a_hub_that_is_away_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"nats://127.0.0.1:{free_port()}"
    said = entrepot(capsys, "verify", "--hub", url, "--region", "eu-de", "--public-key", PUBLIC_KEY)
    assert said.code == 2
    assert url in said.err
    assert "next: check the address" in said.err
    assert "defect" not in said.err
