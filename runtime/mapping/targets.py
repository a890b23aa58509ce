"""What the canonical struct demands of each field: the kind of value, its bounds, and whether it may be absent.

Read once from the struct's own annotations, so a mapping can never promise less than the vocabulary asks.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct, inspect

KINDS = {
    inspect.StrType: "text",
    inspect.IntType: "integer",
    inspect.BoolType: "boolean",
    inspect.FloatType: "float",
    inspect.DecimalType: "decimal",
    inspect.DateTimeType: "instant",
    inspect.DateType: "date",
    inspect.LiteralType: "choice",
    inspect.StructType: "object",
    inspect.VarTupleType: "list",
    inspect.ListType: "list",
}


class Target(Struct, frozen=True):
    """The type of one value. `choices` for kind choice, `struct` for object, `element` for list."""

    kind: str
    type: Any
    pattern: re.Pattern[str] | None = None
    bounds: tuple[tuple[str, Any], ...] = ()
    """(operator that must hold, limit); for text and lists the length is compared."""
    choices: tuple[str, ...] = ()
    struct: type[Struct] | None = None
    element: Target | None = None
    as_tuple: bool = False


class FieldTarget(Struct, frozen=True):
    """One field of a canonical struct."""

    name: str
    target: Target
    required: bool
    default: Any = None


@cache
def fields_of(struct: type[Struct]) -> dict[str, FieldTarget]:
    """The fields of a canonical struct by name, in its order."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    annotations = {field.name: field.type for field in msgspec.structs.fields(struct)}
    return {field.name: _field(field, annotations[field.name]) for field in info.fields}


def _field(field: inspect.Field, annotation: Any) -> FieldTarget:
    default = field.default
    if default is NODEFAULT:
        default = field.default_factory() if callable(field.default_factory) else None
    return FieldTarget(field.name, _describe(field.type, annotation), field.required, default)


def _describe(info: inspect.Type, annotation: Any) -> Target:
    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.UnionType):
        inner = [part for part in info.types if not isinstance(part, inspect.NoneType)]
        if len(inner) == 1:
            return _describe(inner[0], annotation)
    kind = KINDS.get(type(info), "other")
    if isinstance(info, inspect.StructType):
        return Target(kind, info.cls, struct=info.cls)
    if isinstance(info, inspect.VarTupleType | inspect.ListType):
        as_tuple = isinstance(info, inspect.VarTupleType)
        element = _describe(info.item_type, Any)
        return Target(kind, annotation, bounds=_bounds(info), element=element, as_tuple=as_tuple)
    if isinstance(info, inspect.LiteralType) and all(isinstance(value, str) for value in info.values):
        return Target(kind, annotation, choices=tuple(sorted(map(str, info.values))))
    pattern = getattr(info, "pattern", None)
    return Target(
        kind if kind != "choice" else "other",
        annotation,
        pattern=re.compile(pattern) if pattern else None,
        bounds=_bounds(info),
    )


def _bounds(info: inspect.Type) -> tuple[tuple[str, Any], ...]:
    names = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"), ("min_length", ">="), ("max_length", "<="))
    found = ((operator, getattr(info, name, None)) for name, operator in names)
    return tuple((operator, limit) for operator, limit in found if limit is not None)
