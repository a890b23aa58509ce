"""Every message that a pack knows has a golden file, and becomes exactly what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime import packs
from runtime.canonical.leaves import leaves
from runtime.canonical.registry import TYPES
from tests.packs import golden

SAMPLES = golden.samples()
PRIVATE = ("personal.", "free_text", "employee", "payment", "location.fine", "attachment", "secret")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_a_message_becomes_exactly_this(sample: Path) -> None:
    given = golden.expected(sample)
    assert golden.told(golden.trials(sample, given)) == given["becomes"]


@pytest.mark.parametrize("name", packs.names())
def test_every_message_of_a_pack_has_a_golden_file(name: str) -> None:
    shown = {one.get("message") for s in SAMPLES if s.parent.name == name for one in golden.expected(s)["becomes"]}
    assert {message.name for message in golden.pack(name).manifest.messages} - shown == set()


@pytest.mark.parametrize("name", packs.names())
def test_every_event_that_a_pack_promises_is_told_by_some_golden_file(name: str) -> None:
    """A message that can become an event, and never does in any sample, is a promise nobody has tried."""
    told = {
        (one.get("message"), output["type"])
        for sample in SAMPLES
        if sample.parent.name == name
        for one in golden.expected(sample)["becomes"]
        for output in one["outputs"]
        if "type" in output
    }
    pack = golden.pack(name)
    promised = {(m.name, type_) for m in pack.manifest.messages for type_ in pack.types_of(m)}
    assert {type_ for _, type_ in promised} <= {type_ for _, type_ in told}
    assert {message for message, _ in promised} == {message for message, _ in told}


def test_only_letters_that_are_meant_stand_in_the_golden_files() -> None:
    """A pack refuses what its manifest says, and what the name of the sample announces."""
    for sample in SAMPLES:
        for one in golden.expected(sample)["becomes"]:
            if "errors" in one:
                message = golden.pack(sample.parent.name)
                meant = {m.name for m in message.manifest.messages if m.letter}
                assert one.get("message") in meant or sample.stem.endswith("-letter"), sample


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_what_is_personal_in_a_sample_stands_in_personal_fields_only(sample: Path) -> None:
    """In the samples everything personal holds the word Privat."""
    for one in golden.expected(sample)["becomes"]:
        for output in one["outputs"]:
            classes = (
                {leaf.path: leaf.class_name for leaf in leaves(TYPES[output["type"]].struct)}
                if "type" in output
                else {}
            )
            for path, value in values(output.get("data", {}), ""):
                if "privat" in str(value).lower():
                    assert classes[path].startswith(PRIVATE), f"{output['type']} {path}: {classes[path]}"


def values(data: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        for name, part in data.items():
            yield from values(part, f"{path}.{name}" if path else name)
    elif isinstance(data, list):
        for part in data:
            yield from values(part, path + "[]")
    else:
        yield path, data
