"""Worse than before is told, as bad as before is not, and a single stray request is nothing."""

from __future__ import annotations

import pytest

from runtime.fleet.health import MARK_SECONDS, SourceTally, Tally, baseline, hub_trouble, intake_trouble, is_refusal


def tally(requests: int = 0, refused: int = 0, facts: int = 0, letters: int = 0, **more: object) -> Tally:
    source = SourceTally(requests=requests, refused=refused, facts=facts, letters=letters)
    return Tally(sources={"wms": source}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (tally(100), tally(103, 3), "3 of 3 requests to wms are refused; usual were 0%"),
        (tally(100), tally(102, 2), ""),
        (tally(100), tally(200, 9), ""),
        (tally(100), tally(200, 11), "11 of 100 requests"),
        (tally(100, 50), tally(200, 105), ""),
        (tally(100, 50), tally(110, 60), "10 of 10 requests to wms are refused; usual were 50%"),
        (tally(facts=100), tally(facts=103, letters=3), "3 of 3 messages of wms became letters"),
        (tally(facts=100, letters=90), tally(facts=110, letters=99), ""),
        (tally(0), tally(3, 3), "3 of 3 requests"),
        (tally(), tally(full=True), "no room"),
        (tally(full=True), tally(full=True), ""),
        (tally(), tally(failing=frozenset({"source/wms"})), "source/wms fails"),
        (tally(failing=frozenset({"source/wms"})), tally(failing=frozenset({"source/wms"})), ""),
        (tally(), tally(failing=frozenset({"alerts"})), ""),
    ],
)
def test_a_source_is_compared_with_its_own_past(before: Tally, now: Tally, told: str) -> None:
    found = intake_trouble(baseline(Tally(), before), now, ["wms"])
    assert told in found if told else found == ""


def marks(*requests: int) -> list[Tally]:
    return [tally(count, seconds=number * MARK_SECONDS) for number, count in enumerate(requests)]


STEADY = marks(0, 15, 30, 45, 60, 75, 90, 105, 120)


@pytest.mark.parametrize(
    ("history", "seconds", "requests", "silent"),
    [
        (STEADY, 10, 120, True),
        (STEADY, 9, 120, False),
        (STEADY, 10, 121, False),
        (marks(0, 0, 120, 120, 120, 120, 120, 120, 120), 100, 120, False),
        (marks(0, 60, 120), 100, 120, False),
    ],
    ids=["silent", "not yet", "one came", "comes in bursts", "not known for long enough"],
)
def test_a_steady_source_that_falls_silent_cannot_reach_us(
    history: list[Tally], seconds: float, requests: int, silent: bool
) -> None:
    before = baseline(Tally(), tally(120, seconds=120.0), history)
    found = intake_trouble(before, tally(requests, seconds=120.0 + seconds), ["wms"])
    assert ("nothing comes from wms any more" in found) is silent


def test_a_source_that_the_revision_removed_is_not_missed() -> None:
    assert intake_trouble(baseline(Tally(), tally(100)), tally(150, 50), []) == ""


def test_letters_that_a_person_settles_meanwhile_are_no_improvement_to_measure_by() -> None:
    assert intake_trouble(baseline(Tally(), tally(facts=10, letters=10)), tally(facts=13, letters=0), ["wms"]) == ""


@pytest.mark.parametrize(
    ("now", "connected", "reached", "told"),
    [
        (tally(), True, True, ""),
        (tally(), False, True, "no connection"),
        (tally(), True, False, "cannot be read at the hub"),
        (tally(fenced=frozenset({"bulk"})), True, True, "lane bulk is fenced"),
        (tally(fenced=frozenset({"realtime"})), True, True, ""),
    ],
)
def test_a_hub_is_there_when_link_lanes_and_headquarters_are(
    now: Tally, connected: bool, reached: bool, told: str
) -> None:
    before = baseline(Tally(), tally(fenced=frozenset({"realtime"})))
    found = hub_trouble(before, now, connected=connected, reached=reached)
    assert told in found if told else found == ""


@pytest.mark.parametrize(("status", "refused"), [(202, False), (401, True), (429, True), (503, True), (507, False)])
def test_a_full_disk_turns_nobody_away_for_good(status: int, refused: bool) -> None:
    assert is_refusal(status) is refused
