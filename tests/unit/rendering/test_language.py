"""The schema of rendering files: whatever compiles passes, and an editor marks what does not."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runtime.cli.entry import main
from runtime.errors import ConfigError
from runtime.rendering import load
from runtime.rendering.compose import RULE_KEYS
from runtime.rendering.language import rendering_schema

PAGE = (Path(__file__).parents[3] / "docs" / "targets.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```toml file=renderings/\S+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EVERYTHING = """
rendering = "all"
version = "1a"
description = "every key"
format = "ndjson"
zone = "Europe/Berlin"
each = "data.lines"
where = "true"
[tables.t]
a = "b"
[fields]
plain = "a.b"
path = { path = "a", convert = ["strip", "upper"], table = "t", reverse = true, unknown = "keep", missing = "letter" }
first = { first = ["a", "b"], default = 0, characters_max = 9 }
const = { const = 2026-01-01 }
text = { text = "{a}" }
value = { value = "upper(a)" }
number = { path = "a", places = 2, convert = "decimal_comma" }
digits = { path = "a", digits = 4 }
time = { path = "a", format = "%Y", zone = "UTC" }
list = { each = "a", where = "true", fields = { a = "b" } }
leaves = { each = "a", path = "." }
object = { fields = { a = { fields = { b = "c" } } } }
"""


def problems(text: str) -> list[str]:
    # A date of TOML is no value of JSON: an editor's checker takes it for a text.
    tree: Any = json.loads(json.dumps(tomllib.loads(text), default=str))
    return [error.message for error in Draft202012Validator(rendering_schema()).iter_errors(tree)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(rendering_schema())


@pytest.mark.parametrize("text", [*EXAMPLES, EVERYTHING])
def test_what_compiles_passes(text: str) -> None:
    load(text, "x.toml", {}.__getitem__)
    assert problems(text) == []


def test_the_examples_use_every_key_of_a_rule() -> None:
    assert [key for key in RULE_KEYS if f"{key} = " not in EVERYTHING] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('rendering = "all"', ""),
        ('format = "ndjson"', 'format = "yaml"'),
        ('zone = "Europe/Berlin"', 'zonee = "Europe/Berlin"'),
        ('plain = "a.b"', 'plain = ""'),
        ('convert = ["strip", "upper"]', 'convert = "gtin14"'),
        ('unknown = "keep"', 'unknown = "guess"'),
        ('missing = "letter"', 'missing = "later"'),
        ("places = 2", "places = -1"),
        ("digits = 4 }", 'digits = "4" }'),
        ('{ b = "c" }', '{ b = { pfad = "c" } }'),
        ('first = ["a", "b"]', "first = []"),
    ],
)
def test_what_does_not_compile_is_marked(old: str, new: str) -> None:
    assert old in EVERYTHING
    text = EVERYTHING.replace(old, new, 1)
    with pytest.raises(ConfigError):
        load(text, "x.toml", {}.__getitem__)
    assert problems(text)


def test_the_command_shows_it_and_writes_it_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", "--rendering"]) == 0
    assert json.loads(capsys.readouterr().out) == rendering_schema()
    assert main(["schema", "--mapping", "--pack", "--rendering", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mapping.schema.json",
        "pack.schema.json",
        "rendering.schema.json",
    ]
    capsys.readouterr()
    assert main(["schema", "--mapping", "--rendering"]) == 2
    assert "each show one schema" in capsys.readouterr().err
