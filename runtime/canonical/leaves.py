"""Walks a canonical struct down to its leaves: where each one is, what class it has, whose datum it is.

Paths are dotted, list elements are `[]`: `lines[].sku`, `ship_to.address.city`, `photo_urls[]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields as struct_fields

from runtime.canonical.classes import CLASSES, UNCLASSIFIED, Class, Subject
from runtime.canonical.identifiers import Scheme


class Field(Struct, frozen=True, kw_only=True):
    """One field of a canonical struct, taken apart."""

    name: str
    required: bool
    many: bool
    """True for a tuple of elements."""
    nested: type[Struct] | None
    """The struct inside, or None for a leaf."""
    type: Any
    """For a leaf: its plain type, e.g. `str`, `Decimal`, a `Literal`."""
    metadata: tuple[Any, ...]
    """Everything that `Annotated` said, outermost last."""
    default: Any = None
    """For a field that is not required: its default."""

    @property
    def step(self) -> str:
        """This field's part of a path."""
        return f"{self.name}[]" if self.many else self.name


class Leaf(Struct, frozen=True):
    """One leaf of a canonical type."""

    path: str
    class_name: str
    subject: str | None = None
    scheme: str | None = None
    """`gtin`, `sscc` or `gln` for an identifier with a check digit."""


@cache
def fields_of(struct: type[Struct]) -> tuple[Field, ...]:
    """The fields of a struct in the order of declaration."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple(
        _field(entry.name, hints[entry.name], entry.required, _default(entry)) for entry in struct_fields(struct)
    )


def leaves(struct: type[Struct]) -> list[Leaf]:
    """All leaves of a struct; a leaf without a known class comes as `unclassified`."""
    return list(_walk(struct, "", None))


def class_of(field: Field) -> str:
    """The residency class of a leaf; `unclassified` if it has none, or one that is not in the set."""
    name = next((mark.name for mark in field.metadata if isinstance(mark, Class)), UNCLASSIFIED)
    return name if name in CLASSES else UNCLASSIFIED


def _walk(struct: type[Struct], prefix: str, subject: str | None) -> Iterator[Leaf]:
    for field in fields_of(struct):
        path = prefix + field.step
        override = next((mark.name for mark in field.metadata if isinstance(mark, Subject)), subject)
        if field.nested is not None:
            yield from _walk(field.nested, f"{path}.", override)
        else:
            yield _leaf(field, path, override)


def _leaf(field: Field, path: str, override: str | None) -> Leaf:
    own = next((mark.subject for mark in field.metadata if isinstance(mark, Class)), None)
    scheme = next((str(mark) for mark in field.metadata if isinstance(mark, Scheme)), None)
    return Leaf(path, class_of(field), (override or own) if own else None, scheme)


def _field(name: str, hint: Any, required: bool, default: Any) -> Field:
    metadata: list[Any] = []
    core = _peel(hint, metadata)
    many = get_origin(core) in (tuple, list)
    if many:
        core = _peel(get_args(core)[0], metadata)
    nested = core if isinstance(core, type) and issubclass(core, Struct) else None
    return Field(
        name=name,
        required=required,
        many=many,
        nested=nested,
        type=core,
        metadata=tuple(metadata),
        default=default,
    )


def _peel(hint: Any, metadata: list[Any]) -> Any:
    """Take `Annotated` and `| None` off a hint, and keep what they said."""
    while True:
        if get_origin(hint) is Annotated:
            hint, *marks = get_args(hint)
            metadata.extend(marks)
            continue
        if get_origin(hint) in (Union, UnionType):
            stated = [choice for choice in get_args(hint) if choice is not NoneType]
            if len(stated) == 1:
                hint = stated[0]
                continue
        return hint


def _default(entry: Any) -> Any:
    if entry.default_factory is not NODEFAULT:
        return entry.default_factory()
    return None if entry.default is NODEFAULT else entry.default
