"""Which events a subscriber wants, in the filter dialects of the CloudEvents Subscriptions API. Pure.

`[{ prefix = { type = "io.entrepot.shipment." } }, { not = { exact = { subject = "test" } } }]`: all must hold.
Compared is the text of an attribute, case-sensitive; what an event does not have matches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runtime.errors import ConfigError

FILTERS_MAX = 100
"""Of one subscription, nested ones counted."""
DEPTH_MAX = 10

Attributes = Mapping[str, str]
Matches = Callable[[Attributes], bool]

_COMPARED: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda value, wanted: value == wanted,
    "prefix": lambda value, wanted: value.startswith(wanted),
    "suffix": lambda value, wanted: value.endswith(wanted),
}
DIALECTS = (*_COMPARED, "all", "any", "not")


def compile_filters(filters: Sequence[Mapping[str, Any]]) -> Matches:
    """A function of the attributes, `type` among them. Raises `ConfigError` with the place in `filters`."""
    left = [FILTERS_MAX]
    found = [_compile(entry, f"filters[{at}]", left, DEPTH_MAX) for at, entry in enumerate(filters)]
    return lambda attributes: all(matches(attributes) for matches in found)


def _compile(entry: Any, where: str, left: list[int], depth: int) -> Matches:
    left[0] -= 1
    if left[0] < 0 or depth < 0:
        raise ConfigError(f"{where}: at most {FILTERS_MAX} filters, and {DEPTH_MAX} inside one another")
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ConfigError(f'{where}: a filter names one dialect: {{ prefix = {{ type = "io.entrepot.order." }} }}')
    [(dialect, content)] = entry.items()
    here = f"{where}.{dialect}"
    if dialect in _COMPARED:
        return _comparison(_COMPARED[dialect], _attributes(content, here))
    if dialect == "not":
        inner = _compile(content, here, left, depth - 1)
        return lambda attributes: not inner(attributes)
    if dialect in ("all", "any"):
        parts = _parts(content, here, left, depth)
        together = all if dialect == "all" else any
        return lambda attributes: together(matches(attributes) for matches in parts)
    if dialect == "sql":
        raise ConfigError(
            f"{here}: the dialect sql is not spoken here", hint="say it with exact, prefix, suffix, all, any and not"
        )
    raise ConfigError(f"{where}: there is no dialect {str(dialect)[:40]!r}; choose one of {', '.join(DIALECTS)}")


def _comparison(holds: Callable[[str, str], bool], wanted: Mapping[str, str]) -> Matches:
    pairs = tuple(wanted.items())
    return lambda attributes: all(name in attributes and holds(attributes[name], value) for name, value in pairs)


def _attributes(content: Any, where: str) -> dict[str, str]:
    if not isinstance(content, dict) or not content:
        raise ConfigError(f'{where}: expected attributes and their texts, as in {{ type = "io.entrepot." }}')
    for name, value in content.items():
        if not (name.isascii() and name.isalnum() and name == name.lower()):
            raise ConfigError(f"{where}: {name!r} is no attribute of an event: small letters and digits, without ce-")
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{where}.{name}: expected a text that is not empty")
    return content


def _parts(content: Any, where: str, left: list[int], depth: int) -> list[Matches]:
    if not isinstance(content, list) or not content:
        raise ConfigError(f"{where}: expected a list of filters")
    return [_compile(entry, f"{where}[{at}]", left, depth - 1) for at, entry in enumerate(content)]
