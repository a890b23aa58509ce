"""Notes on data quality: identifiers whose check digit is wrong. Notes are counted; nothing is rejected."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec import Struct

from runtime.canonical.identifiers import Scheme, quality_note
from runtime.canonical.leaves import fields_of


def notes(event: Struct) -> list[tuple[str, str]]:
    """(path, note) for each doubtful identifier of an event, e.g. (`lines[].gtin`, `gtin-check`)."""
    found: list[tuple[str, str]] = []
    _collect(event, _plan(type(event)), "", found)
    return found


@cache
def _plan(struct: type[Struct]) -> tuple[tuple[str, str, bool, Any], ...]:
    """(field, step, many, scheme or inner plan), only for the fields that lead to an identifier."""
    return tuple(_steps(struct))


def _steps(struct: type[Struct]) -> Iterator[tuple[str, str, bool, Any]]:
    for field in fields_of(struct):
        if field.nested is not None:
            inner = _plan(field.nested)
            if inner:
                yield field.name, field.step, field.many, inner
        else:
            scheme = next((str(mark) for mark in field.metadata if isinstance(mark, Scheme)), None)
            if scheme:
                yield field.name, field.step, field.many, scheme


def _collect(
    value: Any, plan: tuple[tuple[str, str, bool, Any], ...], prefix: str, found: list[tuple[str, str]]
) -> None:
    for name, step, many, inner in plan:
        stated = getattr(value, name)
        if stated is None:
            continue
        for element in stated if many else (stated,):
            if isinstance(inner, str):
                note = quality_note(inner, element)
                if note:
                    found.append((prefix + step, note))
            else:
                _collect(element, inner, f"{prefix}{step}.", found)
