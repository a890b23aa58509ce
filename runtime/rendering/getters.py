"""Paths and expressions of the mapping language as functions: of the event, and of the list elements around the rule.

Written as Python source by the same code as mappings, so both languages are one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runtime.mapping import values
from runtime.mapping.code import Code, Scope
from runtime.mapping.expression import write_condition
from runtime.mapping.faults import Spot
from runtime.mapping.paths import BadPath, parse_path
from runtime.mapping.tables import Table

Get = Callable[..., Any]
"""Called with the event and the elements around, outermost first. Never raises: what is absent is None."""

_HELPERS = {
    name: getattr(values, name)
    for name in (
        "NOTHING", "WRONG", "item", "first", "length", "starts", "ends", "contains", "lower", "upper", "found_in", "less",
        "at_most",
    )
}  # fmt: skip


def path_getter(text: Any, depth: int, spot: Spot) -> Get:
    """The value at a path; `depth` elements are around. Raises `ConfigError`."""
    if not isinstance(text, str):
        spot.fail('expected a path such as "data.order_id"')
    try:
        path = parse_path(text)
    except BadPath as error:
        spot.fail(f'"{text[:100]}" is no path: {error}')
    code = Code()
    return _function(code, code.value(_scopes(code, depth), path, spot)[0], depth, spot)


def expression_getter(text: str, depth: int, tables: Mapping[str, Table], spot: Spot) -> Get:
    """The value of an expression, such as `upper(data.country)` or `len(data.lines) > 1`. Raises `ConfigError`."""
    code = Code(tables=tables)
    return _function(code, write_condition(code, _scopes(code, depth), text, spot), depth, spot)


def _scopes(code: Code, depth: int) -> Scope:
    scope = Scope("r0", "e0", (), (), None)
    for level in range(depth + 1):
        code.line(f"e{level} = r{level} if r{level}.__class__ is dict else WRONG")
        if level:
            scope = Scope(f"r{level}", f"e{level}", (), (), scope)
    return scope


def _function(code: Code, found: str, depth: int, spot: Spot) -> Get:
    names = ", ".join(f"r{level}" for level in range(depth + 1))
    body = [line[4:] for line in code.lines]
    source = "\n".join([f"def get({names}):", *body, f"    return {found}", ""])
    namespace: dict[str, Any] = {**_HELPERS, **code.constants}
    exec(compile(source, f"<{spot.key}>", "exec"), namespace)  # noqa: S102  the source holds no text of the rules but repr()
    get: Get = namespace["get"]
    return get
