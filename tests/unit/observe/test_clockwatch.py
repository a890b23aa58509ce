"""A wall clock that jumps is noticed; one that is slewed or nudged is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.observe.clockwatch import ClockWatch, Reading

START = 1_750_000_000_000_000
HOUR = 3_600_000_000


def reading(seconds: float, off_us: int = 0) -> Reading:
    return Reading(now_us=START + round(seconds * 1_000_000) + off_us, monotonic=1_000.0 + seconds)


def watch() -> ClockWatch:
    return ClockWatch(reading(0))


def test_a_steady_clock_is_good_however_long_between_two_readings() -> None:
    clock = watch()
    assert [clock.observe(reading(s)).bad for s in (5, 86_400, 30 * 86_400)] == [False, False, False]


def test_an_hour_back_is_bad_and_says_how_far() -> None:
    verdict = watch().observe(reading(5, -HOUR))
    assert verdict.bad
    assert verdict.off_us == -HOUR
    assert verdict.sentence == "The clock of this machine is about 60 minutes behind where it should be."


def test_ten_years_forward_is_bad() -> None:
    verdict = watch().observe(reading(5, 10 * 365 * 24 * HOUR))
    assert verdict.bad
    assert "3650 days ahead" in verdict.sentence


def test_a_step_of_a_minute_is_allowed_and_a_little_more_is_not() -> None:
    assert not watch().observe(reading(5, 60_000_000)).bad
    assert watch().observe(reading(5, 60_000_001)).bad


def test_it_stays_bad_while_time_goes_on_and_is_good_when_the_clock_is_back() -> None:
    clock = watch()
    clock.observe(reading(5, HOUR))
    assert clock.observe(reading(7_200, HOUR)).bad
    assert not clock.observe(reading(7_205, 1_000_000)).bad


def test_small_steps_back_after_a_jump_count_towards_good() -> None:
    clock = watch()
    clock.observe(reading(5, 90_000_000))
    assert clock.observe(reading(10, 70_000_000)).bad
    assert not clock.observe(reading(15, 50_000_000)).bad


def test_another_clock_that_agrees_makes_a_jump_the_truth() -> None:
    clock = watch()
    clock.observe(reading(5, HOUR))
    assert not clock.compare(reading(6, HOUR), reading(6, HOUR + 20_000_000).now_us).bad
    assert not clock.observe(reading(10, HOUR)).bad


def test_another_clock_that_disagrees_makes_a_steady_clock_bad() -> None:
    clock = watch()
    assert clock.compare(reading(5), reading(5, HOUR).now_us).off_us == -HOUR
    assert clock.observe(reading(10)).bad


def test_a_clock_before_the_release_is_bad_from_the_start() -> None:
    assert ClockWatch(reading(0), not_before_us=START + HOUR).verdict.bad


@given(st.lists(st.integers(min_value=-60_000_000, max_value=60_000_000), max_size=50))
def test_no_sequence_of_small_steps_is_called_a_jump(steps: list[int]) -> None:
    clock, off = watch(), 0
    for number, step in enumerate(steps, start=1):
        off += step
        assert not clock.observe(reading(number * 5, off)).bad
