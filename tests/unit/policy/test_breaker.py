"""The breaker opens, lets one trial through, and closes again."""

from __future__ import annotations

from runtime.policy.breaker import Breaker


def opened() -> Breaker:
    breaker = Breaker(failures_max=2, open_seconds=10)
    breaker.failed(0.0)
    breaker.failed(0.0)
    return breaker


def test_it_stays_closed_below_the_limit_and_success_forgets_failures() -> None:
    breaker = Breaker(failures_max=2)
    breaker.failed(0.0)
    breaker.succeeded()
    breaker.failed(0.0)
    assert breaker.state == "closed"
    assert breaker.wait_seconds(0.0) == 0.0


def test_it_opens_at_the_limit_and_says_how_long() -> None:
    breaker = opened()
    assert breaker.state == "open"
    assert breaker.wait_seconds(4.0) == 6.0


def test_one_trial_goes_through_and_no_second_one() -> None:
    breaker = opened()
    assert breaker.wait_seconds(10.0) == 0.0
    assert breaker.state == "trial"
    assert breaker.wait_seconds(10.0) == 10.0


def test_a_good_trial_closes_it() -> None:
    breaker = opened()
    breaker.wait_seconds(10.0)
    breaker.succeeded()
    assert breaker.state == "closed"


def test_a_bad_trial_opens_it_again_at_once() -> None:
    breaker = opened()
    breaker.wait_seconds(10.0)
    breaker.failed(11.0)
    assert breaker.state == "open"
    assert breaker.wait_seconds(12.0) == 9.0


def test_a_trial_that_never_reports_back_does_not_block_for_ever() -> None:
    breaker = opened()
    breaker.wait_seconds(10.0)
    assert breaker.wait_seconds(20.0) == 0.0
