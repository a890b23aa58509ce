"""Compiles small mappings and runs single messages through them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from runtime.envelope import Envelope, Event, Ignored
from runtime.mapping import CompiledMapping, load

EXAMPLES = Path(__file__).parents[2] / "examples" / "eu-de"
HEAD = 'mapping = "probe"\nversion = 1\n'
ACCEPTED_US = 1_772_438_400_000_000
"""2026-03-02T08:00:00Z"""


def compiled(text: str, files: dict[str, str] | None = None, *, head: str = HEAD) -> CompiledMapping:
    return load(head + text, "probe.toml", (files or {}).__getitem__)


def example(name: str) -> CompiledMapping:
    folder = EXAMPLES / "mappings"
    return load((folder / name).read_text(), name, lambda file: (folder / file).read_text())


def envelope(message: Any, content_type: str = "application/json") -> Envelope:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return Envelope(
        source="probe",
        body=body,
        content_type=content_type,
        intake_seq=1,
        epoch=1,
        received_us=ACCEPTED_US,
        correlation_id="c-1",
    )


def translate(mapping: CompiledMapping, message: Any) -> list[Event | Ignored]:
    return list(mapping.translate(envelope(message)))


def plain(result: Event | Ignored) -> dict[str, Any]:
    assert isinstance(result, Event)
    found: dict[str, Any] = msgspec.to_builtins(result.data)
    return found


def only(mapping: CompiledMapping, message: Any) -> dict[str, Any]:
    """The data of the one event that this message becomes."""
    (result,) = translate(mapping, message)
    return plain(result)


def snapshot(fields: str = "", *, top: str = "", output: str = "") -> CompiledMapping:
    """A stock.snapshot mapping with its required fields and some more lines."""
    return compiled(
        f'{top}\n[[outputs]]\ntype = "stock.snapshot"\n{output}\n[outputs.fields]\n'
        f'sku = "sku"\non_hand = "qty"\noccurred_at = "at"\n{fields}\n'
    )


STOCK = {"sku": "A-1", "qty": 5, "at": "2026-03-02T08:00:00Z"}
