"""Full events made from the schema: every leaf carries a marker of its own, so that a leak names its origin."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from runtime.canonical import TYPES
from runtime.canonical.leaves import Field, fields_of
from runtime.clearance import Policy, Rule
from runtime.clearance.actions import Action
from runtime.clearance.policy import make_policy

ALL_CLASSES_ALLOWED = Rule(id="all", action=Action("allow"))
ENCODE = msgspec.json.Encoder().encode

Filler = Callable[[str, Field], Any]
"""(path, field) → the value of one leaf."""


def policy(*rules: Rule) -> Policy:
    return make_policy("test", 1, rules)


def rule(rule_id: str, action: str, **conditions: Any) -> Rule:
    return Rule(id=rule_id, action=Action(action), **conditions)


def specimen(struct: type[Struct], fill: Filler, *, prefix: str = "", elements: int = 2) -> dict[str, Any]:
    """An event with every field stated."""
    event: dict[str, Any] = {}
    for field in fields_of(struct):
        path = prefix + field.step
        if field.nested is None:
            value: Any = [fill(f"{path}{n}", field) for n in range(elements)] if field.many else fill(path, field)
        elif field.many:
            value = [
                specimen(field.nested, fill, prefix=f"{path[:-1]}{n}].", elements=elements) for n in range(elements)
            ]
        else:
            value = specimen(field.nested, fill, prefix=f"{path}.", elements=elements)
        event[field.name] = value
    return event


def body_of(name: str, event: dict[str, Any]) -> bytes:
    """The stored form of an event, by the road that translation takes."""
    return ENCODE(msgspec.convert(event, TYPES[name].struct, strict=False))


class Markers:
    """Fills each leaf that can hold one with a marker, and remembers which marker stands where."""

    def __init__(self) -> None:
        self.by_path: dict[str, list[str]] = {}

    def __call__(self, path: str, field: Field) -> Any:
        number = 7_000_001 + sum(map(len, self.by_path.values()))
        value, marker = marked(field, number)
        if marker:
            self.by_path.setdefault(schema_path(path), []).append(marker)
        return value


def marked(field: Field, number: int) -> tuple[Any, str | None]:
    """A value that fits the field, and the text by which it can be found; None where a code leaves no room."""
    if get_origin(field.type) is Literal:
        return get_args(field.type)[number % len(get_args(field.type))], None
    if field.type is bool:
        return number % 2 == 0, None
    if any(isinstance(mark, Meta) and mark.pattern for mark in field.metadata):
        return "DEU"[: _length(field)], None
    if field.type is str:
        return f"MARK{number}X", f"MARK{number}X"
    if field.type in (int, float):
        return number, str(number)
    if field.type is Decimal:
        return f"{number}.5", f"{number}.5"
    year, day = 2000 + number % 50, 1 + number // 50 % 28
    text = f"{year}-03-{day:02}"
    return (text if field.type.__name__ == "date" else f"{text}T01:02:03+05:45"), None


def _length(field: Field) -> int:
    pattern = next(mark.pattern for mark in field.metadata if isinstance(mark, Meta))
    return 2 if pattern == "^[A-Z]{2}$" else 3


def schema_path(path: str) -> str:
    """`lines[0].sku` → `lines[].sku`, `serials[]1` → `serials[]`."""
    return "".join(part if n == 0 else "[]" + part.split("]", 1)[1].lstrip("0123456789")
                   for n, part in enumerate(path.split("[")))  # fmt: skip
