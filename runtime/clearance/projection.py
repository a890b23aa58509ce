"""Builds the export type of an event: a struct in which what is not released has no field to stand in.

Decoding a canonical body into it and encoding it again is the whole clearance; the decoder skips the rest in C.
Neither the value nor the presence of what is withheld changes a byte. Lists keep their number of elements.
"""

from __future__ import annotations

import enum
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from runtime.canonical.leaves import Field, fields_of
from runtime.clearance.actions import ALLOW, DROP, HOLD_EVENT, MASK
from runtime.clearance.decide import Decision

REQUIRED_FIELD = "required-field:"
NO_RELEASED_LEAF = "no-released-leaf"
CANNOT_MASK = "cannot-mask"
CANNOT_EXPORT = "cannot-export"
_AS_TEXT = (str, Decimal, datetime, date, time)
"""JSON strings: passed on as the text they are, so that nothing is parsed and printed again."""


class Masked(enum.Enum):
    """Reads any text, writes `***`."""

    MASKED = "***"

    @classmethod
    def _missing_(cls, value: object) -> Masked:
        return cls.MASKED


class Column(Struct, frozen=True):
    """One field of an export type."""

    kind: Any
    default: tuple[Any, ...] = ()
    """One default, or none: then the input must state the field."""
    allows: bool = False
    """Whether an allowed leaf stands in it."""


class Part(Struct, frozen=True):
    """The export type of one struct; without `type` nothing of it leaves, and `denied` is the rule, if there is one."""

    type: type[Struct] | None = None
    void: bool = False
    """Whether it can be built without any input."""
    allows: bool = False
    denied: str = ""


class Projector:
    """Builds the parts of one event type; afterwards `decisions` holds what really happens to each leaf."""

    def __init__(self, decisions: dict[str, Decision]) -> None:
        self.decisions = decisions

    def project(self, struct: type[Struct]) -> Part:
        """The export type of an event, or why there is none."""
        hold = next((decision for decision in self.decisions.values() if decision.action == HOLD_EVENT), None)
        if hold is not None:
            return self._withhold("", hold.rule)
        part = self._part(struct, "")
        if part.denied or part.allows:
            return part
        return self._withhold("", NO_RELEASED_LEAF)

    def _part(self, struct: type[Struct], prefix: str) -> Part:
        columns: list[tuple[Any, ...]] = []
        void, allows = True, False
        for field in fields_of(struct):
            column, denied = self._column(field, prefix + field.step)
            if column is not None:
                columns.append((field.name, column.kind, *column.default))
                void = void and bool(column.default)
                allows = allows or column.allows
            elif field.required:
                return self._withhold(prefix, denied)
        if not columns:
            return Part()
        name = f"Released{struct.__name__}"
        made = msgspec.defstruct(name, columns, kw_only=True, omit_defaults=True, gc=False)
        return Part(made, void, allows)

    def _column(self, field: Field, path: str) -> tuple[Column | None, str]:
        """The column, or None and the rule that denies what requires it."""
        if field.nested is None:
            return self._leaf(field, path), REQUIRED_FIELD + path
        part = self._part(field.nested, f"{path}.")
        if part.type is not None and field.many and not part.allows:
            part = self._withhold(f"{path}.", NO_RELEASED_LEAF)
        if part.type is None:
            return None, part.denied if part.denied.startswith(REQUIRED_FIELD) else REQUIRED_FIELD + path
        return _nested_column(field, part, part.type), ""

    def _leaf(self, field: Field, path: str) -> Column | None:
        decision = self.decisions[path]
        if decision.action == MASK and not _maskable(field):
            self._drop(path, f"{decision.rule}+{CANNOT_MASK}")
        elif decision.action == MASK and (decision.allowed or not field.required):
            return Column(Masked, (msgspec.field(default_factory=_mask),))
        elif decision.action == ALLOW:
            exported = _export_type(field.type)
            if exported is not None:
                return _allowed_column(field, exported)
            self._drop(path, CANNOT_EXPORT)
        else:
            self._drop(path, decision.rule)
        return None

    def _withhold(self, prefix: str, rule: str) -> Part:
        """Nothing below `prefix` leaves, because of `rule`."""
        for path, decision in self.decisions.items():
            if path.startswith(prefix) and decision.action in (ALLOW, MASK):
                self._drop(path, rule)
        return Part(denied=rule)

    def _drop(self, path: str, rule: str) -> None:
        self.decisions[path] = Decision(self.decisions[path].leaf, DROP, rule)


def _mask() -> Masked:
    return Masked.MASKED


def _maskable(field: Field) -> bool:
    """Only a text without a form of its own stays valid as `***`; a masked list would still tell its length."""
    return field.type is str and not field.many and not any(isinstance(mark, Meta) for mark in field.metadata)


def _export_type(leaf: Any) -> Any:
    if get_origin(leaf) is Literal:
        return str if all(isinstance(choice, str) for choice in get_args(leaf)) else None
    if leaf in (bool, int, float):
        return leaf
    return str if leaf in _AS_TEXT else None


def _nested_column(field: Field, part: Part, inner: type[Struct]) -> Column:
    if field.many:
        elements = tuple.__class_getitem__((inner, ...))
        return Column(elements, () if field.required else ((),), part.allows)
    if part.void:
        # An absent object and one of which everything was withheld must look the same.
        return Column(inner, (msgspec.field(default_factory=inner),), part.allows)
    if field.required:
        return Column(inner, allows=part.allows)
    return Column(Union[inner, None], (None,), part.allows)  # noqa: UP007 - the operator needs a static type


def _allowed_column(field: Field, exported: Any) -> Column:
    kind = tuple.__class_getitem__((exported, ...)) if field.many else exported
    if field.required:
        return Column(kind, allows=True)
    if field.many:
        return Column(kind, ((),), allows=True)
    if field.default is None:
        return Column(Union[kind, None], (None,), allows=True)  # noqa: UP007
    return Column(kind, (msgspec.to_builtins(field.default),), allows=True)
