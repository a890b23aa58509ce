"""What counts as broken at one region, and what does not."""

from __future__ import annotations

import pytest

from runtime.fleet.judgement import Limits, judge
from runtime.fleet.sight import Sight, find_drift
from tests.support.sights import NOW, SECOND, presence, sight, status

LIMITS = Limits()
UNTIL = "2026-11-24T10:00:00+00:00"
SINCE = NOW - 60 * SECOND


def word(found: Sight, *, since_us: int | None = SINCE, target: int = 2, books: tuple[int, int] = (0, 0)) -> str:
    return judge(found, target=target, since_us=since_us, books=books, limits=LIMITS, now_us=NOW).word


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (sight(), "pending"),
        (sight(status=status("confirmed", 1, confirmed=1)), "pending"),
        (sight(status=status("provisional", 2, confirmed=1)), "pending"),
        (sight(status=status("confirmed", 2, confirmed=2)), "confirmed"),
        (sight(status=status("confirmed", 3, confirmed=3)), "confirmed"),
        (sight(status=status("reverted", 2, confirmed=1, reason="x")), "broken"),
        (sight(status=status("rejected", 2, confirmed=1, reason="x")), "broken"),
        (sight(status=status("reverted", 1, confirmed=0, reason="of an older one")), "pending"),
        (sight(status=status("rejected", 2, reason="regional veto: peak season")), "vetoed"),
        (sight(status=status("reverted", 2, reason="regional veto: peak season")), "vetoed"),
        (sight(status=status("confirmed", 1, confirmed=1, failed=[2])), "broken"),
        (sight(veto="stocktaking"), "vetoed"),
        (sight(status=status("rejected", 2, confirmed=2, reason="frozen")), "confirmed"),
        (sight(status=status("rejected", 1, confirmed=1, reason="a key that is not trusted")), "pending"),
        (sight(status=status("confirmed", 2, confirmed=2), presence=presence(lag=1_801)), "broken"),
        (sight(status=status("confirmed", 2, confirmed=2), presence=presence(accepted=100, letters=6)), "broken"),
        (sight(status=status("confirmed", 2, confirmed=2), presence=presence(accepted=10, letters=10)), "confirmed"),
    ],
)
def test_a_region_is_judged_by_what_it_signed(found: Sight, expected: str) -> None:
    assert word(found) == expected


def test_letters_from_before_the_wave_are_not_counted() -> None:
    ill_before = sight(status=status("confirmed", 2, confirmed=2), presence=presence(accepted=1_100, letters=500))
    assert word(ill_before, books=(1_000, 500)) == "confirmed"
    assert word(ill_before, books=(1_000, 490)) == "broken"


def test_a_region_that_was_silent_before_its_wave_is_out_of_reach_and_never_broken() -> None:
    long_ago = NOW - 10_000 * SECOND
    assert word(sight(heard_us=SINCE - 301 * SECOND)) == "unreachable"
    assert word(sight(heard_us=long_ago - 301 * SECOND), since_us=long_ago) == "unreachable"
    assert word(Sight(region="eu-de")) == "unreachable"


def test_a_region_that_falls_silent_after_it_was_offered_is_under_way_and_then_broken() -> None:
    begun = NOW - 1_799 * SECOND
    assert word(sight(heard_us=begun), since_us=begun) == "pending"
    begun = NOW - 1_801 * SECOND
    assert word(sight(heard_us=begun), since_us=begun) == "broken"


def test_a_region_that_confirms_and_falls_silent_holds_its_wave_and_is_then_broken() -> None:
    confirmed = status("confirmed", 2, confirmed=2)
    assert word(sight(status=confirmed, heard_us=NOW - 301 * SECOND)) == "pending"
    begun = NOW - 1_801 * SECOND
    assert word(sight(status=confirmed, heard_us=NOW - 301 * SECOND), since_us=begun) == "broken"
    assert word(sight(status=confirmed, heard_us=NOW - 301 * SECOND), since_us=None) == "confirmed"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (sight(offered=2, status=status("confirmed", 2, confirmed=2), presence=presence(), expires_us=NOW + 1), []),
        (sight(), []),
        (sight(offered=1, expires_us=NOW + 1), ["it has never said what is in force"]),
        (sight(offered=2, status=status("reverted", 2, confirmed=1, reason="no hub"), expires_us=NOW + 1),
         ["it has tried version 2 and gone back to 1: no hub"]),
        (sight(offered=2, status=status("rejected", 2, confirmed=1, reason="floor"), expires_us=NOW + 1),
         ["it has refused version 2: floor"]),
        (sight(offered=2, status=status("rejected", 2, confirmed=2, reason="frozen"), expires_us=NOW + 1),
         ["it does not believe what the hub offers: frozen"]),
        (sight(offered=2, status=status("confirmed", 3, confirmed=3), presence=presence(), expires_us=NOW + 1),
         ["it has version 3, and the hub offers 2: the hub has lost some"]),
        (sight(offered=2, status=status("confirmed", 2, confirmed=2), presence=presence(config="x"), expires_us=NOW + 1),
         ["its local files were changed since it confirmed"]),
        (sight(offered=2, status=status("confirmed", 2, confirmed=2, override_until=UNTIL), expires_us=NOW + 1),
         ["a local override is in force until 2026-11-24T10:00:00+00:00"]),
        (sight(offered=2, status=status("confirmed", 2, confirmed=2), expires_us=NOW),
         ["the timestamp has ended: it takes no change until `entrepot fleet refresh`"]),
    ],
)  # fmt: skip
def test_drift_is_said_in_a_sentence(found: Sight, says: list[str]) -> None:
    assert find_drift(found, NOW) == says
