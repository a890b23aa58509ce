"""JSON Schema 2020-12 of the vocabulary, with the residency class of each leaf as `x-residency-class`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from runtime.canonical.classes import Class
from runtime.canonical.leaves import Field, class_of, fields_of
from runtime.canonical.registry import TYPES, CanonicalType

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, dict[str, Any]]:
    """Short name → schema document; each stands alone, with its parts under `$defs`."""
    return {name: type_schema(entry) for name, entry in TYPES.items()}


def type_schema(entry: CanonicalType) -> dict[str, Any]:
    """The schema document of one type. `$id` is a URN: schemas are files, not addresses."""
    # Defaults such as () become what JSON has for them.
    document = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(entry.struct)))
    structs: dict[str, type[Struct]] = {}
    _structs_below(entry.struct, structs)
    for name, struct in structs.items():
        _add_classes(document["$defs"][name], struct)
    return {
        "$schema": DIALECT,
        "$id": f"urn:entrepot:schema:{entry.name}:v{entry.version}",
        "title": entry.ce_type,
        "x-business-key": entry.key_field,
        **document,
    }


def _structs_below(struct: type[Struct], found: dict[str, type[Struct]]) -> None:
    found[struct.__name__] = struct
    for field in fields_of(struct):
        if field.nested is not None and field.nested.__name__ not in found:
            _structs_below(field.nested, found)


def _add_classes(definition: dict[str, Any], struct: type[Struct]) -> None:
    for field in fields_of(struct):
        if field.nested is None:
            leaf = definition["properties"][field.name]
            leaf = leaf["items"] if field.many else leaf
            leaf["x-residency-class"] = class_of(field)
            subject = _subject(field)
            if subject:
                leaf["x-residency-subject"] = subject


def _subject(field: Field) -> str | None:
    return next((mark.subject for mark in field.metadata if isinstance(mark, Class)), None)
