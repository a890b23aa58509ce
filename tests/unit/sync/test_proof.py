"""What stands at a hub may be anybody's: no message, however made, stops the reader or passes for a record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from runtime import record
from runtime.ports import HubRecord
from sync import proof
from sync.verify import CheckpointCheck, LaneCheck
from tests.support.lanes import REGION, seal
from tests.support.statements import PUBLIC

FIRST = seal(record.GENESIS, 1)
STORED = HubRecord(
    seq=1,
    subject=FIRST.subject,
    headers=record.parse_header_block(FIRST.headers) | {record.CHAIN_HEADER: FIRST.chain.hex()},
    data=FIRST.data,
    time="",
)
HOSTILE = {
    "a header that is no ASCII": {"ce-note": "é"},
    "a header name that is no ASCII": {"é": "x"},
    "an epoch above 64 bits": {record.EPOCH_HEADER: "9" * 30},
    "an epoch longer than Python converts": {record.EPOCH_HEADER: "9" * 5_000},
    "an epoch in digits of another script": {record.EPOCH_HEADER: "²"},
    "no epoch": {record.EPOCH_HEADER: ""},
    "no ASCII and no chain": {"ce-note": "é", record.CHAIN_HEADER: ""},
    "a chain that is no hash": {record.CHAIN_HEADER: "zz"},
    "a chain of another length": {record.CHAIN_HEADER: "00"},
}


def problems(stored: HubRecord) -> list[str]:
    check = LaneCheck(REGION, "realtime", PUBLIC, first=1, chains_wanted=frozenset())
    check.add(stored)
    return check.verdict(1).problems


def test_the_chain_over_a_stored_record_is_the_sealed_one() -> None:
    assert proof.follow(record.GENESIS, STORED) == FIRST.chain
    assert problems(STORED) == []


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_message_that_cannot_be_a_record_is_named_and_stops_nothing(change: dict[str, str]) -> None:
    assert any("is not what was sealed" in said for said in problems(replace(STORED, headers=STORED.headers | change)))


@given(headers=st.dictionaries(st.text(), st.text()), subject=st.text(), data=st.binary())
def test_no_message_passes_for_a_record_or_raises(headers: dict[str, str], subject: str, data: bytes) -> None:
    rubbish = HubRecord(seq=1, subject=subject, headers=headers, data=data, time="")
    assert proof.follow(record.GENESIS, rubbish) != FIRST.chain
    assert problems(rubbish)


@given(data=st.binary() | st.text().map(str.encode))
def test_no_rubbish_passes_for_a_checkpoint_or_raises(data: bytes) -> None:
    check = CheckpointCheck(REGION, PUBLIC, complete=True)
    check.add(HubRecord(seq=1, subject="cp.eu-de", headers={}, data=data, time=""))
    assert len(check.problems) == 1


# ---------------------------------------------------------------- a start behind aged-out records


def after_aging(*, tampered: bool, known: bool) -> list[str]:
    """Records 2 and 3 are left; record 2 may be changed, its chain before may be known from a checkpoint."""
    second = seal(FIRST.chain, 2)
    third = seal(second.chain, 3)
    before = FIRST.chain if known else b""
    check = LaneCheck(REGION, "realtime", PUBLIC, first=2, chains_wanted=frozenset(), before=before)
    for row in (second, third):
        headers = record.parse_header_block(row.headers) | {record.CHAIN_HEADER: row.chain.hex()}
        data = b"changed" if tampered and row is second else row.data
        check.add(HubRecord(seq=row.seq, subject=row.subject, headers=headers, data=data, time=""))
    return check.verdict(3).problems


def test_the_first_record_left_is_proven_where_a_checkpoint_names_the_chain_before_it() -> None:
    assert after_aging(tampered=False, known=True) == []
    assert after_aging(tampered=True, known=True) == ["record 2 is not what was sealed: its chain hash differs"]


def test_without_such_a_checkpoint_the_first_record_left_is_believed() -> None:
    """The limit that docs/record-format.md names."""
    assert after_aging(tampered=True, known=False) == []


def test_a_first_record_left_without_a_chain_hash_is_not_believed() -> None:
    second = seal(FIRST.chain, 2)
    check = LaneCheck(REGION, "realtime", PUBLIC, first=2, chains_wanted=frozenset())
    headers = record.parse_header_block(second.headers)
    check.add(HubRecord(seq=2, subject=second.subject, headers=headers, data=second.data, time=""))
    assert check.verdict(2).problems == ["record 2 carries no chain hash"]
