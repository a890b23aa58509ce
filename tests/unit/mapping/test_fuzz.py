"""Random messages and damaged mappings: only the two errors that are promised ever come out."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from runtime.envelope import Event
from runtime.errors import ConfigError, Untranslatable
from runtime.mapping import CompiledMapping, load, try_mapping
from tests.support.mappings import EXAMPLES, envelope, example

NAMES = ("acme-wms.toml", "blitz-carrier.toml", "legacy-stock.toml")
MAPPINGS = {name: example(name) for name in NAMES}
TEXTS = {name: (EXAMPLES / "mappings" / name).read_text() for name in NAMES}
SAMPLES = [
    (mapping, json.loads(file.read_bytes()))
    for folder, mapping in (("wms", "acme-wms.toml"), ("carrier", "blitz-carrier.toml"))
    for file in sorted((EXAMPLES / "samples" / folder).glob("*.json"))
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", " ", "2026-03-02", "1,5", "NaN", "9" * 50, "-", "\x00", "0001-01-01T00:00:00"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def check(name: str, body: bytes) -> None:
    """Either good events, or a letter with a position; and a good event survives its own JSON."""
    trial = try_mapping(MAPPINGS[name], body)
    assert bool(trial.errors) != bool(trial.outputs)
    try:
        results = MAPPINGS[name].translate(envelope(body))
    except Untranslatable:
        return
    for result in results:
        if isinstance(result, Event):
            msgspec.json.decode(msgspec.json.encode(result.data), type=type(result.data))
            assert result.partition_key


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        found += places(part, (*path, name))
    return found


@given(st.sampled_from(SAMPLES), st.data())
def test_a_damaged_message_is_translated_or_a_letter(sample: tuple[str, Any], data: st.DataObject) -> None:
    name, message = sample[0], copy.deepcopy(sample[1])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(message)))
        new = data.draw(JSON)
        if not path:
            message = new
            break
        target = message
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = new
        message = json.loads(json.dumps(message))
    check(name, json.dumps(message).encode())


@given(st.sampled_from(NAMES), st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=40)))
def test_any_bytes_are_translated_or_a_letter(name: str, body: bytes) -> None:
    trial = try_mapping(MAPPINGS[name], body)
    assert all(problem.position.startswith(("/", "line ")) or problem.position == "" for problem in trial.errors)


WORDS = re.compile(r'[A-Za-z_][\w.]*|"[^"\n]*"|\'[^\'\n]*\'|[{}\[\]=,()]')


@given(st.sampled_from(NAMES), st.data())
def test_a_damaged_mapping_still_works_or_is_told_in_one_sentence(name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    spans = [match.span() for match in WORDS.finditer(text)]
    for start, end in sorted(data.draw(st.lists(st.sampled_from(spans), min_size=1, max_size=3)), reverse=True):
        other = data.draw(st.sampled_from(spans))
        word = data.draw(
            st.sampled_from(["", "x", '"x"', "5", "true", "[]", "{}", '"^.x"', '"root.x"', TEXTS[name][slice(*other)]])
        )
        text = text[:start] + word + text[end:]
    mapping = loaded(name, text)
    if isinstance(mapping, str):
        assert mapping.startswith(name)
        return
    for _, message in SAMPLES[:3]:
        try_mapping(mapping, json.dumps(message).encode())


def loaded(name: str, text: str) -> CompiledMapping | str:
    try:
        return load(text, name, lambda file: (EXAMPLES / "mappings" / file).read_text())
    except ConfigError as error:
        return str(error)
