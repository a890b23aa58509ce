"""The bucket never gives more than its burst and its rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.policy.throttle import Throttle


def test_a_full_bucket_gives_its_burst_and_then_names_the_wait() -> None:
    throttle = Throttle(rate_per_second=2, burst=3)
    assert [throttle.take(10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert throttle.take(10.0) == pytest.approx(0.5)


def test_waiting_as_told_is_enough() -> None:
    throttle = Throttle(rate_per_second=3, burst=1)
    throttle.take(0.0)
    wait = throttle.take(0.0)
    assert throttle.take(wait + 1e-9) == 0.0


def test_a_refused_request_costs_no_token() -> None:
    throttle = Throttle(rate_per_second=1, burst=1)
    throttle.take(0.0)
    for _ in range(100):
        assert throttle.take(0.5) == pytest.approx(0.5)


def test_asking_takes_nothing() -> None:
    throttle = Throttle(rate_per_second=1, burst=1)
    assert [throttle.wait_seconds(0.0) for _ in range(5)] == [0.0] * 5
    assert throttle.take(0.0) == 0.0


def test_time_going_backwards_refills_nothing() -> None:
    throttle = Throttle(rate_per_second=1, burst=1)
    throttle.take(100.0)
    assert throttle.take(0.0) == pytest.approx(1.0)
    assert throttle.take(100.5) == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0), (1, 0.5), (float("nan"), 1)])
def test_a_bucket_that_cannot_work_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="burst"):
        Throttle(rate, burst)


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 100),
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_never_more_than_burst_plus_rate_gets_through(rate: float, burst: int, gaps: list[float]) -> None:
    throttle = Throttle(rate, burst)
    now, passed = 0.0, 0
    for gap in [0.0, *gaps]:
        now += gap
        passed += throttle.take(now) == 0.0
    assert passed <= burst + rate * now + 1e-6
