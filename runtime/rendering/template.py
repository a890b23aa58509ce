"""A text with expressions in it: `/orders/{data.order_id}?from={delivery.region}`; `{{` and `}}` are the signs themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from runtime.errors import Permanent
from runtime.mapping.converters import to_text
from runtime.mapping.faults import Bad, Spot, kind_of
from runtime.mapping.tables import Table
from runtime.rendering.getters import Get, expression_getter

CHARACTERS_MAX = 4_000


class Template:
    """Compiled once. Every hole must have a value: a text that only looks right is worse than a letter."""

    def __init__(self, text: str, spot: Spot, *, depth: int = 0, tables: Mapping[str, Table] | None = None) -> None:
        """Raises `ConfigError` with the column."""
        if len(text) > CHARACTERS_MAX:
            spot.fail(f"a text has at most {CHARACTERS_MAX} characters")
        self._parts: list[str | tuple[str, Get]] = []
        for fixed, hole in _split(text, spot):
            if fixed:
                self._parts.append(fixed)
            if hole is not None:
                self._parts.append((hole, expression_getter(hole, depth, tables or {}, spot)))

    @property
    def holes(self) -> list[str]:
        """The expressions as they are written."""
        return [part[0] for part in self._parts if not isinstance(part, str)]

    @property
    def fixed(self) -> str:
        """All that is not a hole."""
        return "".join(part for part in self._parts if isinstance(part, str))

    def fill(self, *scopes: Any, quote: Callable[[str], str] = str) -> str:
        """The text with its holes filled; `quote` makes a value safe. Raises `Permanent`, without repeating a value."""
        found: list[str] = []
        for part in self._parts:
            if isinstance(part, str):
                found.append(part)
                continue
            hole, get = part
            try:
                found.append(quote(plain_text(get(*scopes))))
            except Bad as error:
                raise Permanent(f"{{{hole}}} {error}") from None
        return "".join(found)


def compile_template(text: str, where: str) -> Template:
    """Of a setting called `where`. Raises `ConfigError`."""
    return Template(text, Spot(where))


def plain_text(value: Any) -> str:
    """One value as text: `true` and `false`, numbers by their digits. Raises `Bad` if it is absent or no plain value."""
    if value is None or value == "":
        raise Bad("has no value")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Decimal):
        return to_text(value)
    raise Bad(f"is {kind_of(value)} instead of one value")


def _split(text: str, spot: Spot) -> list[tuple[str, str | None]]:
    """Pairs of a fixed text and the expression behind it; the last one has none."""
    found: list[tuple[str, str | None]] = []
    fixed, at = "", 0
    while at < len(text):
        sign = text[at]
        if sign in "{}" and text[at : at + 2] == sign * 2:
            fixed, at = fixed + sign, at + 2
        elif sign == "{":
            end = _end(text, at + 1)
            if end < 0 or not text[at + 1 : end].strip():
                spot.fail(f"a {{ without its expression and }} (column {at + 1}); the sign itself is {{{{")
            found.append((fixed, text[at + 1 : end].strip()))
            fixed, at = "", end + 1
        elif sign == "}":
            spot.fail(f"a }} without its {{ (column {at + 1}); the sign itself is }}}}")
        else:
            fixed, at = fixed + sign, at + 1
    return [*found, (fixed, None)]


def _end(text: str, at: int) -> int:
    """Where the expression ends: a } outside of quotation marks."""
    quote = ""
    for here in range(at, len(text)):
        sign = text[here]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "}":
            return here
    return -1
