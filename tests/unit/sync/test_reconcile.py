"""The reconcile table of docs/record-format.md, row by row."""

from __future__ import annotations

import pytest

from runtime.ports import LaneHead
from sync.reconcile import Go, HubView, Make, Rewind, Stop, Wait, range_to_prove, reconcile

A, B = b"a" * 32, b"b" * 32
STREAM = "EU-DE_REALTIME"


def head(*, sealed: int = 100, acked: int = 80, oldest: int = 1) -> LaneHead:
    return LaneHead(epoch=1, sealed=sealed, sealed_chain=A, acked=acked, acked_chain=A, oldest=oldest)


def at(last: int, *, chain: bytes | None = A, ours: bytes | None = A, first: int = 1, born_at: int = 1) -> HubView:
    return HubView(last=last, first=first, born_at=born_at, chain=chain, ours=ours)


def gone(last: int, *, born_at: int = 1) -> HubView:
    """Nothing is stored; the next message would be `last + 1`."""
    return at(last, chain=None, ours=A, first=last + 1, born_at=born_at)


@pytest.mark.parametrize("last", [80, 81, 100])
def test_an_equal_chain_between_acked_and_sealed_is_normal(last: int) -> None:
    assert reconcile(head(), at(last), stream=STREAM, manage=False) == Go(last)


def test_nothing_stored_behind_the_acknowledged_position_has_aged_out() -> None:
    assert reconcile(head(), gone(80), stream=STREAM, manage=False) == Go(80)


def test_an_equal_chain_below_acked_rewinds_with_the_exact_range() -> None:
    decision = reconcile(head(), at(50), stream=STREAM, manage=False)
    assert isinstance(decision, Rewind)
    assert decision.to == 50
    assert "51 to 80" in decision.reason


def test_a_stream_made_again_at_the_oldest_row_is_refilled() -> None:
    decision = reconcile(head(oldest=41), gone(40, born_at=41), stream=STREAM, manage=False)
    assert isinstance(decision, Rewind)
    assert decision.to == 40


def test_a_missing_stream_is_made_from_the_oldest_row_where_that_is_allowed() -> None:
    view = HubView(exists=False)
    assert reconcile(head(oldest=41), view, stream=STREAM, manage=True) == Make(41)
    assert reconcile(head(oldest=101), view, stream=STREAM, manage=True) == Make(81)


def test_a_missing_stream_before_the_first_acknowledgement_is_waited_for() -> None:
    decision = reconcile(head(acked=0), HubView(exists=False), stream=STREAM, manage=False)
    assert isinstance(decision, Wait)
    assert "topology apply" in decision.reason


@pytest.mark.parametrize(
    ("lane", "hub", "kind"),
    [
        (head(), HubView(exists=False), "hub_recreated"),
        (head(), at(101), "stale_self"),
        (head(), at(101, chain=B), "stale_self"),
        (head(), at(90, chain=B), "diverged"),
        (head(), at(80, chain=B), "diverged"),
        (head(), at(50, chain=B), "diverged"),
        (head(), at(90, chain=b""), "diverged"),
        (head(oldest=60), at(58), "horizon"),
        (head(oldest=60), gone(0), "horizon"),
        (head(), gone(90), "unreadable"),
        (head(), gone(50), "unreadable"),
        (head(oldest=41), gone(40, born_at=30), "unreadable"),
        (head(), at(80, chain=None), "unreadable"),
        (head(), at(70, ours=None), "unreadable"),
        (head(), HubView(last=80, chain=A, ours=A, problem="not ours"), "wrong_stream"),
        (head(), HubView(last=200, problem="not ours"), "wrong_stream"),
    ],
)
def test_everything_else_fences(lane: LaneHead, hub: HubView, kind: str) -> None:
    decision = reconcile(lane, hub, stream=STREAM, manage=False)
    assert isinstance(decision, Stop)
    assert decision.fence.kind == kind
    assert decision.fence.action.endswith(".")
    assert decision.fence.evidence["acked"] == str(lane.acked)


def test_just_above_the_horizon_is_no_horizon() -> None:
    assert isinstance(reconcile(head(oldest=60), at(59), stream=STREAM, manage=False), Rewind)


def test_only_rows_above_acked_need_a_proof() -> None:
    assert range_to_prove(head(), 83) == range(81, 84)
    assert not range_to_prove(head(), 80)
    assert not range_to_prove(head(), 101)
