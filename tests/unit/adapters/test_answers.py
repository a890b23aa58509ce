"""What a partner's answer asks for: come back later, another page, or never again like this."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sdk.answers import Answer, NotThere, judge, server_us
from adapters.sdk.pace import Pace
from runtime.errors import EntrepotError, Permanent, Retryable
from runtime.policy.retry import Backoff

NOW_US = 1_772_323_200_000_000
"""2026-03-01T00:00:00Z."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "Sun, 01 Mar 2026 00:02:00 GMT"}, 120.0),
        ({"retry-after": "Sun, 01 Mar 2026 01:02:00 GMT", "date": "Sun, 01 Mar 2026 01:00:00 GMT"}, 120.0),
        ({"retry-after": "Sat, 28 Feb 2026 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "\u0661\u0662"}, None),
        ({}, None),
    ],
    ids=["seconds", "a date", "a date by a clock that is wrong", "over", "words", "negative", "other digits", "none"],
)
def test_retry_after_is_read_as_the_partner_means_it(headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(Retryable) as raised:
        judge(Answer(status=429, headers=headers), "https://a", NOW_US)
    assert raised.value.after_seconds == seconds


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, Permanent), (401, Permanent), (403, Permanent), (404, NotThere), (410, NotThere), (400, NotThere),
        (408, Retryable), (425, Retryable), (429, Retryable), (500, Retryable), (503, Retryable), (599, Retryable),
    ],
)  # fmt: skip
def test_a_status_says_whether_to_come_back(status: int, error: type[EntrepotError]) -> None:
    with pytest.raises(error):
        judge(Answer(status=status), "https://a", NOW_US)


@pytest.mark.parametrize("status", [200, 201, 204, 206, 304])
def test_a_document_and_nothing_new_are_no_errors(status: int) -> None:
    judge(Answer(status=status), "https://a", NOW_US)


@pytest.mark.parametrize(
    ("value", "following"),
    [
        ('<https://a/?page=2>; rel="next"', "https://a/?page=2"),
        ("<https://a/?page=2>; rel=next", "https://a/?page=2"),
        ('<https://a/?page=1>; rel="prev", <https://a/?page=3,4>; rel="next"', "https://a/?page=3,4"),
        ('<?page=2>; title="a; rel=\\"x"; rel="last next"', "?page=2"),
        ('<https://a/?page=2>; rel="nextish"', ""),
        ("https://a/?page=2", ""),
        ("<", ""),
    ],
)
def test_the_next_page_is_found_in_the_header_link(value: str, following: str) -> None:
    assert Answer(status=200, links=[value]).following == following


@given(st.text(max_size=300) | st.text(alphabet='<>;,="rel next', max_size=300))
def test_whatever_stands_in_a_header_nothing_raises(text: str) -> None:
    said = Answer(status=200, links=[text], headers={"retry-after": text, "date": text})
    assert isinstance(said.following, str)
    assert isinstance(server_us(said, NOW_US), int)
    with pytest.raises(Retryable):
        judge(Answer(status=503, headers=said.headers), "https://a", NOW_US)


def pace(**more: float) -> Pace:
    settings = {
        "requests_per_hour_max": 100,
        "failures_max": 3,
        "open_seconds": 60.0,
        "retry_after_seconds_max": 3_600.0,
    }
    return Pace(backoff=Backoff(seconds_min=1, seconds_max=8), **{**settings, **more})  # type: ignore[arg-type]


def test_no_hour_has_more_requests_than_the_budget() -> None:
    paced, now, gone = pace(), 0.0, list[float]()
    while now < 3 * 3_600:
        wait = paced.take(now)
        if not wait:
            gone.append(now)
        now += wait
    for start in gone:
        assert sum(start <= at < start + 3_600 for at in gone) <= 100
    assert len(gone) > 250


def test_what_the_partner_asks_for_is_kept_to_up_to_a_bound() -> None:
    paced = pace()
    paced.failed(0.0, 0.0, after_seconds=120.0, ill=False)
    assert paced.take(100.0) == 20.0
    paced.failed(0.0, 0.0, after_seconds=1e9, ill=False)
    assert paced.take(0.0) == 3_600.0


def test_an_ill_partner_is_left_alone_and_tried_once() -> None:
    paced = pace()
    for _ in range(3):
        assert not paced.broken
        paced.failed(0.0, 0.0)
    assert paced.broken
    assert paced.take(10.0) == 50.0
    assert paced.take(60.0) == 0.0
    assert paced.take(60.0) > 0, "one request tries, no more"
    paced.succeeded()
    assert not paced.broken
    assert paced.take(61.0) == 0.0


def test_a_partner_that_asks_us_to_wait_is_not_taken_for_ill() -> None:
    paced = pace()
    for _ in range(9):
        paced.failed(0.0, 0.0, after_seconds=1.0, ill=False)
    assert not paced.broken
