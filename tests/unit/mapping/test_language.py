"""The schema of mapping and pack files takes what the compiler takes, and sees the usual mistakes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runtime.cli.entry import main
from runtime.mapping import document
from runtime.mapping.language import mapping_schema, pack_schema

ROOT = Path(__file__).parents[3]
PACKS = sorted(ROOT.glob("adapters/*/pack.toml"))
MAPPINGS = sorted(
    path
    for path in [*ROOT.glob("examples/*/mappings/*.toml"), *ROOT.glob("adapters/*/*.toml")]
    if "mapping" in tomllib.loads(path.read_text()) and path.name != "pack.toml"
)
GOOD = """
mapping = "acme"
version = 1
[tables.codes]
A = "available"
[[outputs]]
type = "stock.snapshot"
[outputs.fields]
sku = "sku"
on_hand = { path = "qty", convert = "decimal" }
occurred_at = "at"
"""


def problems(schema: dict[str, Any], text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    return [error.json_path for error in validator.iter_errors(tomllib.loads(text))]


def test_both_schemas_are_valid_json_schema_2020_12() -> None:
    for schema in (mapping_schema(), pack_schema()):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_shipped_mapping_passes(path: Path) -> None:
    assert problems(mapping_schema(), path.read_text()) == []


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.parent.name)
def test_every_shipped_pack_passes(path: Path) -> None:
    assert problems(pack_schema(), path.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1", "versoin = 1"),
        ("version = 1", 'version = 1\nunmatched = "drop"'),
        ('"stock.snapshot"', '"stock.snapshto"'),
        ('sku = "sku"', 'skuu = "sku"'),
        ('sku = "sku"', ""),
        ('sku = "sku"', "sku = 5"),
        ('sku = "sku"', 'sku = { paht = "sku" }'),
        ('"decimal"', '"decimol"'),
        ('sku = "sku"', 'sku = "sku"\nstatus = { const = "gone" }'),
    ],
)
def test_a_usual_mistake_is_seen(old: str, new: str) -> None:
    assert problems(mapping_schema(), GOOD) == []
    assert problems(mapping_schema(), GOOD.replace(old, new, 1)) != []


def test_an_unknown_key_of_a_pack_is_seen() -> None:
    text = PACKS[0].read_text().replace("title", "titel", 1)
    assert problems(pack_schema(), text) != []


def test_a_key_that_only_the_compiler_knows_ends_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "FIELD_KEYS", document.FIELD_KEYS | {"brand_new"})
    with pytest.raises(AssertionError, match="brand_new"):
        mapping_schema()


def test_a_new_converter_is_offered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "CONVERTER_NAMES", document.CONVERTER_NAMES | {"brand_new"})
    assert problems(mapping_schema(), GOOD.replace('"decimal"', '"brand_new"')) == []


def test_the_command_shows_and_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--mapping"]) == 0
    assert json.loads(capsys.readouterr().out) == mapping_schema()
    assert main(["schema", "--mapping", "--pack", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "pack.schema.json").read_text()) == pack_schema()
    assert main(["schema", "order.created", "--pack"]) == 2
