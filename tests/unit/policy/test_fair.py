"""Turns: nobody waits longer than the others' turns, nothing is lost, and each queue keeps its order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.policy.fair import TURN_WEIGHT, FairQueue

ITEMS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 500)), max_size=60)


@given(ITEMS, st.integers(1, 2_000))
def test_everything_comes_out_once_and_in_the_order_of_its_queue(items: list[tuple[str, int]], weight_max: int) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, (name, weight) in enumerate(items):
        queue.add(name, (name, number), weight)
    taken = []
    while queue:
        some = queue.take(weight_max)
        assert some
        taken += some
    assert sorted(number for _, number in taken) == list(range(len(items)))
    for name in "abc":
        own = [number for each, number in taken if each == name]
        assert own == sorted(own)


def test_one_item_of_a_calm_queue_passes_a_burst_of_another() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(200):
        queue.add("burst", f"burst {number}", 100)
    queue.add("calm", "calm", 1)
    assert "calm" in queue.take(1_000)
    queue.add("calm", "calm again", 1)
    assert "calm again" in queue.take(1_000)


def test_two_busy_queues_share_by_weight_not_by_number() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(5_000):
        queue.add("small", "small", 1)
    for _ in range(50):
        queue.add("large", "large", 100)
    taken = [item for _ in range(4) for item in queue.take(1_000)]
    small, large = taken.count("small"), taken.count("large") * 100
    assert abs(small - large) <= 2 * (TURN_WEIGHT + 100)


def test_what_is_larger_than_a_turn_still_has_its_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("large", "large", 10_000)
    for number in range(2_000):
        queue.add("small", f"{number}", 1)
    rounds = 0
    while "large" not in queue.take(100):
        rounds += 1
        queue.add("small", "more", 1)
    assert rounds <= 10_000 // TURN_WEIGHT


def test_draining_leaves_nothing() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(5):
        queue.add(str(number % 2), number, 1)
    assert sorted(queue.drain()) == list(range(5))
    assert not queue
    assert queue.take(10) == []
