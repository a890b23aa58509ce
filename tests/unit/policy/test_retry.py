"""Waits grow, stay within their bounds, and respect what the other side asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.policy.retry import Backoff, ceiling_seconds, wait_seconds

BACKOFF = Backoff(seconds_min=1.0, seconds_max=60.0)


def test_the_ceiling_doubles_until_it_is_full() -> None:
    assert [ceiling_seconds(BACKOFF, attempt) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_huge_attempt_number_is_no_overflow() -> None:
    assert ceiling_seconds(BACKOFF, 10**9) == 60


def test_the_other_side_may_ask_for_more_but_not_for_ever() -> None:
    assert wait_seconds(BACKOFF, 1, 0.0, after_seconds=30.0) == 30.0
    assert wait_seconds(BACKOFF, 1, 0.0, after_seconds=1e9) == 60.0


def test_the_other_side_cannot_ask_for_less() -> None:
    assert wait_seconds(BACKOFF, 4, 0.5, after_seconds=0.0) == 4.5


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_every_wait_lies_between_the_bounds(attempt: int, draw: float) -> None:
    assert 1.0 <= wait_seconds(BACKOFF, attempt, draw) <= ceiling_seconds(BACKOFF, attempt)


def test_two_agents_with_other_draws_do_not_come_back_together() -> None:
    assert wait_seconds(BACKOFF, 6, 0.1) != wait_seconds(BACKOFF, 6, 0.9)
