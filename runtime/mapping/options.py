"""What a pack leaves to the region: `${column}` in its mappings stands for a value from entrepot.toml.

Filled into the parsed tree, never into text, so a value can say nothing but itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runtime.mapping.faults import Spot

_OPTION = re.compile(r"\$\{([a-z_]{1,40})\}")
_SOURCES = frozenset({"path", "first", "join", "const", "each", "table"})
"""Without these a rule has nothing to say."""
_UNSET = object()


def fill_in(tree: dict[str, Any], options: Mapping[str, str | None], spot: Spot) -> dict[str, Any]:
    """The tree with values for options.

    A field whose path is an option that is not set takes its default (or the time of acceptance), or is left out.

    Raises `ConfigError` for an option that does not exist.
    """
    filled = _fill(tree, options, spot) if options else tree
    return filled if isinstance(filled, dict) else {}


def _fill(value: Any, options: Mapping[str, str | None], spot: Spot) -> Any:
    if isinstance(value, str) and (match := _OPTION.fullmatch(value)):
        if match[1] not in options:
            spot.fail(f"there is no option {match[1]}", given=match[1], choices=options)
        found = options[match[1]]
        return _UNSET if found is None else found
    if isinstance(value, list):
        parts = [_fill(part, options, spot.item(at)) for at, part in enumerate(value)]
        set_ones = [part for part in parts if part is not _UNSET]
        return set_ones if set_ones or not parts else _UNSET
    if not isinstance(value, dict):
        return value
    filled = {name: _fill(part, options, spot.child(name)) for name, part in value.items()}
    left = {name: part for name, part in filled.items() if part is not _UNSET}
    if all(filled.get(name) is not _UNSET for name in _SOURCES):
        return left
    if left.get("missing") == "received":
        return {"missing": "received"}
    return {"const": left["default"]} if "default" in left else _UNSET
