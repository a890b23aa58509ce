"""The AsyncAPI 3.1 document of what stands at the hub: a channel for each lane, a message for each canonical type. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from runtime import record
from runtime.canonical.registry import TYPES, CanonicalType
from runtime.envelope import Checkpoint, EpochRecord, Signed

Document = dict[str, Any]
_SCHEMA = "#/components/schemas/{name}"
_HEX = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_NUMBER = {"type": "string", "pattern": "^[0-9]+$"}
_ORIGIN = {
    "type": "string",
    "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$",
    "description": "Epoch, intake sequence and output of the fact: the same for ever.",
}
_ALWAYS: Document = {
    "ce-id": _ORIGIN,
    "ce-source": {"type": "string", "description": "`/entrepot/<region>/<source>`, or `/entrepot/<region>`."},
    "ce-type": {"type": "string"},
    "ce-specversion": {"type": "string", "const": "1.0"},
    "ce-datacontenttype": {"type": "string", "const": "application/json"},
    record.ORIGIN_HEADER: _ORIGIN,
    record.EPOCH_HEADER: _NUMBER,
    record.SEQ_HEADER: _NUMBER | {"description": "Position in the lane, and in its stream."},
    record.CHAIN_HEADER: _HEX | {"description": "SHA-256 over this record and the one before."},
}
_OF_EVENTS: Document = {
    "ce-dataschema": {"type": "string"},
    "ce-subject": {"type": "string", "description": "The business key, if policy lets it go; percent-encoded."},
    "ce-time": {"type": "string", "description": "When it happened, if policy lets it go; percent-encoded."},
    "ce-correlationid": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "traceparent": {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
    "entrepot-late": {"type": "string", "const": "true", "description": "Told after its turn."},
}
_SOMETIMES = frozenset({"ce-subject", "ce-time", "entrepot-late"})
STUB = "withheld"
EPOCH = "epoch"
CHECKPOINT = "checkpoint"


def asyncapi(region: str | None = None, lanes: Sequence[str] = ()) -> Document:
    """The document of a region with these lanes, or without a region of any."""
    of_lane = [*TYPES, STUB, EPOCH]
    channels: Document = {}
    for lane in lanes or ["lane"]:
        channels[lane] = _lane(region, lane if lanes else None, of_lane)
    channels["checkpoints"] = _channel(
        record.checkpoint_subject(region or "{region}"), [] if region else ["region"], [CHECKPOINT],
        "Signed statements of where every lane stands, and of the books.",
    )  # fmt: skip
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": f"Entrepot, region {region}" if region else "Entrepot",
            "version": "1.0.0",
            "description": "What a region ships to the hub: CloudEvents in NATS messages (binary mode), in order, each once, "
            "bound to the one before by a hash. docs/record-format.md says how to prove it.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            f"ship-{name}": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}} for name in channels
        },
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _lane(region: str | None, lane: str | None, messages: Sequence[str]) -> Document:
    address = record.event_subject(region or "{region}", lane or "{lane}", "{event}")
    named = [name for name, known in (("region", region), ("lane", lane)) if known is None]
    says = "An ordered path to the hub: position n of its stream holds record n."
    channel = _channel(address, [*named, "event"], messages, says)
    channel["parameters"]["event"]["enum"] = [*TYPES, record.WITHHELD, record.EPOCH_RECORD]
    return channel


_PARAMETERS = {
    "region": "Id of the region.",
    "lane": "Name of the lane.",
    "event": "Short name of the type: `<domain>.<event>`.",
}


def _channel(address: str, parameters: Sequence[str], messages: Sequence[str], says: str) -> Document:
    channel: Document = {
        "address": address,
        "description": says,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }
    if parameters:
        channel["parameters"] = {name: {"description": _PARAMETERS[name]} for name in parameters}
    return channel


def _messages() -> Document:
    found = {entry.name: _event(entry) for entry in TYPES.values()}
    found[STUB] = {
        "summary": "An event that policy keeps in the region: that it was there, and what will prove it.",
        "headers": _headers(_ALWAYS, f"{record.TYPE_PREFIX}{record.WITHHELD}.v1"),
        "payload": {
            "type": "object",
            "properties": {"rule": {"type": "string"}, "commitment": _HEX},
            "required": ["rule", "commitment"],
        },
    }
    found[EPOCH] = {
        "summary": "The first record of a new epoch: a person decided to go on here. The statement is an EpochRecord.",
        "headers": _headers(_ALWAYS, f"{record.TYPE_PREFIX}{record.EPOCH_RECORD}.v1"),
        "payload": {"$ref": _SCHEMA.format(name="Signed")},
    }
    found[CHECKPOINT] = {
        "summary": "A signed account. The statement is a Checkpoint.",
        "payload": {"$ref": _SCHEMA.format(name="Signed")},
    }
    return found


def _event(entry: CanonicalType) -> Document:
    summary = " ".join((entry.struct.__doc__ or "").split())
    headers = _headers(_ALWAYS | _OF_EVENTS, entry.ce_type)
    headers["properties"]["ce-dataschema"] = {"type": "string", "const": f"urn:entrepot:{entry.name}:v{entry.version}"}
    return {
        "name": entry.ce_type,
        "title": entry.name,
        "summary": summary,
        "headers": headers,
        "payload": {"$ref": _SCHEMA.format(name=entry.struct.__name__)},
        "correlationId": {"location": "$message.header#/ce-correlationid"},
        "x-business-key": entry.key_field,
    }


def _headers(known: Document, ce_type: str) -> Document:
    properties = known | {"ce-type": {"type": "string", "const": ce_type}}
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in _SOMETIMES],
    }


def _schemas() -> Document:
    structs = [*(entry.struct for entry in TYPES.values()), Signed, Checkpoint, EpochRecord]
    _, found = msgspec.json.schema_components(structs, ref_template=_SCHEMA)
    schemas: Document = msgspec.json.decode(msgspec.json.encode(found))
    return schemas
