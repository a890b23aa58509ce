"""JSON Schema of mapping files and of pack.toml, for completion in editors; built from what the compiler itself reads.

What passes the schema may still be refused by the compiler (expressions, paths, zones); what compiles always passes.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from runtime.canonical.registry import TYPES
from runtime.canonical.schema import DIALECT
from runtime.mapping import document as language
from runtime.mapping.decode import FORMATS
from runtime.mapping.manifest import MESSAGES_MAX, Manifest
from runtime.mapping.targets import FieldTarget, Target, fields_of

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_PATH: Schema = {"type": "string", "minLength": 1}
_PATHS: Schema = {"anyOf": [_PATH, {"type": "array", "items": _PATH, "minItems": 1}]}
_JOINED: Schema = {"type": "array", "items": _PATH, "minItems": 1}
_PLAIN: Schema = {"not": {"type": ["object", "array", "null"]}}
_MESSAGES: Schema = {"type": "array", "items": _TEXT, "minItems": 1}
_OPTION: Schema = {"type": "string", "pattern": r"^\$\{[a-z_]{1,40}\}$"}
"""`${zone}` in a mapping of a pack, filled in before anything else is looked at."""
_QUERY: Schema = {"type": "object", "properties": {"jmespath": _TEXT}, "additionalProperties": False}
_EACH: Schema = {"anyOf": [*_PATHS["anyOf"], _QUERY]}


def mapping_schema() -> Schema:
    """JSON Schema 2020-12 of a mapping file."""
    defs: dict[str, Schema] = {}
    branches = [
        {
            "if": {"properties": {"type": {"const": name}}},
            "then": {"properties": {"fields": _struct(entry.struct, defs)}},
        }
        for name, entry in TYPES.items()
    ]
    output = {**_closed(_OUTPUT_KEYS, language.OUTPUT_KEYS, required=["type", "fields"]), "allOf": branches}
    ignore = _closed(_IGNORE_KEYS, language.IGNORE_KEYS, required=["reason"])
    top = _closed(_TOP_KEYS, language.TOP_KEYS, required=["mapping", "version"])
    return {
        "$schema": DIALECT,
        "$id": "urn:entrepot:schema:mapping",
        "title": "A mapping of Entrepot",
        **top,
        "$defs": {"output": output, "ignore": ignore, "convert": _convert(), **dict(sorted(defs.items()))},
    }


def pack_schema() -> Schema:
    """JSON Schema 2020-12 of pack.toml."""
    plain: Schema = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Manifest)))
    messages = plain["$defs"]["Manifest"]["properties"]["messages"]
    messages |= {"minItems": 1, "maxItems": MESSAGES_MAX}
    # pack.toml states a value or leaves the key out: TOML has no null.
    return {"$schema": DIALECT, "$id": "urn:entrepot:schema:pack", "title": "A pack of Entrepot", **plain}


_TOP_KEYS: dict[str, Schema] = {
    "mapping": {**_TEXT, "description": "The name of the mapping."},
    "version": {"type": ["integer", "string"], "description": "Raise it with each change."},
    "format": {"anyOf": [{"enum": list(FORMATS)}, _OPTION]},
    "xml": msgspec.json.schema(language.XmlRules)["$defs"]["XmlRules"],
    "zone": {**_TEXT, "description": "Of times that come without an offset, such as Europe/Berlin."},
    "key": {**_PATHS, "description": "The message's own idempotency key."},
    "headers": {"type": "array", "items": _TEXT, "maxItems": language.HEADERS_MAX},
    "tables": {"type": "object", "additionalProperties": {"type": "object"}},
    "outputs": {"type": "array", "items": {"$ref": "#/$defs/output"}, "maxItems": language.OUTPUTS_MAX},
    "ignore": {"type": "array", "items": {"$ref": "#/$defs/ignore"}},
    "unmatched": {"anyOf": [{"enum": list(language.UNMATCHED)}, _OPTION]},
    "description": {},
}
_OUTPUT_KEYS: dict[str, Schema] = {
    "type": {"enum": list(TYPES), "description": "What the event is; `entrepot schema` lists the types."},
    "messages": _MESSAGES,
    "when": {**_TEXT, "description": "An expression: for which messages this output is."},
    "each": _EACH,
    "where": {**_TEXT, "description": "An expression: for which elements of each."},
    "only_first": {"type": "boolean"},
    "partition_key": _PATHS,
    "once": _PATHS,
    "fields": {"type": "object"},
    "description": {},
}
_IGNORE_KEYS: dict[str, Schema] = {"messages": _MESSAGES, "when": _TEXT, "reason": _TEXT}
_RULE_KEYS: dict[str, Schema] = {
    "path": _PATH,
    "first": {"type": "array", "items": {"anyOf": [_PATH, _JOINED]}, "minItems": 1},
    "join": {"type": "array", "items": _PATH, "minItems": 1},
    "const": _PLAIN,
    "jmespath": _TEXT,
    "with": _TEXT,
    "convert": {"$ref": "#/$defs/convert"},
    "format": {**_TEXT, "description": "Of one time or date, such as %m/%d/%Y."},
    "zone": _TEXT,
    "table": {**_TEXT, "description": "The table that the code is looked up in."},
    "default": _PLAIN,
    "missing": {"anyOf": [{"enum": list(language.MISSING)}, _OPTION]},
    "unknown": {"anyOf": [{"enum": list(language.UNKNOWN)}, _OPTION]},
    "each": _EACH,
    "where": _TEXT,
    "fields": {"type": "object"},
}


def _closed(keys: dict[str, Schema], known: frozenset[str], *, required: list[str]) -> Schema:
    """An object of exactly the keys that the compiler knows."""
    assert keys.keys() == known, f"the schema of mappings knows other keys than the compiler: {keys.keys() ^ known}"
    return {"type": "object", "properties": keys, "required": required, "additionalProperties": False}


def _convert() -> Schema:
    one = {"anyOf": [{"enum": sorted(language.CONVERTER_NAMES)}, _OPTION]}
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _struct(struct: type[Struct], defs: dict[str, Schema]) -> Schema:
    """Rules for the fields of a canonical struct, under $defs once."""
    name = f"fields-of-{struct.__name__}"
    if name not in defs:
        defs[name] = {}
        fields = fields_of(struct)
        defs[name] = {
            "type": "object",
            "properties": {field.name: _rule(field, defs) for field in fields.values()},
            "required": [field.name for field in fields.values() if field.required],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def _rule(field: FieldTarget, defs: dict[str, Schema]) -> Schema:
    target = field.target
    element = target.element if target.kind == "list" and target.element is not None else target
    keys = dict(_RULE_KEYS)
    if element.struct is not None:
        keys["fields"] = _struct(element.struct, defs)
    if target.choices:
        keys["const"] = {"anyOf": [{"enum": list(target.choices)}, _OPTION]}
    rule = _closed(keys, language.FIELD_KEYS, required=_needed(target))
    return {**({} if element.struct or target.kind == "list" else {"description": target.kind}), "anyOf": [_PATH, rule]}


def _needed(target: Target) -> list[str]:
    """An option of a pack may still take the whole rule's place, so only what it never replaces is required."""
    return ["fields"] if target.struct is not None else ["each"] if target.kind == "list" else []
