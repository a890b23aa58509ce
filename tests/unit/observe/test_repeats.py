"""The first failure, then once per 30 s, then "recovered after N errors"."""

from __future__ import annotations

from runtime.observe.repeats import Repeats


def test_the_first_failure_speaks_and_the_next_ones_are_silent_for_thirty_seconds() -> None:
    repeats = Repeats()
    assert [repeats.failed("hub", at) for at in (0.0, 1.0, 29.9)] == [0, None, None]


def test_after_thirty_seconds_it_speaks_and_counts_the_silent_ones() -> None:
    repeats = Repeats()
    assert [repeats.failed("hub", at) for at in (0.0, 1.0, 2.0, 30.0, 31.0, 60.0)] == [0, None, None, 2, None, 1]


def test_recovery_tells_all_errors_once() -> None:
    repeats = Repeats()
    for at in range(5):
        repeats.failed("hub", float(at))
    assert [repeats.recovered("hub"), repeats.recovered("hub")] == [5, 0]


def test_a_failure_after_a_recovery_speaks_at_once() -> None:
    repeats = Repeats()
    repeats.failed("hub", 0.0)
    repeats.recovered("hub")
    assert repeats.failed("hub", 0.1) == 0


def test_keys_do_not_silence_each_other() -> None:
    repeats = Repeats()
    assert [repeats.failed(key, 0.0) for key in ("a", "b", "a")] == [0, 0, None]


def test_what_fell_silent_is_told_when_its_time_is_over_and_only_once() -> None:
    repeats = Repeats()
    repeats.failed("hub", 0.0)
    repeats.failed("hub", 1.0, "newest")
    assert repeats.overdue(29.0) == []
    assert repeats.overdue(30.0) == [("hub", 1, "newest")]
    assert repeats.overdue(99.0) == []


def test_memory_is_bounded_and_the_forgotten_speak_again() -> None:
    repeats = Repeats(keys_max=10)
    for key in range(1_000):
        repeats.failed(key, 0.0)
    assert repeats.failed(0, 0.1) == 0
    assert repeats.failed(999, 0.1) is None
    assert len(repeats._episodes) == 10
