"""A small pack made of texts, for tests of the mechanism; the installed ones are tried in tests/packs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from runtime.envelope import Envelope, Event, Ignored
from runtime.mapping import CompiledPack, load_pack
from tests.support.mappings import ACCEPTED_US

PACK = """
pack = "probe"
title = "Probe"
version = 1
summary = "A platform for tests."
headers = ["X-Topic", "X-Delivery", "X-At"]
key = "header:x-delivery"
type = ["header:x-topic", "kind"]
unwrap = ["item", "items"]

[options.unit]
says = "The unit."
[options.sku]
says = "The key of the article."
default = "sku"
column = true

[[messages]]
name = "stock/counted"
also = ["STOCK_COUNTED"]
mapping = "stock.toml"
shape = "exists(counted)"
[[messages]]
name = "stock/moved"
mapping = "stock.toml"
shape = "exists(moved)"
[[messages]]
name = "cart/changed"
ignore = "a cart is no order"
"""
STOCK = """
mapping = "probe-stock"
version = 1
[[outputs]]
type = "stock.snapshot"
messages = ["stock/counted"]
[outputs.fields]
sku = "${sku}"
on_hand = "counted"
occurred_at = { first = ["at", "header:x-at"] }
unit = { path = "uom", convert = "unit", default = "${unit}" }
[[outputs]]
type = "stock.adjusted"
messages = ["stock/moved"]
[outputs.fields]
sku = "${sku}"
change = "moved"
occurred_at = "at"
"""
AT = "2026-03-02T08:00:00Z"


def probe(
    pack: str = PACK, *, options: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> CompiledPack:
    texts = {"pack.toml": pack, "stock.toml": STOCK, **(files or {})}

    def read(name: str) -> str:
        if name not in texts:
            raise FileNotFoundError(name)
        return texts[name]

    return load_pack(read, "probe/pack.toml", options)


def envelope(message: Any, headers: Mapping[str, str] | None = None) -> Envelope:
    return Envelope(
        source="probe",
        body=message if isinstance(message, bytes) else json.dumps(message).encode(),
        content_type="application/json",
        intake_seq=1,
        epoch=1,
        received_us=ACCEPTED_US,
        correlation_id="00" * 16,
        headers=headers or {},
    )


def translate(pack: CompiledPack, message: Any, headers: Mapping[str, str] | None = None) -> Sequence[Event | Ignored]:
    return pack.translate(envelope(message, headers))


def data(results: Sequence[Event | Ignored]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(result.data) for result in results if isinstance(result, Event)]
