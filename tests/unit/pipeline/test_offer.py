"""When what a target wants has expired."""

from __future__ import annotations

import pytest

from runtime import record
from runtime.pipeline.offer import Offer, Row, judge

READY_US = 1_000_000


def ends(expirytime: str | None, *, expire_us: int | None = None) -> int | None:
    attributes = {"ce-type": "com.example", "ce-id": "1"} | (
        {} if expirytime is None else {"ce-expirytime": expirytime}
    )
    row = Row(id="1", headers=record.header_block(attributes), data=b"{}", ready_us=READY_US)
    (found,) = judge(
        Offer(reads="inbox", looked=0, counted=1, through=1, rows=[row]), lambda kind, said: True, expire_us=expire_us
    )
    return found.expires_us


@pytest.mark.parametrize(
    ("said", "end_us"),
    [
        ("1970-01-01T00:01:00Z", 60_000_000),
        ("1970-01-01T01:01:00+01:00", 60_000_000),
        ("1970-01-01T00:01:00", None),
        ("1970-01-01", None),
        ("soon", None),
        (None, None),
    ],
)
def test_an_event_ends_at_the_instant_that_it_says_and_never_at_one_that_depends_on_this_machines_zone(
    said: str | None, end_us: int | None
) -> None:
    assert ends(said) == end_us


def test_the_earlier_of_the_events_end_and_the_targets_counts() -> None:
    assert ends("1970-01-01T00:01:00Z", expire_us=1_000_000) == READY_US + 1_000_000
    assert ends("1970-01-01T00:01:00Z", expire_us=10**9) == 60_000_000
    assert ends(None, expire_us=1_000_000) == READY_US + 1_000_000
