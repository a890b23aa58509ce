"""The next record of headquarters' lane, or the reason why it is not: nothing is skipped, nothing believed twice."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from runtime import record
from runtime.downlink import InboxHead
from runtime.identity import Identity
from runtime.ports import HubRecord
from sync.continuation import Continuation
from tests.support.headquarters import HEADQUARTERS, IDENTITY, LANE, Sealing

START = InboxHead(epoch=0, seq=0, chain=record.GENESIS)
OTHER = Identity(Ed25519PrivateKey.from_private_bytes(bytes(32)), bytes(32))


def walk(records: list[HubRecord], head: InboxHead = START, *, key: bytes | None = None) -> str | None:
    """The kind of the first doubt."""
    steps = Continuation(head, region=HEADQUARTERS, lane=LANE, public_key=key)
    for stored in records:
        at = (steps.seq, steps.chain)
        doubt = steps.add(stored)
        if doubt is not None:
            assert (steps.seq, steps.chain) == at, "a doubt moves nothing"
            return doubt.kind
    assert steps.seq == records[-1].seq
    assert steps.chain.hex() == records[-1].headers[record.CHAIN_HEADER]
    return None


def behind(stored: HubRecord, epoch: int = 1) -> InboxHead:
    """The head after this record was taken in."""
    chain = bytes.fromhex(stored.headers[record.CHAIN_HEADER])
    return InboxHead(epoch=epoch, seq=stored.seq, chain=chain, highest=stored.seq)


def changed(stored: HubRecord, **headers: str) -> HubRecord:
    return replace(stored, headers=stored.headers | {name.replace("_", "-"): text for name, text in headers.items()})


def test_an_honest_stream_continues_from_anywhere() -> None:
    sealing = Sealing()
    records = [sealing.command(), sealing.withheld(), sealing.command("B"), sealing.adopted(), sealing.command()]
    assert walk(records, key=IDENTITY.public_key) is None
    for cut in range(1, 5):
        assert walk(records[cut:], behind(records[cut - 1], epoch=2 if cut > 3 else 1)) is None


def test_a_missing_record_is_a_gap_and_never_skipped() -> None:
    sealing = Sealing()
    first, _, third = (sealing.command() for _ in range(3))
    assert walk([first, third]) == "gap"
    assert walk([third]) == "gap"
    assert walk([first, first]) == "gap"


def test_a_changed_record_or_one_of_another_lane_does_not_continue() -> None:
    sealing = Sealing()
    first, second = sealing.command(), sealing.command()
    assert walk([first, replace(second, data=b"{}")]) == "diverged"
    assert walk([first, changed(second, ce_type="io.entrepot.other.v1")]) == "diverged"
    assert walk([first, changed(second, entrepot_seq="3")]) == "diverged"
    assert walk([first, changed(second, entrepot_epoch="")]) == "diverged"
    assert walk([first, replace(second, subject="ev.hq.eu-fr.orders.order")]) == "diverged"
    assert walk([first, changed(second, **{record.CHAIN_HEADER: "00" * 32})]) == "diverged"


def test_another_writers_record_at_the_next_place_does_not_continue() -> None:
    ours, theirs = Sealing(), Sealing()
    first = ours.command("A")
    theirs.command("Z")
    assert walk([first, theirs.command("Y")]) == "diverged"


@pytest.mark.parametrize("character", ["\x0b", "\x1c", "\n"])
def test_a_header_that_could_not_be_read_back_is_refused(character: str) -> None:
    sealing = Sealing()
    assert walk([sealing.command(None, subject=f"a{character}b")]) == "diverged"


def test_an_epoch_without_its_record_is_refused() -> None:
    sealing = Sealing()
    first = sealing.command()
    sealing.epoch = 2
    assert walk([first, sealing.command()]) == "new_epoch"


@pytest.mark.parametrize(
    "said", [{"region": "eu-fr"}, {"lane": "eu-fr"}, {"seq": 9}, {"epoch": 5}, {"previous_epoch": 3}]
)
def test_an_epoch_record_about_something_else_is_refused(said: dict[str, object]) -> None:
    sealing = Sealing()
    assert walk([sealing.command(), sealing.adopted(**said)], key=IDENTITY.public_key) == "new_epoch"


def test_an_epoch_record_must_be_headquarters_own_where_its_key_is_known() -> None:
    sealing = Sealing()
    records = [sealing.command(), sealing.adopted(identity=OTHER)]
    assert walk(records, key=IDENTITY.public_key) == "new_epoch"
    assert walk(records, key=OTHER.public_key) is None
    assert walk(records) is None, "without a key it is believed as every other record is"


def test_an_epoch_never_falls_back_and_a_broken_announcement_is_none() -> None:
    sealing = Sealing(epoch=3)
    first = sealing.command()
    assert walk([first, sealing.adopted(raised=-1)]) == "new_epoch"
    again = Sealing()
    first = again.command()
    assert walk([first, replace(again.adopted(), data=b"{")]) == "new_epoch"


def test_after_a_persons_decision_the_next_record_is_believed_and_its_successors_are_proven() -> None:
    sealing = Sealing()
    _, _, third, fourth = (sealing.command() for _ in range(4))
    head = InboxHead(epoch=1, seq=2, chain=b"", highest=2)
    assert walk([third, fourth], head) is None
    assert walk([third, replace(fourth, data=b"{}")], head) == "diverged"
    assert walk([changed(third, **{record.CHAIN_HEADER: "no chain"})], head) == "diverged"


def test_a_number_that_was_taken_in_never_comes_again_in_the_same_epoch() -> None:
    """Its id would be that of a delivery that was made: the target would take it for a repetition."""
    again = Sealing(seq=2)
    head = InboxHead(epoch=1, seq=2, chain=b"", highest=7)
    assert walk([again.command()], head) == "new_epoch"
    raised = Sealing(seq=2)
    assert walk([raised.adopted(), raised.command()], head) is None
