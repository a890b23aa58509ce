"""Records of the hub as lines for analytics: one CloudEvent in JSON each (CloudEvents 1.0, JSON format 1.0.2). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

import orjson
from msgspec import Struct

from runtime import record
from runtime.ports import HubRecord

ATTRIBUTES = "ce-"
JSON_TYPE = "application/json"


class Filter(Struct, frozen=True, kw_only=True):
    """Which records are wanted; empty: all of them. Patterns as of a shell (`*`, `?`)."""

    regions: list[str] = []
    lanes: list[str] = []
    types: list[str] = []
    withheld: bool = False
    """Also the stubs of what stayed in its region."""

    def lane(self, region: str, lane: str) -> bool:
        """Whether anything of this lane may be wanted."""
        return _matches(self.regions, region) and _matches(self.lanes, lane)

    def wants(self, region: str, lane: str, found: HubRecord) -> bool:
        """Whether this record is."""
        head = record.event_subject(region, lane, "")
        name = found.subject.removeprefix(head)
        if name == record.EPOCH_RECORD or (name == record.WITHHELD and not self.withheld):
            return False
        return _matches(self.types, unquote(found.headers.get("ce-type", "")))


def _matches(patterns: list[str], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


def line(region: str, lane: str, found: HubRecord) -> bytes:
    """One line with its line feed. The place in the stream stands in extension attributes."""
    headers = found.headers
    event: dict[str, Any] = {
        name.removeprefix(ATTRIBUTES): unquote(value) for name, value in headers.items() if name.startswith(ATTRIBUTES)
    }
    event |= _own(headers)
    event |= {"entrepotregion": region, "entrepotlane": lane, "entrepotseq": found.seq, "recordedtime": found.time}
    event |= _data(event, found.data)
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def _own(headers: Mapping[str, str]) -> dict[str, Any]:
    kept = {"traceparent": headers.get("traceparent"), "entrepotorigin": headers.get(record.ORIGIN_HEADER)}
    return {name: value for name, value in kept.items() if value is not None}


def _data(event: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    if not data:
        return {}
    if event.get("datacontenttype", JSON_TYPE) == JSON_TYPE:
        try:
            return {"data": orjson.loads(data)}
        except orjson.JSONDecodeError:
            pass
    return {"data_base64": _base64(data)}


def _base64(data: bytes) -> str:
    from base64 import b64encode

    return b64encode(data).decode()
