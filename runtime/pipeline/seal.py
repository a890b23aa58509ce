"""Clears and seals in one step: a canonical event goes in, the exact bytes that will stand at the hub come out.

Pure: no journal, no clock. The format is `runtime.record`'s; the decision is `runtime.clearance`'s.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from hashlib import sha256

import msgspec
from msgspec import Struct

from runtime import record
from runtime.canonical.registry import TYPES
from runtime.clearance import Clearance, Disposition, Withheld
from runtime.journal.events import EventTuple
from runtime.journal.outbox import RELEASED, WITHHELD

_PLAIN = re.compile(r"[A-Za-z0-9_.:+/@#-]+").fullmatch


class SealedEvent(Struct, frozen=True):
    """One event as it leaves: a released projection or a stub."""

    kind: int
    subject: str
    headers: bytes
    data: bytes
    chain: bytes
    disposition: Disposition


class Sealer:
    """Seals events of one region under one policy. Header text that repeats is built once per type and source."""

    def __init__(
        self,
        region: str,
        clearance: Clearance,
        commitment_key: bytes,
        name: Callable[[int], str],
    ) -> None:
        """`name` turns the stored numbers of types and sources back into names."""
        self.clearance = clearance
        self._region = region
        self._key = commitment_key
        self._name = name
        self._types: dict[tuple[str, int], _TypeText] = {}
        self._sources: dict[int, str] = {}
        self._stub_head = "ce-datacontenttype:application/json\nce-id:"
        self._stub_tail = (
            f"\nce-source:/entrepot/{region}\nce-specversion:1.0\n"
            f"ce-type:{record.TYPE_PREFIX}{record.WITHHELD}.v1\nentrepot-epoch:"
        )

    def seal(self, lane: str, previous: bytes, epoch: int, seq: int, event: EventTuple) -> SealedEvent:
        """Clear one event under today's policy and give it its place in the lane's chain."""
        text = self._type(lane, event[5])
        cleared = self.clearance.clear(text.name, event[10])
        origin = f"{event[3]}.{event[1]}.{event[2]}"
        if isinstance(cleared, Withheld):
            kind, subject = WITHHELD, text.stub_subject
            headers = (
                f"{self._stub_head}{origin}{self._stub_tail}{epoch}\nentrepot-origin:{origin}\nentrepot-seq:{seq}\n"
            )
            data = b'{"rule":%s,"commitment":"%s"}' % (msgspec.json.encode(cleared.rule), self.commitment(event))
        else:
            kind, subject, data = RELEASED, text.subject, cleared.data
            # Sorted by name, as `record.header_block` would; built as one text because it is the hottest line there is.
            headers = (
                f"ce-correlationid:{event[8].hex()}{text.schema}{origin}{self._source(event[6])}"
                f"{_header('ce-subject', cleared.subject)}{_header('ce-time', cleared.time)}{text.type}{epoch}"
                f"{chr(10) + 'entrepot-late:true' if event[4] else ''}"
                f"\nentrepot-origin:{origin}\nentrepot-seq:{seq}\ntraceparent:{event[9] or _own_trace(event[8])}\n"
            )
        block = headers.encode()
        chain = record.chain(previous, epoch, seq, subject.encode(), block, data)
        return SealedEvent(kind, subject, block, data, chain, cleared.disposition)

    def commitment(self, event: EventTuple) -> bytes:
        """HMAC-SHA256 (hex) under a key that stays in the region: proves later what was withheld, tells nothing now."""
        return hmac.digest(self._key, event[8] + event[10], sha256).hex().encode()

    def _type(self, lane: str, type_id: int) -> _TypeText:
        known = self._types.get((lane, type_id))
        if known is None:
            known = self._types[(lane, type_id)] = _type_text(self._region, lane, self._name(type_id))
        return known

    def _source(self, source_id: int) -> str:
        known = self._sources.get(source_id)
        if known is None:
            name = self._name(source_id)
            known = self._sources[source_id] = f"\nce-source:/entrepot/{self._region}/{name}\nce-specversion:1.0"
        return known


class _TypeText(Struct, frozen=True):
    name: str
    subject: str
    stub_subject: str
    schema: str
    type: str


def _type_text(region: str, lane: str, name: str) -> _TypeText:
    canonical = TYPES[name]
    return _TypeText(
        name=name,
        subject=record.event_subject(region, lane, name),
        stub_subject=record.event_subject(region, lane, record.WITHHELD),
        schema=f"\nce-datacontenttype:application/json\nce-dataschema:urn:entrepot:{name}:v{canonical.version}\nce-id:",
        type=f"\nce-type:{canonical.ce_type}\nentrepot-epoch:",
    )


def _header(name: str, value: str | None) -> str:
    if value is None:
        return ""
    return f"\n{name}:{value if _PLAIN(value) else record.encode_value(value)}"


def _own_trace(correlation: bytes) -> str:
    text = correlation.hex()
    return f"00-{text}-{text[:16]}-01"
