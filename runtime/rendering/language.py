"""JSON Schema of rendering files, for completion in editors; built from the keys that the compiler itself knows.

What passes the schema may still be refused by the compiler (expressions, paths, zones); what compiles always passes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.canonical.schema import DIALECT
from runtime.rendering.compose import MISSING, RULE_KEYS, UNKNOWN
from runtime.rendering.converters import PLAIN, instants
from runtime.rendering.document import TOP_KEYS
from runtime.rendering.shapes import FORMATS, CsvShape, XmlShape

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_PLAIN: Schema = {"not": {"type": ["object", "array", "null"]}}
_FIELDS: Schema = {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/rule"}}
_EACH: Schema = {**_TEXT, "description": "The path of a list: once for each of its elements."}
_WHERE: Schema = {**_TEXT, "description": "An expression: for which elements of each."}
_ZONE: Schema = {**_TEXT, "description": "Of times that are written, such as Europe/Berlin; UTC without it."}


def rendering_schema() -> Schema:
    """JSON Schema 2020-12 of a rendering file."""
    top = _closed(_top(), TOP_KEYS, required=["rendering", "version", "fields"])
    rule = {"anyOf": [{**_TEXT, "description": "A path, such as data.order_id."}, _closed(_rule(), RULE_KEYS)]}
    title = "A rendering of Entrepot"
    return {"$schema": DIALECT, "$id": "urn:entrepot:schema:rendering", "title": title, **top, "$defs": {"rule": rule}}


def _closed(keys: dict[str, Schema], known: tuple[str, ...], *, required: list[str] | None = None) -> Schema:
    """An object of exactly the keys that the compiler knows."""
    assert keys.keys() == set(known), f"the schema of renderings knows other keys: {keys.keys() ^ set(known)}"
    return {"type": "object", "properties": keys, "required": required or [], "additionalProperties": False}


def _top() -> dict[str, Schema]:
    return {
        "rendering": {**_TEXT, "description": "The name of the rendering."},
        "version": {"type": ["integer", "string"], "description": "Raise it with each change."},
        "format": {"enum": list(FORMATS)},
        "zone": _ZONE,
        "tables": {"type": "object", "additionalProperties": {"type": "object"}},
        "each": _EACH,
        "where": _WHERE,
        "fields": _FIELDS,
        "csv": _shape(CsvShape),
        "xml": _shape(XmlShape),
        "description": {},
    }


def _rule() -> dict[str, Schema]:
    converter: Schema = {"enum": sorted({*PLAIN, *instants(None)})}
    return {
        "path": _TEXT,
        "first": {"type": "array", "items": _TEXT, "minItems": 1},
        "const": _PLAIN,
        "text": {"type": "string", "description": "A text with {expressions} in it."},
        "value": {**_TEXT, "description": "An expression."},
        "convert": {"anyOf": [converter, {"type": "array", "items": converter}]},
        "format": {**_TEXT, "description": "Of a time or date, such as %d.%m.%Y."},
        "zone": _ZONE,
        "places": {"type": "integer", "minimum": 0, "maximum": 20, "description": "Exactly so many decimals."},
        "digits": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10_000,
            "description": "Zeros in front up to this width.",
        },
        "characters_max": {"type": "integer", "minimum": 1, "maximum": 10_000},
        "table": {**_TEXT, "description": "The table that the code is looked up in."},
        "reverse": {"type": "boolean", "description": "Read the table from right to left."},
        "unknown": {"enum": list(UNKNOWN)},
        "default": _PLAIN,
        "missing": {"enum": list(MISSING)},
        "each": _EACH,
        "where": _WHERE,
        "fields": _FIELDS,
    }


def _shape(kind: type[msgspec.Struct]) -> Schema:
    found: Schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    return found
