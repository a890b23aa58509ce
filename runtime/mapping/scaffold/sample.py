"""What stands in sample messages: every path with a value, its words, and what its value looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC
from decimal import Decimal
from typing import Any

from msgspec import Struct

from runtime.canonical.identifiers import quality_note
from runtime.mapping import instants
from runtime.mapping.faults import Bad, kind_of
from runtime.mapping.paths import EACH, BadPath, Segment, dotted, parse_path
from runtime.mapping.scaffold.words import CURRENCIES, words_of

FIELDS_MAX = 2_000
"""Of all samples together; a mapping of more would not be read by anybody."""
VALUES_MAX = 20
ELEMENTS_MAX = 20
"""Of one list: more say nothing new about its shape."""
FORMATS = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y")
"""Tried on times that no standard knows, the day first."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]{2,}")
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9]{1,3}(\.?[0-9]{3})*,[0-9]+")


class Seen(Struct, frozen=True, kw_only=True):
    """One path of the samples with its first values."""

    path: tuple[Segment, ...]
    """`[]` stands for the elements of a list."""
    values: tuple[Any, ...]
    """Up to `VALUES_MAX` different ones."""
    words: tuple[str, ...]
    """Of its own key."""
    around: tuple[str, ...]
    """Of the keys around it, the outermost first."""
    kinds: frozenset[str]
    """What the value could be: text, decimal, decimal_comma, integer, float, boolean, instant, date, choice, email, …"""
    format: str = ""
    """For a time that no standard knows."""
    zoneless: bool = False
    usable: bool = True
    """Whether a path of a mapping can name it: not inside two lists, and no number as a key."""

    @property
    def shown(self) -> str:
        return dotted(self.path)

    @property
    def described(self) -> str:
        return kind_of(self.values[0])

    @property
    def list(self) -> tuple[Segment, ...] | None:
        """The path of the list that it lies in."""
        return self.path[: self.path.index(EACH)] if EACH in self.path else None

    @property
    def within(self) -> tuple[Segment, ...]:
        """The path inside the element, or the whole one."""
        return self.path[self.path.index(EACH) + 1 :] if EACH in self.path else self.path


def look(messages: Iterable[Any]) -> list[Seen]:
    """All paths with a plain value, in the order of the messages; the decoder has bounded the depth."""
    found: dict[tuple[Segment, ...], list[Any]] = {}
    for message in messages:
        stack: list[tuple[Any, tuple[Segment, ...]]] = [(message, ())]
        while stack and len(found) < FIELDS_MAX:
            value, path = stack.pop()
            if isinstance(value, dict):
                stack.extend((part, (*path, name)) for name, part in reversed(value.items()))
            elif isinstance(value, list):
                stack.extend((part, (*path, EACH)) for part in reversed(value[:ELEMENTS_MAX]))
            elif value is not None and value != "":
                known = found.setdefault(path, [])
                if value not in known and len(known) < VALUES_MAX:
                    known.append(value)
    return [_seen(path, tuple(values)) for path, values in found.items()]


def _seen(path: tuple[Segment, ...], values: tuple[Any, ...]) -> Seen:
    keys = [str(part) for part in path if part != EACH]
    kinds, form, zoneless = _looks(values[0])
    return Seen(
        path=path,
        values=values,
        words=words_of(keys[-1]) if keys and path[-1] != EACH else (),
        around=tuple(word for key in keys[:-1] for word in words_of(key)),
        kinds=kinds,
        format=form,
        zoneless=zoneless,
        usable=_usable(path),
    )


def _usable(path: tuple[Segment, ...]) -> bool:
    if not path or path.count(EACH) > 1 or path[-1] == EACH or path[0] == EACH:
        return False
    parts = (path[: path.index(EACH)], path[path.index(EACH) + 1 :]) if EACH in path else (path,)
    return all(_named(part) for part in parts)


def _named(path: tuple[Segment, ...]) -> bool:
    """Whether the written path leads back to the same keys."""
    try:
        read = parse_path(dotted(path))
    except BadPath:
        return False
    return read.segments == path and not (read.root or read.up or read.header)


def _looks(value: Any) -> tuple[frozenset[str], str, bool]:
    """Kinds, format, and whether a time lacks its offset."""
    if isinstance(value, bool):
        return frozenset({"boolean"}), "", False
    kinds: set[str] = set()
    if isinstance(value, int):
        kinds |= {"integer", "decimal", "float", "number-text"}
    elif isinstance(value, float | Decimal):
        return frozenset({"decimal", "float"}), "", False
    else:
        kinds |= {"text", *_of_text(value)}
    form, zoneless = "", False
    if isinstance(value, str) or 1_000_000_000 <= value < 4_102_444_800_000:
        form, zoneless, is_time = _time(value)
        kinds |= {"instant", "date"} if is_time else set()
    digits = str(value)
    for scheme in ("gtin", "sscc", "gln"):
        if quality_note(scheme, digits) is None and len(digits) >= 12:
            kinds.add(scheme)
    return frozenset(kinds), form, zoneless


def _of_text(value: str) -> set[str]:
    tests = {
        "email": _EMAIL.fullmatch(value) is not None,
        "decimal": _DECIMAL.fullmatch(value) is not None,
        "decimal_comma": _COMMA.fullmatch(value) is not None,
        "currency": value.upper() in CURRENCIES,
        "country": len(value) == 2 and value.isascii() and value.isalpha(),
        "boolean": value.lower() in {"true", "false", "yes", "no", "y", "n"},
        "word": len(value) <= 60 and re.fullmatch(r"[A-Za-z0-9_.:/-]+( [A-Za-z0-9_.:/-]+)?", value) is not None,
        "iban": re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", value) is not None,
    }
    return {kind for kind, holds in tests.items() if holds}


def _time(value: Any) -> tuple[str, bool, bool]:
    """(format if it needs one, whether its zone must be assumed, whether it is a time at all)."""
    if isinstance(value, str) and not 8 <= len(value.strip()) <= 40:
        return "", False, False
    try:
        return "", instants.read_timed(value, UTC)[1] != "exact", True
    except (Bad, ValueError, ArithmeticError):
        pass
    for form in FORMATS if isinstance(value, str) else ():
        try:
            instants.by_format(form)(value, UTC)
        except (Bad, ValueError, ArithmeticError):
            continue
        return form, True, True
    return "", False, False
