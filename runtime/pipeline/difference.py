"""What differs between an event as it was kept and as the rules give it now, leaf by leaf. Pure.

Values of persons, free text and secrets are masked: what is shown ends up on screens and in tickets.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from runtime.canonical.leaves import leaves
from runtime.canonical.registry import TYPES

DIFFERENCES_MAX = 50
"""Of one event; more say only that it is another one."""
SHOWN_CLASSES = frozenset({"public", "business", "business.confidential"})
TYPE = "(type)"

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Difference(Struct, frozen=True, kw_only=True):
    """One leaf. None: it has no value."""

    leaf: str
    """`lines[0].sku`, or (type)."""
    before: str | None
    after: str | None


def find_differences(before: tuple[str, bytes] | None, after: tuple[str, bytes] | None) -> list[Difference]:
    """Both as (event type, JSON of the canonical struct); None where there is no event. At most `DIFFERENCES_MAX`."""
    old, new = _values(before), _values(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    old_type, new_type = before[0] if before else "", after[0] if after else ""
    return [
        Difference(leaf=name, before=_shown(old_type, name, old), after=_shown(new_type, name, new))
        for name in names[:DIFFERENCES_MAX]
    ]


def _values(event: tuple[str, bytes] | None) -> dict[str, Any]:
    if event is None:
        return {}
    return {TYPE: event[0], **dict(_walk(_decode(event[1]), ""))}


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _walk(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from _walk(part, f"{path}[{at}]")
    elif value is not None:
        yield path, value


def _shown(type_name: str, leaf: str, values: dict[str, Any]) -> str | None:
    value = values.get(leaf)
    if value is None:
        return None
    plain = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if leaf == TYPE or _class_of(type_name, _bare(leaf)) in SHOWN_CLASSES:
        return plain
    return f"(text, {len(plain)} characters)" if isinstance(value, str) else "(masked)"


def _bare(leaf: str) -> str:
    """`lines[12].sku` → `lines[].sku`."""
    return "".join(part if at == 0 else "[]" + part.partition("]")[2] for at, part in enumerate(leaf.split("[")))


@cache
def _classes(type_name: str) -> dict[str, str]:
    return {leaf.path: leaf.class_name for leaf in leaves(TYPES[type_name].struct)} if type_name in TYPES else {}


def _class_of(type_name: str, leaf: str) -> str:
    return _classes(type_name).get(leaf, "")
