"""What may go: order within each key, nobody held by another's failure, never more than allowed, and never nothing for no reason."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runtime.policy.breaker import Breaker
from runtime.policy.dispatch import Dispatch, Rules, Waiting
from runtime.policy.retry import Backoff

IN_FLIGHT_MAX = 3
FAILURES_MAX = 4
OPEN_SECONDS = 7.0
SECOND_US = 1_000_000


def rules(*, parks: bool = False, attempts_max: int | None = None, give_up_seconds: float | None = None) -> Rules:
    return Rules(
        backoff=Backoff(seconds_min=1.0, seconds_max=8.0),
        in_flight_max=IN_FLIGHT_MAX,
        attempts_max=attempts_max,
        give_up_seconds=give_up_seconds,
        parks=parks,
    )


def dispatch(*, breaker: Breaker | None = None, **options: object) -> Dispatch:
    return Dispatch(rules(**options), breaker or Breaker(1_000, 1.0))  # type: ignore[arg-type]


def taken(queue: Dispatch, now: float = 0.0) -> list[int]:
    found = []
    while (number := queue.take(now)) is not None:
        found.append(number)
    return found


def test_one_delivery_of_each_key_goes_at_a_time_in_order() -> None:
    queue = dispatch()
    for number, key in enumerate("aabcd", 1):
        queue.add(Waiting(number, key))
    assert taken(queue) == [1, 3, 4], "the second of a waits for the first, and three at once are allowed"
    queue.finished(1)
    assert taken(queue) == [2]


def test_a_failing_key_holds_its_own_successors_and_nobody_else() -> None:
    queue = dispatch()
    for number, key in enumerate("aab", 1):
        queue.add(Waiting(number, key))
    assert taken(queue) == [1, 3]
    pause = queue.failed(1, 0.0, 0.5, waited_seconds=0.0)
    queue.back(1)
    queue.finished(3)
    assert pause is not None
    assert taken(queue, pause - 0.01) == []
    assert queue.next_seconds(0.0) == pause
    assert taken(queue, pause) == [1]


def test_what_a_target_asks_for_rests_the_whole_target_and_is_capped() -> None:
    queue = dispatch()
    queue.add(Waiting(1, "a"))
    queue.add(Waiting(2, "b"))
    assert queue.take(0.0) == 1
    assert queue.failed(1, 0.0, 0.0, waited_seconds=0.0, after_seconds=3_600.0) == 8.0
    queue.back(1)
    assert taken(queue, 7.9) == []
    assert sorted(taken(queue, 8.0)) == [1, 2]


@pytest.mark.parametrize(("options", "waited"), [({"attempts_max": 2}, 0.0), ({"give_up_seconds": 60.0}, 61.0)])
def test_it_is_given_up_after_so_many_tries_or_so_long(options: dict[str, float], waited: float) -> None:
    queue = dispatch(**options)
    queue.add(Waiting(1, "a", attempts=1))
    queue.add(Waiting(2, "a"))
    assert queue.take(0.0) == 1
    assert queue.failed(1, 0.0, 0.0, waited_seconds=waited) is None
    queue.became_letter(1)
    assert taken(queue, 0.0) == [2], "a letter lets its successors pass"


def test_a_letter_holds_its_successors_where_it_parks_until_a_person_decides() -> None:
    queue = dispatch(parks=True)
    queue.hold(1, "a")
    queue.add(Waiting(2, "a"))
    queue.add(Waiting(3, "b"))
    assert taken(queue) == [3]
    queue.release(1)
    assert taken(queue) == [2]


def test_a_retried_letter_goes_before_younger_ones_of_its_key() -> None:
    queue = dispatch(parks=True)
    queue.hold(1, "a")
    queue.add(Waiting(2, "a"))
    queue.release(1)
    queue.add(Waiting(1, "a"))
    assert taken(queue) == [1]


def test_expired_ones_are_named_once_and_not_while_they_are_on_their_way() -> None:
    queue = dispatch()
    queue.add(Waiting(1, "a", expires_us=5))
    queue.add(Waiting(2, "a", expires_us=6))
    assert queue.take(0.0) == 1
    assert queue.overdue(9) == [2]
    queue.finished(2)
    queue.back(1)
    assert queue.overdue(9) == [1]


def test_after_enough_failures_one_tries_for_all() -> None:
    queue = dispatch(breaker=Breaker(2, OPEN_SECONDS))
    for number in range(1, 4):
        queue.add(Waiting(number, number))
    assert taken(queue) == [1, 2, 3]
    for number in (1, 2, 3):
        queue.failed(number, 0.0, 0.0, waited_seconds=0.0)
        queue.back(number)
    assert taken(queue, 6.9) == []
    assert queue.next_seconds(2.0) == pytest.approx(OPEN_SECONDS - 2.0)
    assert len(taken(queue, 7.0)) == 1
    queue.answered()
    assert len(taken(queue, 7.0)) == 2


class DispatchMachine(RuleBasedStateMachine):
    """Against a list that is searched anew each time."""

    parks = False

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(FAILURES_MAX, OPEN_SECONDS)
        self.queue = Dispatch(rules(parks=self.parks), self.breaker)
        self.now = 0.0
        self.number = 0
        self.open: dict[int, tuple[str | int, float, int | None]] = {}
        """number → (key, due, expiry)"""
        self.flying: set[int] = set()
        self.letters: dict[int, str | int] = {}
        self.paused_until = 0.0

    # ------------------------------------------------------------ what happens

    @rule(key=st.sampled_from(["a", "b", "c", None]), expires=st.none() | st.integers(0, 60))
    def arrives(self, key: str | None, expires: int | None) -> None:
        self.number += 1
        ends = None if expires is None else int((self.now + expires) * SECOND_US)
        own: str | int = self.number if key is None else key
        self.open[self.number] = (own, self.now, ends)
        self.queue.add(Waiting(self.number, own, 0, self.now, ends))

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def goes(self) -> None:
        may = self.may_go()
        state = self.queue.breaker
        number = self.queue.take(self.now)
        if number is None:
            waits = self.breaker.left_seconds(self.now) > 0
            assert not may or waits, f"{may} may go and nothing does"
        else:
            assert number in may, f"{number} may not go, {may} may"
            assert state != "trial" or self.breaker.left_seconds(self.now) > 0
            self.flying.add(number)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def is_delivered(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.flying)))
        self.queue.answered()
        self.queue.finished(number)
        self.flying.discard(number)
        del self.open[number]

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), after=st.none() | st.sampled_from([2.0, 100.0]), draw=st.floats(0, 0.99))
    def fails(self, data: st.DataObject, after: float | None, draw: float) -> None:
        number = data.draw(st.sampled_from(sorted(self.flying)))
        pause = self.queue.failed(number, self.now, draw, waited_seconds=0.0, after_seconds=after)
        assert pause is not None
        assert 1.0 <= pause <= 8.0
        if after is not None:
            self.paused_until = max(self.paused_until, self.now + min(after, 8.0))
        self.queue.back(number)
        self.flying.discard(number)
        key, _, ends = self.open[number]
        self.open[number] = (key, self.now + pause, ends)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def is_rejected(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.flying)))
        self.queue.answered()
        self.queue.became_letter(number)
        self.flying.discard(number)
        self.letters[number] = self.open.pop(number)[0]

    @precondition(lambda self: self.letters)
    @rule(data=st.data(), again=st.booleans())
    def is_decided(self, data: st.DataObject, again: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.letters)))
        key = self.letters.pop(number)
        self.queue.release(number)
        if again:
            self.open[number] = (key, self.now, None)
            self.queue.add(Waiting(number, key, 0, self.now, None))

    @rule()
    def expires(self) -> None:
        now_us = int(self.now * SECOND_US)
        late = {n for n, (_, _, ends) in self.open.items() if ends is not None and ends <= now_us} - self.flying
        named = self.queue.overdue(now_us)
        assert set(named) == late
        assert len(named) == len(late)
        for number in named:
            self.queue.finished(number)
            del self.open[number]

    # ------------------------------------------------------------ what must hold

    def may_go(self) -> set[int]:
        """All that may go now, the breaker aside: of those due first, in any order."""
        if len(self.flying) >= IN_FLIGHT_MAX or self.now < self.paused_until:
            return set()
        busy = {self.open[number][0] for number in self.flying}
        heads: dict[str | int, int] = {}
        for number in sorted(self.open):
            heads.setdefault(self.open[number][0], number)
        return {
            number
            for key, number in heads.items()
            if key not in busy
            and self.open[number][1] <= self.now
            and not (self.parks and any(k == key and n < number for n, k in self.letters.items()))
        }

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.queue) == len(self.open)
        assert self.queue.in_flight == len(self.flying) <= IN_FLIGHT_MAX
        assert len({self.open[number][0] for number in self.flying}) == len(self.flying), "two of one key at once"

    @invariant()
    def the_next_moment_is_no_lie(self) -> None:
        seconds = self.queue.next_seconds(self.now)
        if seconds == 0:
            assert self.may_go()
        if seconds is None:
            assert not self.may_go()


class ParkingMachine(DispatchMachine):
    parks = True


TestPassing = DispatchMachine.TestCase
TestParking = ParkingMachine.TestCase
TestPassing.settings = TestParking.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
