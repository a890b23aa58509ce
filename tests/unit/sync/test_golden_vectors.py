"""docs/record-format.md is true: its vectors are recomputed, its tables name what the code has."""

from __future__ import annotations

import base64
import hmac
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from runtime import record
from runtime.envelope import Checkpoint, EpochRecord, LaneStatement, Sealed, Signed
from runtime.identity import Identity
from runtime.ports import HubRecord
from sync import wire
from sync.reconcile import MENDABLE
from sync.verify import LaneCheck, signed_statement

TEXT = Path(__file__, "../../../../docs/record-format.md").resolve().read_text()
BLOCKS = re.findall(r"^```json\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
VECTORS: dict[str, Any] = json.loads(BLOCKS[0])
RECORDS: list[dict[str, Any]] = VECTORS["records"]
STATEMENTS: list[dict[str, Any]] = VECTORS["statements"]
KEY = bytes.fromhex(VECTORS["key"]["public"])


def documented_fields(struct: str) -> set[str]:
    """The names in the first column of the table headed `field of <struct>`."""
    table = TEXT.split(f"| field of `{struct}` |", 1)[1].split("\n\n", 1)[0]
    return {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_there_is_one_block_of_vectors() -> None:
    assert len(BLOCKS) == 1


def test_names_of_streams_and_subjects_are_those_of_the_vectors() -> None:
    assert VECTORS["names"] == {
        "stream": record.stream_name("eu-de", "realtime"),
        "checkpoints_stream": record.stream_name("eu-de", record.CHECKPOINTS_LANE),
        "listens": record.lane_subjects("eu-de", "realtime"),
        "checkpoints_subject": record.checkpoint_subject("eu-de"),
    }


@pytest.mark.parametrize("vector", VECTORS["encoded_values"], ids=lambda v: v["encoded"])
def test_header_values_are_encoded_as_in_the_vectors(vector: dict[str, str]) -> None:
    assert record.encode_value(vector["text"]) == vector["encoded"]


@pytest.mark.parametrize("vector", RECORDS, ids=lambda v: v["subject"])
def test_the_header_block_is_that_of_the_vectors(vector: dict[str, Any]) -> None:
    block = record.header_block(vector["headers"])
    assert block.decode() == vector["header_block"]
    assert record.parse_header_block(block) == vector["headers"]


@pytest.mark.parametrize("vector", RECORDS, ids=lambda v: v["subject"])
def test_the_chain_is_that_of_the_vectors_and_of_the_formula_in_plain_steps(vector: dict[str, Any]) -> None:
    subject, block, data = (vector[k].encode() for k in ("subject", "header_block", "data"))
    previous = bytes.fromhex(vector["previous"])
    plain = sha256(previous + vector["epoch"].to_bytes(8, "big") + vector["seq"].to_bytes(8, "big"))
    for part in (subject, block, data):
        plain.update(len(part).to_bytes(4, "big") + part)
    chain = record.chain(previous, vector["epoch"], vector["seq"], subject, block, data)
    assert chain.hex() == plain.hexdigest() == vector["chain"]


def test_the_vectors_continue_each_other_from_the_beginning() -> None:
    ends = [record.GENESIS.hex(), *(vector["chain"] for vector in RECORDS)]
    assert [vector["previous"] for vector in RECORDS] == ends[:-1]


def test_the_server_s_headers_are_in_no_header_block() -> None:
    stored = RECORDS[0]["headers"] | {
        "nats-expected-last-sequence": "0",
        "Nats-Msg-Id": "x",
        record.CHAIN_HEADER: RECORDS[0]["chain"],
    }
    assert record.chained_headers(stored).decode() == RECORDS[0]["header_block"]


def test_the_reader_finds_nothing_wrong_with_the_vectors() -> None:
    check = LaneCheck("eu-de", "realtime", KEY, first=1, chains_wanted=frozenset({3}))
    for vector in RECORDS:
        headers = vector["headers"] | {record.CHAIN_HEADER: vector["chain"]}
        data = vector["data"].encode()
        check.add(HubRecord(seq=vector["seq"], subject=vector["subject"], headers=headers, data=data, time=""))
    verdict = check.verdict(3)
    assert (verdict.problems, verdict.withheld, verdict.epochs) == ([], 1, [1, 2])
    assert check.chains == {3: RECORDS[2]["chain"]}


def test_the_stub_carries_the_commitment_of_the_vectors() -> None:
    vector = VECTORS["commitment"]
    message = bytes.fromhex(vector["correlation"]) + vector["canonical"].encode()
    commitment = hmac.digest(bytes.fromhex(vector["key"]), message, "sha256").hex()
    assert commitment == vector["commitment"] == json.loads(RECORDS[1]["data"])["commitment"]


@pytest.mark.parametrize("vector", STATEMENTS, ids=lambda v: v["kind"])
def test_a_statement_is_signed_as_in_the_vectors(vector: dict[str, Any]) -> None:
    kind, statement = vector["kind"], vector["statement"]
    assert record.signing_input(kind, statement).decode() == vector["signing_input"]
    identity = Identity(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["key"]["seed"])), b"")
    assert (identity.public_key, identity.key_id) == (KEY, VECTORS["key"]["key_id"])
    assert identity.sign(kind, statement).decode() == vector["body"]
    assert signed_statement(kind, vector["body"].encode(), KEY) == statement
    signed = msgspec.json.decode(vector["body"], type=Signed)
    assert len(base64.b64decode(signed.signature, validate=True)) == 64


def test_a_statement_means_what_the_structs_say() -> None:
    epoch, checkpoint = (vector["statement"] for vector in STATEMENTS)
    again = [msgspec.json.decode(epoch, type=EpochRecord), msgspec.json.decode(checkpoint, type=Checkpoint)]
    assert [msgspec.json.encode(statement).decode() for statement in again] == [epoch, checkpoint]
    assert sha256(checkpoint.encode()).hexdigest() == STATEMENTS[1]["digest"]


@pytest.mark.parametrize("struct", [Signed, EpochRecord, Checkpoint])
def test_every_field_of_a_statement_is_documented_and_no_other(struct: type[Struct]) -> None:
    inside = set(LaneStatement.__struct_fields__) | {
        "accepted", "delivered", "withheld", "dead_lettered", "ignored", "expired", "pending",
    }  # fmt: skip
    assert documented_fields(struct.__name__) - inside == set(struct.__struct_fields__) - inside


@pytest.mark.parametrize(
    "kind", ["hub_recreated", "wrong_stream", "stale_self", "horizon", "unreadable", "diverged", "policy"]
)
def test_every_fence_is_documented(kind: str) -> None:
    assert f"`{kind}`" in TEXT.split("## Reconcile", 1)[1]


def test_the_headers_of_the_vectors_are_the_documented_ones() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| .* \| (yes|maybe|no) \| (yes|no) \| (yes|no) \|$", TEXT, re.MULTILINE)
    for column, vector in enumerate(RECORDS, 1):
        always = {row[0] for row in rows if row[column] == "yes"} - {record.CHAIN_HEADER}
        maybe = {row[0] for row in rows if row[column] == "maybe"}
        assert always <= vector["headers"].keys() <= always | maybe, vector["subject"]


@pytest.mark.parametrize("vector", RECORDS, ids=lambda v: v["subject"])
def test_the_header_block_survives_the_wire(vector: dict[str, Any]) -> None:
    block, chain = vector["header_block"].encode(), bytes.fromhex(vector["chain"])
    row = Sealed(seq=vector["seq"], epoch=1, subject=vector["subject"], headers=block, data=b"", chain=chain)
    frame = wire.single_frames([row], b"inbox.a", 1)
    stored = wire.parse_headers(frame[frame.index(b"NATS/1.0") :])
    assert stored[record.CHAIN_HEADER] == vector["chain"]
    assert record.chained_headers(stored) == block


def test_a_statement_of_one_kind_is_no_statement_of_another() -> None:
    with pytest.raises(ValueError, match="false signature"):
        signed_statement("epoch", STATEMENTS[1]["body"].encode(), KEY)


def test_the_document_names_every_fence_that_ends_by_itself() -> None:
    sentence = next(line for line in TEXT.splitlines() if "end by themselves" in line)
    assert set(re.findall(r"`(\w+)`", sentence)) == MENDABLE
