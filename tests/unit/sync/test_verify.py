"""`verify` from records alone: what was done to a stream or to the checkpoints, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from runtime import record
from runtime.envelope import Sealed
from runtime.ports import HubRecord
from sync.verify import PROBLEMS_MAX, CheckpointCheck, LaneCheck
from tests.support.lanes import REGION, seal, with_origins
from tests.support.statements import OTHER, PUBLIC, Notary, epoch_row


def sealed(count: int) -> list[Sealed]:
    rows: list[Sealed] = []
    for seq in range(1, count + 1):
        rows.append(seal(rows[-1].chain if rows else record.GENESIS, seq))
    return rows


def at_hub(rows: Sequence[Sealed]) -> list[HubRecord]:
    return [
        HubRecord(
            seq=row.seq,
            subject=row.subject,
            headers=record.parse_header_block(row.headers) | {record.CHAIN_HEADER: row.chain.hex()},
            data=row.data,
            time="",
        )
        for row in rows
    ]


def problems(stored: Sequence[HubRecord], *, first: int = 1, last: int | None = None) -> list[str]:
    check = LaneCheck(REGION, "realtime", PUBLIC, first=first, chains_wanted=frozenset())
    for found in stored:
        check.add(found)
    return check.verdict(stored[-1].seq if last is None else last).problems


def test_an_untouched_lane_has_no_problem() -> None:
    assert problems(at_hub(sealed(20))) == []


def test_a_lane_whose_old_records_aged_out_is_checked_from_the_first_that_is_left() -> None:
    assert problems(at_hub(sealed(20))[10:], first=11) == []


def removed(stored: list[HubRecord]) -> list[HubRecord]:
    return stored[:4] + stored[5:]


def changed(stored: list[HubRecord]) -> list[HubRecord]:
    stored[4] = replace(stored[4], data=b"{}")
    return stored


def header_changed(stored: list[HubRecord]) -> list[HubRecord]:
    stored[4] = replace(stored[4], headers=stored[4].headers | {"ce-type": "other"})
    return stored


def header_added(stored: list[HubRecord]) -> list[HubRecord]:
    stored[4] = replace(stored[4], headers=stored[4].headers | {"ce-extra": "x"})
    return stored


def subject_changed(stored: list[HubRecord]) -> list[HubRecord]:
    stored[4] = replace(stored[4], subject="ev.eu-de.realtime.stock.counted")
    return stored


def reordered(stored: list[HubRecord]) -> list[HubRecord]:
    stored[4], stored[5] = replace(stored[5], seq=5), replace(stored[4], seq=6)
    return stored


def forged(stored: list[HubRecord]) -> list[HubRecord]:
    return stored[:4] + [replace(stored[4], data=b"{}")] + [replace(r, seq=r.seq + 1) for r in stored[4:]]


def twice(stored: list[HubRecord]) -> list[HubRecord]:
    return stored[:5] + stored[4:]


def cut(stored: list[HubRecord]) -> list[HubRecord]:
    return stored[:-1]


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (removed, "record 5 is missing"),
        (changed, "record 5 is not what was sealed"),
        (header_changed, "record 5 is not what was sealed"),
        (header_added, "record 5 is not what was sealed"),
        (subject_changed, "record 5 is not what was sealed"),
        (reordered, "record 5 says that it is number 6"),
        (forged, "record 6 says that it is number 5"),
        (twice, "record 5 stands out of order"),
        (cut, "records 10 to 10 are missing"),
    ],
)
def test_what_was_done_to_a_lane_is_named(tamper: Callable[[list[HubRecord]], list[HubRecord]], says: str) -> None:
    found = problems(tamper(at_hub(sealed(10))), last=10)
    assert any(says in sentence for sentence in found), found


def test_one_changed_record_is_one_problem_and_the_rest_is_still_checked() -> None:
    stored = changed(at_hub(sealed(10)))
    stored[7] = replace(stored[7], data=b"[]")
    assert len(problems(stored)) == 2


def read_twice(stored: Sequence[HubRecord]) -> tuple[LaneCheck, list[str]]:
    check = LaneCheck(REGION, "realtime", PUBLIC, first=1, chains_wanted=frozenset(), records=len(stored))
    for found in stored:
        check.add(found)
    for found in stored:
        check.look_again(found)
    return check, check.verdict(len(stored)).problems


def test_an_origin_that_a_lane_carries_twice_is_named_with_both_places() -> None:
    _, found = read_twice(with_origins("1.1.0", "1.2.0", "1.2.1", "1.3.0", "1.2.1", "1.4.0", "1.2.1"))
    assert found == [
        "record 5 is record 3 once more: both have origin 1.2.1",
        "record 7 is record 3 once more: both have origin 1.2.1",
    ]


def test_late_events_and_those_of_older_epochs_are_no_repeats() -> None:
    origins = ["1.5.0", "1.9.0", "1.7.10000", "1.7.0", "2.1.0", "2.8.0", "1.8.0", "2.2.0", "1.2.0"]
    assert read_twice(with_origins(*origins))[1] == []


def test_a_lane_in_order_needs_no_second_reading_and_a_late_event_hardly_ever() -> None:
    ascending = [f"1.{number}.0" for number in range(2, 3_000)]
    assert not read_twice(with_origins(*ascending))[0].origins.suspects
    late = [f"1.{number}.1" for number in range(2, 1_000)]
    assert len(read_twice(with_origins(*ascending, *late))[0].origins.suspects) < 100


def test_a_full_filter_costs_a_second_look_and_accuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.origins.BITS_MIN", 64)
    monkeypatch.setattr("sync.origins.BITS_MAX", 64)
    ascending, late = [f"1.{number}.0" for number in range(2, 200)], [f"1.{number}.1" for number in range(2, 100)]
    check, found = read_twice(with_origins(*ascending, *late, "1.7.0"))
    assert len(check.origins.suspects) > 90
    assert found == [f"record {len(ascending + late) + 1} is record 6 once more: both have origin 1.7.0"]


def test_more_repeats_than_can_be_told_apart_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("sync.origins.SUSPECTS_MAX", "sync.verify.SUSPECTS_MAX"):
        monkeypatch.setattr(place, 1)
    _, found = read_twice(with_origins("1.1.0", "1.2.0", "1.1.0", "1.2.0"))
    assert "more than 1 records are so out of order that repeats cannot be told" in found


@pytest.mark.parametrize("origin", ["", "1.2", "1.02.0", "1.-2.0", "a.b.c", "1.2.0 ", "9" * 5_000 + ".1.0", "１.2.0"])
def test_a_record_without_a_readable_origin_is_named(origin: str) -> None:
    stored = with_origins("1.1.0")
    stored[0] = replace(stored[0], headers=stored[0].headers | {record.ORIGIN_HEADER: origin})
    assert any("does not say what it came from" in sentence for sentence in problems(stored))


def test_a_foreign_subject_is_named() -> None:
    stored = at_hub(sealed(2))
    stored[1] = replace(stored[1], subject="ev.eu-fr.realtime.stock.adjusted")
    assert any("foreign subject" in sentence for sentence in problems(stored))


def test_problems_are_bounded() -> None:
    stored = [replace(found, data=b"x") for found in at_hub(sealed(100))]
    found = problems(stored)
    assert len(found) == PROBLEMS_MAX + 1
    assert found[-1] == f"and {100 - PROBLEMS_MAX} more"


# ---------------------------------------------------------------- epochs


def with_epoch(row: Sealed) -> list[HubRecord]:
    rows = sealed(4)
    rows.append(row)
    rows.append(seal(row.chain, 6, epoch=row.epoch))
    return at_hub(rows)


def test_a_signed_epoch_record_changes_the_epoch() -> None:
    check = LaneCheck(REGION, "realtime", PUBLIC, first=1, chains_wanted=frozenset())
    for found in with_epoch(epoch_row(sealed(4)[-1].chain, 5)):
        check.add(found)
    verdict = check.verdict(6)
    assert (verdict.problems, verdict.epochs) == ([], [1, 2])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (epoch_row(sealed(4)[-1].chain, 5, key=OTHER), "signed by another key"),
        (epoch_row(sealed(4)[-1].chain, 5, lane="bulk"), "foreign subject"),
        (epoch_row(sealed(4)[-1].chain, 5, epoch=3, previous=2), "raises the epoch from 2 to 3, after 1"),
        (epoch_row(sealed(4)[-1].chain, 5, epoch=1, previous=1), "raises the epoch from 1 to 1"),
        (seal(sealed(4)[-1].chain, 5, epoch=2), "without a signed epoch record"),
    ],
)
def test_an_epoch_changes_in_no_other_way(row: Sealed, says: str) -> None:
    found = problems(with_epoch(row))
    assert any(says in sentence for sentence in found), found


# ---------------------------------------------------------------- checkpoints


def said(bodies: Sequence[bytes], *, complete: bool = True) -> CheckpointCheck:
    check = CheckpointCheck(REGION, PUBLIC, complete=complete)
    for seq, body in enumerate(bodies, 1):
        check.add(HubRecord(seq=seq, subject="cp.eu-de", headers={}, data=body, time=""))
    return check


def written(count: int) -> list[bytes]:
    notary = Notary()
    return [notary.checkpoint({"realtime": (n, seal(record.GENESIS, n).chain)}) for n in range(1, count + 1)]


def test_linked_checkpoints_have_no_problem() -> None:
    assert said(written(3)).problems == []


def test_a_removed_checkpoint_is_named() -> None:
    bodies = written(3)
    assert said([bodies[0], bodies[2]]).problems == ["checkpoint 3 follows 1"]
    assert said(bodies[1:]).problems == ["checkpoints 1 to 1 are missing"]
    assert said(bodies[1:], complete=False).problems == []


def test_a_checkpoint_of_another_history_does_not_continue() -> None:
    other = Notary()
    other.checkpoint({})
    assert "does not continue" in said([written(1)[0], other.checkpoint({})]).problems[0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (Notary().checkpoint({}, key=OTHER), "signed by another key"),
        (Notary().checkpoint({}, region="eu-fr"), "of region eu-fr"),
        (Notary().checkpoint({}, books={"accepted": 5, "delivered": 4}), "do not balance, 5 accepted, 4 accounted for"),
        (Notary().checkpoint({}).replace(b'signature":"', b'signature":"AA'), "false signature"),
        (b"{}", "not a signed statement"),
    ],
)
def test_a_false_checkpoint_is_named(body: bytes, says: str) -> None:
    assert says in said([body]).problems[0]


def test_a_hub_that_lacks_what_a_checkpoint_acknowledged_is_named() -> None:
    check = said(written(3))
    assert "the hub lacks records 3 to 3" in check.compare("realtime", first=1, last=2, chains={})[-1]


def test_another_chain_than_the_checkpoints_is_named() -> None:
    check = said(written(1))
    assert "another chain hash at record 1" in check.compare("realtime", first=1, last=1, chains={1: "00"})[0]


def test_a_whole_lane_forged_with_a_right_chain_is_unmasked_by_the_checkpoint() -> None:
    """The chain has no key; only the signed checkpoint does."""
    rows = sealed(3)
    rows[2] = seal(rows[1].chain, 3, data=b"forged")
    check = LaneCheck(REGION, "realtime", PUBLIC, first=1, chains_wanted=frozenset({3}))
    for found in at_hub(rows):
        check.add(found)
    assert check.verdict(3).problems == []
    checkpoints = said([Notary().checkpoint({"realtime": (3, sealed(3)[2].chain)})])
    assert "another chain hash" in checkpoints.compare("realtime", first=1, last=3, chains=check.chains)[0]
