"""How much of some samples becomes events: fields read, guessed and unread, leaves filled and empty, and what may leave.

For a person at the desk. Pure: built from trials of single messages and a compiled policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from runtime.canonical.leaves import fields_of, leaves
from runtime.canonical.registry import TYPES
from runtime.clearance import Clearance, Cleared
from runtime.mapping.trial import Trial

Use = Literal["read", "guessed", "unread"]
RELEASES = {"allow": "released", "mask": "masked", "drop": "withheld"}
"""Action of the policy → what becomes of a leaf."""


class FieldUse(Struct, frozen=True, kw_only=True):
    """One field of the samples."""

    message: str
    """What a pack calls the message; empty for a mapping on its own."""
    path: str
    use: Use
    """guessed: only rules that `entrepot map new` guessed and nobody has confirmed read it."""
    messages: int
    """How many of the messages have a value there."""


class LeafUse(Struct, frozen=True, kw_only=True):
    """One leaf of a canonical type."""

    type: str
    path: str
    class_name: str
    filled: int
    """In how many events of this type it has a value (its default counts)."""
    hub: str
    """released, masked or withheld by the policy."""
    rule: str


class TypeUse(Struct, frozen=True, kw_only=True):
    """All events of one canonical type."""

    type: str
    events: int
    withheld: int
    """Events that would stay in the region as a whole."""
    rule: str
    """Why, for the last of them."""


class Coverage(Struct, frozen=True, kw_only=True):
    """The answer for all samples together."""

    messages: int
    rejected: int
    ignored: int
    types: list[TypeUse]
    fields: list[FieldUse]
    leaves: list[LeafUse]


def measure(trials: Iterable[Trial], clearance: Clearance) -> Coverage:
    """Add up the trials of all messages under one policy."""
    trials = list(trials)
    outputs = [output for trial in trials for output in trial.outputs]
    events = [output for output in outputs if "data" in output]
    names = [name for name in TYPES if any(event["type"] == name for event in events)]
    return Coverage(
        messages=len(trials),
        rejected=sum(bool(trial.errors) for trial in trials),
        ignored=len(outputs) - len(events),
        types=[_type_use(name, [e["data"] for e in events if e["type"] == name], clearance) for name in names],
        fields=_field_uses(trials),
        leaves=[
            use
            for name in names
            for use in _leaf_uses(name, [e["data"] for e in events if e["type"] == name], clearance)
        ],
    )


def _field_uses(trials: list[Trial]) -> list[FieldUse]:
    """A field that some message reads for certain is read, whatever another one does with it."""
    seen: dict[tuple[str, str], Counter[Use]] = {}
    for trial in trials:
        for path in trial.read:
            use: Use = "guessed" if path in trial.guessed else "read"
            seen.setdefault((trial.message, path), Counter())[use] += 1
        for path in trial.unread:
            seen.setdefault((trial.message, path), Counter())["unread"] += 1
    order: tuple[Use, ...] = ("read", "guessed", "unread")
    return [
        FieldUse(message=message, path=path, use=next(use for use in order if uses[use]), messages=uses.total())
        for (message, path), uses in seen.items()
    ]


def _type_use(name: str, events: list[dict[str, Any]], clearance: Clearance) -> TypeUse:
    verdicts = [clearance.clear(name, msgspec.json.encode(data)) for data in events]
    stays = [verdict for verdict in verdicts if not isinstance(verdict, Cleared)]
    return TypeUse(type=name, events=len(events), withheld=len(stays), rule=stays[-1].rule if stays else "")


def _leaf_uses(name: str, events: list[dict[str, Any]], clearance: Clearance) -> Iterator[LeafUse]:
    filled = Counter(path for data in events for path in set(_filled(TYPES[name].struct, data, "")))
    decided = {row.path: row for row in clearance.explain(name)}
    for leaf in leaves(TYPES[name].struct):
        row = decided[leaf.path]
        hub = RELEASES.get(row.action, "withheld")
        yield LeafUse(
            type=name,
            path=leaf.path,
            class_name=leaf.class_name,
            filled=filled[leaf.path],
            hub=hub,
            rule=row.rule,
        )


def _filled(struct: type[Struct], data: dict[str, Any], prefix: str) -> Iterator[str]:
    """Paths of all leaves with a value; a value that equals its default is left out of the data and still there."""
    for field in fields_of(struct):
        value, path = data.get(field.name), prefix + field.step
        if field.nested is None:
            if value or value in (0, False) or field.default not in (None, ()):
                yield path
            continue
        parts = value if isinstance(value, list | tuple) else [value] if value else []
        for part in parts:
            yield from _filled(field.nested, part, f"{path}.")
