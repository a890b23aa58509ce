"""What may be forgotten must have stood for a while, and must still stand."""

from __future__ import annotations

from runtime.oversight.settle import Settling
from runtime.ports import Position


def at(seq: int) -> dict[str, Position]:
    return {"realtime": Position(epoch=1, seq=seq, chain="00" * 32)}


def test_nothing_is_due_before_its_time() -> None:
    settling = Settling(300)
    settling.note(0.0, at(10))
    assert settling.due(299.9) == {}
    assert settling.due(300.0) == at(10)


def test_only_what_was_verified_so_long_ago_is_due() -> None:
    settling = Settling(300)
    settling.note(0.0, at(10))
    settling.note(100.0, at(20))
    assert settling.due(350.0) == at(10)
    assert settling.due(400.0) == at(20)
    assert settling.due(1_000.0) == {}


def test_notes_do_not_grow_with_the_rate_of_events() -> None:
    settling = Settling(300)
    for second in range(300):
        settling.note(float(second), at(second + 1))
    assert len(settling._notes) <= 21


def test_after_a_loss_everything_must_stand_anew() -> None:
    settling = Settling(300)
    settling.note(0.0, at(10))
    settling.forget()
    assert settling.due(1_000.0) == {}
