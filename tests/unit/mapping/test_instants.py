"""The time shapes of real partners, and the ones that could be two times and are therefore refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.mapping.faults import Bad
from runtime.mapping.instants import (
    _read_text,
    by_format,
    dotnet_date,
    epoch_seconds,
    read_date,
    read_instant,
    read_timed,
)

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "moment", "quality"),
    [
        ("2022-05-02T18:34:00Z", "2022-05-02T18:34:00+00:00", "exact"),
        ("2022-05-02T14:34:00+08:00", "2022-05-02T14:34:00+08:00", "exact"),
        ("2022-05-02T14:34:00+0200", "2022-05-02T14:34:00+02:00", "exact"),
        ("2022-05-02T14:34:00-04", "2022-05-02T14:34:00-04:00", "exact"),
        ("2022-05-02T14:34:00", "2022-05-02T14:34:00+02:00", "assumed_zone"),
        ("2022-12-02T14:34:00", "2022-12-02T14:34:00+01:00", "assumed_zone"),
        ("2022-05-02 14:34:00", "2022-05-02T14:34:00+02:00", "assumed_zone"),
        ("2022-05-02 14:34", "2022-05-02T14:34:00+02:00", "assumed_zone"),
        ("2022-05-02 14:34:00 UTC", "2022-05-02T14:34:00+00:00", "exact"),
        ("2022-05-02 14:34:00 GMT", "2022-05-02T14:34:00+00:00", "exact"),
        ("2022-05-02T14:34:00.1234567Z", "2022-05-02T14:34:00.123456+00:00", "exact"),
        ("2022-05-02T14:34:00,25+01:00", "2022-05-02T14:34:00.250000+01:00", "exact"),
        ("/Date(1651502040000)/", "2022-05-02T14:34:00+00:00", "exact"),
        ("/Date(1651502040000+0200)/", "2022-05-02T14:34:00+00:00", "exact"),
        (1651502040, "2022-05-02T14:34:00+00:00", "exact"),
        (Decimal("1651502040.5"), "2022-05-02T14:34:00.500000+00:00", "exact"),
        (1651502040000, "2022-05-02T14:34:00+00:00", "exact"),
        ("1651502040000", "2022-05-02T14:34:00+00:00", "exact"),
        ("20220502", "2022-05-02T00:00:00+02:00", "date_only"),
        (20220502, "2022-05-02T00:00:00+02:00", "date_only"),
        ("20220502143400", "2022-05-02T14:34:00+02:00", "assumed_zone"),
        ("20220502 143400", "2022-05-02T14:34:00+02:00", "assumed_zone"),
        ("20220502 1434", "2022-05-02T14:34:00+02:00", "assumed_zone"),
        ("20220502T143400Z", "2022-05-02T14:34:00+00:00", "exact"),
        ("220502", "2022-05-02T00:00:00+02:00", "date_only"),
        ("980502", "1998-05-02T00:00:00+02:00", "date_only"),
        ("2022-05-02", "2022-05-02T00:00:00+02:00", "date_only"),
        ("02.05.2022 14:34", "2022-05-02T14:34:00+02:00", "assumed_zone"),
        ("02.05.2022", "2022-05-02T00:00:00+02:00", "date_only"),
        ("2022/05/02 14:34:00", "2022-05-02T14:34:00+02:00", "assumed_zone"),
    ],
)
def test_a_time_shape_is_understood(value: Any, moment: str, quality: str) -> None:
    found, said = read_timed(value, BERLIN)
    assert found is not None
    assert (found.isoformat(), said) == (moment, quality)


@pytest.mark.parametrize(
    "value", ["/Date(-2208988800000)/", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31", "", "  "]
)
def test_a_spelling_of_no_date_is_no_value(value: str) -> None:
    assert read_instant(value, BERLIN) is None


@pytest.mark.parametrize(
    "value",
    [
        "2205021434",
        "CCYYMMDD",
        "20020148",
        "2022-02-30",
        "2022-05-02T25:00:00Z",
        "2022-05-02T14:34:00+99:00",
        "03/04/2026",
        "yesterday",
        "２０２２-05-02",
        12,
        10**40,
        -5,
        True,
        [],
        {},
        Decimal("1e30"),
    ],
)
def test_what_is_no_time_or_could_be_two_is_refused(value: Any) -> None:
    with pytest.raises(Bad):
        read_instant(value, BERLIN)


def test_a_local_time_without_any_zone_is_refused() -> None:
    with pytest.raises(Bad, match="names a zone"):
        read_instant("2022-05-02 14:34:00", None)


def test_an_hour_that_the_clock_shows_twice_is_the_first_one() -> None:
    found = read_instant("2026-10-25T02:30:00", BERLIN)
    assert found is not None
    assert found.isoformat() == "2026-10-25T02:30:00+02:00"


def test_a_named_form_reads_what_would_be_ambiguous() -> None:
    assert by_format("%m/%d/%Y")("03/04/2026", BERLIN)[1] == "date_only"
    found, quality = by_format("%m/%d/%Y %I:%M %p")("03/04/2026 01:05 PM", BERLIN)
    assert found is not None
    assert (found.isoformat(), quality) == ("2026-03-04T13:05:00+01:00", "assumed_zone")


def test_the_date_of_a_time_is_the_one_that_is_written() -> None:
    assert read_date("2026-03-02T23:30:00-08:00") == date(2026, 3, 2)


@pytest.mark.parametrize("text", ["00260302", "0026-03-02T08:14:09", "1850-01-01", "1850-01-01 00:00", "02.03.1850"])
def test_an_offset_from_before_standard_time_is_told_in_whole_minutes(text: str) -> None:
    moment = read_timed(text, BERLIN)[0]
    assert moment is not None
    assert moment.isoformat().endswith("+00:53")


@pytest.mark.parametrize("offset", ["+01:00:30", "+010030", "-00:00:01", "+01:00:00.5"])
def test_an_offset_with_seconds_is_refused(offset: str) -> None:
    for fraction in ("", ".123456"):
        with pytest.raises(Bad):
            read_timed(f"2026-03-02T08:14:09{fraction}{offset}", None)


SHAPES = [
    "20260302",
    "2026-03-02",
    "20260302 081409",
    "20260302T081409",
    "2026-W10-1",
    "00000000",
    "9999-12-31",
    "20260302T08:14Z",
]


@given(st.sampled_from(SHAPES), st.data(), st.sampled_from([None, BERLIN, UTC]))
def test_the_quick_way_answers_as_the_patterns_do(shape: str, data: st.DataObject, zone: Any) -> None:
    text = list(shape)
    for _ in range(data.draw(st.integers(0, 2))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from("0123456789-T :.Z+W/x\u0663"))

    def answer(read: Any) -> Any:
        try:
            return read("".join(text), zone)
        except Bad:
            return "refused"

    assert answer(read_timed) == answer(lambda value, zone: _read_text(value.strip(), zone))


@given(st.one_of(st.text(max_size=40), st.integers(), st.decimals(), st.booleans(), st.none()))
def test_reading_any_value_gives_a_moment_or_a_refusal(value: Any) -> None:
    for read in (lambda v: read_instant(v, BERLIN), dotnet_date, epoch_seconds, read_date):
        with suppress(Bad):
            assert read(value) != ""


@given(st.from_regex(r"[0-9]{1,4}[-/.]?[0-9]{1,2}[-/.]?[0-9]{1,4}[T ]?[0-9:]{0,8}(Z|[+-][0-9:]{2,5})?", fullmatch=True))
def test_reading_anything_like_a_time_gives_a_moment_with_an_offset_or_a_refusal(text: str) -> None:
    try:
        found = read_instant(text, BERLIN)
    except Bad:
        return
    assert found is None or found.utcoffset() is not None
