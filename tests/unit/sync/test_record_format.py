"""docs/record-format.md cannot drift: its golden vectors are recomputed with the product's code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime import record
from runtime.envelope import Checkpoint, EpochRecord, Sealed
from sync import wire
from sync.reconcile import MENDABLE
from sync.verify import signed_statement

DOCUMENT = (Path(__file__).parents[3] / "docs" / "record-format.md").read_text()


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.split("```json\n")[1].split("```")[0])
    return found


def test_the_chain_of_each_golden_record_is_the_one_in_the_document(vectors: dict[str, Any]) -> None:
    chain = bytes.fromhex(vectors["genesis"])
    assert chain == record.GENESIS
    for golden in vectors["records"]:
        block = record.header_block(golden["headers"])
        chain = record.chain(
            chain, golden["epoch"], golden["seq"], golden["subject"].encode(), block, golden["data"].encode()
        )
        assert chain.hex() == golden["chain"]


def test_the_header_block_is_the_one_in_the_document(vectors: dict[str, Any]) -> None:
    assert record.header_block(vectors["records"][0]["headers"]).decode() == vectors["header_block"]


def test_the_header_block_survives_the_wire(vectors: dict[str, Any]) -> None:
    golden = vectors["records"][0]
    block, chain = vectors["header_block"].encode(), bytes.fromhex(golden["chain"])
    row = Sealed(seq=1, epoch=1, subject=golden["subject"], headers=block, data=b"", chain=chain)
    frame = wire.single_frames([row], b"inbox.a", 1)
    stored = wire.parse_headers(frame[frame.index(b"NATS/1.0") :])
    assert stored[record.CHAIN_HEADER] == golden["chain"]
    assert record.chained_headers(stored) == block


@pytest.mark.parametrize(("kind", "shape"), [("checkpoint", Checkpoint), ("epoch", EpochRecord)])
def test_the_golden_statements_are_signed_and_have_the_documented_shape(
    vectors: dict[str, Any], kind: str, shape: type[msgspec.Struct]
) -> None:
    key = bytes.fromhex(vectors["public_key"])
    statement = signed_statement(kind, json.dumps(vectors[kind]).encode(), key)
    msgspec.json.decode(statement, type=shape)
    assert set(json.loads(statement)) <= set(shape.__struct_fields__)
    unmentioned = [field for field in shape.__struct_fields__ if f"`{field}`" not in DOCUMENT]
    assert not unmentioned


def test_a_statement_of_one_kind_is_no_statement_of_another(vectors: dict[str, Any]) -> None:
    key = bytes.fromhex(vectors["public_key"])
    with pytest.raises(ValueError, match="false signature"):
        signed_statement("epoch", json.dumps(vectors["checkpoint"]).encode(), key)


def test_the_table_names_every_fence_that_ends_by_itself() -> None:
    sentence = next(line for line in DOCUMENT.splitlines() if "end by themselves" in line)
    assert set(re.findall(r"`(\w+)`", sentence)) == MENDABLE
