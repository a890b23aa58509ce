"""What a message that could not be translated would have been keyed by: known, or honestly unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.envelope import Event
from runtime.errors import Untranslatable
from tests.support.mappings import EXAMPLES, compiled, envelope, example, translate

KINDS = """
[[ignore]]
when = "kind == 'ping'"
reason = "a sign of life"

[[outputs]]
type = "stock.snapshot"
when = "kind == 'stock'"
fields = { sku = "article", on_hand = "count", occurred_at = { const = "2026-01-02T03:04:05Z" } }

[[outputs]]
type = "stock.adjusted"
when = "kind == 'move'"
each = "lines"
fields = { sku = "article", change = "count", occurred_at = { const = "2026-01-02T03:04:05Z" } }

[[outputs]]
type = "stock.adjusted"
when = "kind == 'fix' or both"
fields = { sku = { path = "article", convert = "upper" }, change = "count", occurred_at = { const = "2026-01-02T03:04:05Z" } }

[[outputs]]
type = "stock.adjusted"
when = "kind == 'loss' or both"
partition_key = "place"
fields = { sku = "article", change = "count", occurred_at = { const = "2026-01-02T03:04:05Z" } }
"""


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ({"kind": "stock", "article": "A", "count": "many"}, "A"),
        ({"kind": "stock", "article": "A", "count": "many", "place": "P"}, "A"),
        ({"kind": "loss", "article": "A", "count": "many", "place": "P"}, "P"),
        ({"kind": "stock", "count": 1}, None),
        ({"kind": "move", "article": "A", "lines": [{"article": "A", "count": "many"}]}, None),
        ({"kind": "fix", "article": "a", "count": "many"}, None),
        ({"kind": "stock", "both": True, "article": "A", "count": "many", "place": "P"}, None),
        ({"kind": "stcok", "article": "A", "count": 1}, None),
        ({"article": "A", "count": 1}, None),
        ({"kind": "ping", "article": "A"}, None),
        (["stock", "A"], None),
        (b'{"kind": "stock", "article": "A"', None),
        (b"[" * 100_000, None),
    ],
)
def test_the_key_is_known_where_the_kind_of_message_can_be_told(message: Any, key: str | None) -> None:
    assert compiled(KINDS).partition_key(envelope(message)) == key


@pytest.mark.parametrize("file", ["acme-wms.toml"])
def test_a_known_key_is_the_one_that_all_events_of_the_message_have(file: str) -> None:
    mapping = example(file)
    known = 0
    for sample in sorted(Path(EXAMPLES, "samples", "wms").glob("*.json")):
        said = mapping.partition_key(envelope(sample.read_bytes()))
        try:
            found = {e.partition_key for e in translate(mapping, sample.read_bytes()) if isinstance(e, Event)}
        except Untranslatable:
            continue
        if said is not None:
            known += 1
            assert found <= {said}, sample.name
    assert known >= 3
