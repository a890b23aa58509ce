"""What is counted, limited and chained: the tally, a caller's allowance, and the log that cannot be mended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.access.allowance import DAY_SECONDS, Allowance
from runtime.access.ledger import START, follow, link
from runtime.access.settings import CallerLimits
from runtime.access.tally import HOUR_SECONDS, KEYS_MAX, Tally

SECOND = 1_000_000


def log(*entries: str) -> list[tuple[int, str, bytes]]:
    rows, chain = [], START
    for number, entry in enumerate(entries, 1):
        chain = link(chain, number, entry)
        rows.append((number, entry, chain))
    return rows


def test_an_untouched_log_holds() -> None:
    rows = log("a", "b", "c")
    assert follow(rows, 0, START) == (3, rows[2][2], "")


@given(st.integers(0, 3), st.sampled_from(["change", "drop", "swap", "insert"]))
def test_no_entry_can_be_changed_dropped_moved_or_added_in_between(at: int, how: str) -> None:
    rows = log("a", "b", "c", "d", "e")
    number, entry, chain = rows[at]
    if how == "change":
        rows[at] = (number, entry + " ", chain)
    elif how == "drop":
        del rows[at]
    elif how == "swap":
        rows[at], rows[at + 1] = (number, rows[at + 1][1], chain), (number + 1, entry, rows[at + 1][2])
    else:
        rows.insert(at, (number, "x", link(START, number, "x")))
    good, _, problem = follow(rows, 0, START)
    assert problem
    assert good <= at + 1


def test_the_first_of_an_hour_is_told_at_once_with_what_was_not_told_before() -> None:
    tally: Tally[str] = Tally()
    assert [tally.count("a", second) for second in (0, 1, 2)] == [1, None, None]
    assert tally.count("b", 2) == 1
    assert tally.count("a", HOUR_SECONDS) == 3
    assert tally.count("a", HOUR_SECONDS + 1) is None
    assert dict(tally.rest()) == {"a": 1}
    assert list(tally.rest()) == []


def test_an_hour_that_is_over_is_told_whether_or_not_somebody_comes_again_and_makes_room() -> None:
    tally: Tally[str] = Tally()
    assert tally.overdue(0) == []
    for _ in range(3):
        tally.count("a", 5)
    tally.count("b", 6)
    assert tally.overdue(HOUR_SECONDS - 1) == []
    assert tally.overdue(HOUR_SECONDS) == [("a", 2)]
    assert tally.overdue(HOUR_SECONDS) == []
    assert [tally.count(str(number), HOUR_SECONDS) for number in range(KEYS_MAX)] == [1] * KEYS_MAX


def test_strangers_cannot_fill_the_memory() -> None:
    tally: Tally[int] = Tally()
    for key in range(KEYS_MAX + 100):
        tally.count(key, 0)
    assert tally.count(KEYS_MAX + 200, 0) is None
    assert tally.count(0, HOUR_SECONDS) == 1


def test_a_rate_lets_a_burst_in_and_then_says_how_long_to_wait() -> None:
    allowance = Allowance(CallerLimits(rate_per_second=2.0, burst=3))
    assert [allowance.enter(0.0, 0) for _ in range(4)] == [None, None, None, ("rate", 0.5)]
    assert allowance.enter(0.5, 0) is None


def test_requests_in_hand_are_bounded_and_free_again_when_answered() -> None:
    allowance = Allowance(CallerLimits(in_flight_max=1))
    assert allowance.enter(0.0, 0) is None
    assert allowance.enter(0.0, 0) == ("concurrency", 1.0)
    allowance.leave()
    assert allowance.enter(0.0, 0) is None


def test_a_day_ends_at_midnight_utc_and_not_before() -> None:
    limits = CallerLimits(requests_per_day_max=2)
    almost = (DAY_SECONDS - 10) * SECOND
    allowance = Allowance(limits)
    assert [allowance.enter(0.0, almost) for _ in range(3)] == [None, None, ("day", 10.0)]
    assert allowance.enter(0.0, DAY_SECONDS * SECOND) is None
    again = Allowance(limits, day=1, requests=2)
    assert again.enter(0.0, DAY_SECONDS * SECOND) == ("day", float(DAY_SECONDS))


def test_a_refused_request_costs_nothing() -> None:
    allowance = Allowance(CallerLimits(rate_per_second=1.0, burst=1, requests_per_day_max=5))
    allowance.enter(0.0, 0)
    for _ in range(9):
        assert allowance.enter(0.0, 0) is not None
    assert (allowance.requests, allowance.in_flight) == (1, 1)


def test_other_limits_do_not_give_the_day_back() -> None:
    allowance = Allowance(CallerLimits(requests_per_day_max=1))
    allowance.enter(0.0, 0)
    allowance.use(CallerLimits(requests_per_day_max=2))
    assert allowance.enter(0.0, 0) is None
    assert allowance.enter(0.0, 0) is not None


def test_what_is_left_is_told_in_the_words_of_the_limits() -> None:
    allowance = Allowance(CallerLimits(rate_per_second=2.0, burst=10, requests_per_day_max=100))
    allowance.enter(0.0, 0)
    rate, day = allowance.quotas(0.0, 0)
    assert (rate.name, rate.of, rate.window_seconds, rate.left, rate.reset_seconds) == ("rate", 10, 5, 9, 1)
    assert (day.name, day.of, day.left, day.reset_seconds) == ("day", 100, 99, DAY_SECONDS)
