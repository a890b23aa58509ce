"""Every sentence about a mapping names line and column; every problem with a sample, too."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError
from runtime.mapping import load, load_pack
from runtime.mapping.json_places import find_place
from runtime.mapping.paths import pointer
from runtime.mapping.toml_places import child_key, find_places
from runtime.mapping.trial import PlacedProblem, placed, try_mapping

ROOT = Path(__file__).parents[3]
FILES = sorted([*ROOT.glob("examples/*/**/*.toml"), *ROOT.glob("adapters/**/*.toml")])

MAPPING = """mapping = "acme"
version = 1

[tables.codes]
A = "available"

[[outputs]]
type = "stock.snapshot"
[outputs.fields]
sku = "sku"
on_hand = { path = "qty",  convert = "decimal" }
occurred_at = "at"
"""


def keys_of(value: object, key: str = "") -> list[str]:
    inner = (
        [(child_key(key, name), part) for name, part in value.items()]
        if isinstance(value, dict)
        else [(f"{key}[{at}]", part) for at, part in enumerate(value)]
        if isinstance(value, list)
        else []
    )
    return [one for name, part in inner for one in (name, *keys_of(part, name))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_of_every_shipped_file_is_found_where_it_stands(path: Path) -> None:
    text = path.read_text()
    found, lines = find_places(text), text.splitlines()
    for key in keys_of(tomllib.loads(text)):
        line, column = found[key]
        name = key.rsplit(".", 1)[-1].strip('"')
        there = lines[line - 1][column - 1 :]
        assert there.startswith("[") or there.lstrip("\"'").startswith(name[:1]) or key.endswith("]"), (key, there)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("version = 1", "  versoin = 1", "(at line 2, column 3)"),
        ('"decimal"', '"decimol"', "(at line 11, column 28)"),
        ('sku = "sku"', 'sku = { path = "s", table = "coeds" }', "(at line 10, column 21)"),
        ('sku = "sku"', "", "(at line 9, column 1)"),
        ('type = "stock.snapshot"', "", "(at line 7, column 1)"),
    ],
)
def test_a_wrong_mapping_is_refused_with_line_and_column_of_the_key(old: str, new: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(MAPPING.replace(old, new, 1), "acme.toml", {}.__getitem__)
    assert str(caught.value).endswith(place)


def test_a_wrong_pack_is_refused_with_line_and_column_of_the_key() -> None:
    text = 'pack = "a"\ntitle = "A"\nversion = 1\nsummary = "s"\n[[messages]]\nname = "x"\n  ignroe = "why"\n'
    with pytest.raises(ConfigError, match=r"messages\[0\]\.ignroe: there is no such key \(at line 7, column 3\)"):
        load_pack({"pack.toml": text}.__getitem__, "a/pack.toml")


def test_a_problem_of_a_sample_names_its_line_and_column() -> None:
    body = b'{\n  "sku": "A",\n  "qty": [1],\n  "at": "2026-03-02T08:00:00Z"\n}'
    mapping = load(MAPPING, "acme.toml", {}.__getitem__)
    (problem,) = placed(try_mapping(mapping, body), body).errors
    assert isinstance(problem, PlacedProblem)
    assert (problem.position, problem.line, problem.column) == ("/qty", 3, 10)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.sampled_from([None, 1, 4]))
def test_the_text_at_the_place_of_a_pointer_is_the_value_itself(message: object, indent: int | None) -> None:
    text = json.dumps(message, indent=indent)
    lines = text.split("\n")

    def walk(value: object, path: tuple[str | int, ...]) -> None:
        place = find_place(text.encode(), pointer(path))
        assert place is not None
        rest = "\n".join([lines[place[0] - 1][place[1] - 1 :], *lines[place[0] :]])
        assert json.JSONDecoder().raw_decode(rest)[0] == value
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, part in inner:
            walk(part, (*path, name))

    walk(message, ())
