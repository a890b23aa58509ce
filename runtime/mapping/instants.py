"""Reads the time shapes that partners send. A local time without offset gets the zone of the source.

Never guesses: what could be two different times (`2205021434`: epoch or YYMMDDHHMM?) is refused with a way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any

from runtime.mapping.faults import Bad, kind_of

EPOCH_SECONDS_MAX = 4_102_444_800
"""2100-01-01: later numbers of seconds are milliseconds, or no time at all."""
_EPOCH_SECONDS_MIN = 100_000_000
_NULL_DOTNET_MS = -2_208_988_800_000
"""`/Date(-2208988800000)/`, 1900-01-01: what some .NET systems write for "no date"."""
_NULL_YEARS = frozenset({"0000", "0001", "9999"})
"""0001-01-01 is .NET's "no date", 9999-12-31 everybody's "for ever"."""
_MINUTE, _NO_TIME = timedelta(minutes=1), timedelta()
_MINUTES_CHARS = len("2026-03-02T08:14:09+01:00")
"""Longer ones may have an offset with seconds, which no event can say."""
_DASHED_CHARS = 10
_BETWEEN = ("", " ", "T")
_COMPACT = frozenset({8, _DASHED_CHARS, 15})
"""Characters of a date in digits, a date with dashes, and a date and a time in digits with a blank or T between."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DAY_TIME = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,12}))?)?"
_DOTNET = re.compile(r"\\?/Date\((-?[0-9]{1,16})(?:[+-][0-9]{4})?\)\\?/")
_ZONED = re.compile(r"(.*?) ?(?:(UTC|GMT)|([+-])([0-9]{2}):?([0-9]{2})?|([Zz]))", re.S)
_DASHED = re.compile(rf"([0-9]{{4}})[-/]([0-9]{{1,2}})[-/]([0-9]{{1,2}})(?:[Tt ,]+{_DAY_TIME})?")
_DOTTED = re.compile(rf"([0-9]{{1,2}})\.([0-9]{{1,2}})\.([0-9]{{4}})(?:[T ,]+{_DAY_TIME})?")
_DIGITS = re.compile(r"([0-9]{8}|[0-9]{6})(?:[T ]?([0-9]{2}):?([0-9]{2})(?::?([0-9]{2})(?:[.,]?([0-9]{1,9}))?)?)?")

Timed = tuple[datetime | None, str]
"""A moment with its offset (None for the spellings of "no date"), and its `time_quality`."""
Reader = Callable[[object, tzinfo | None], Timed]


def read_timed(value: Any, zone: tzinfo | None) -> Timed:
    """Any known shape. Offsets come back as constants: nothing downstream depends on a zone database. Raises `Bad`."""
    if value.__class__ is str:
        text: str = value
        if len(text) >= 19 and text[10] in "T " and text[13] == ":" and text[4] == "-" and text[:4] not in _NULL_YEARS:
            try:
                quick = datetime.fromisoformat(text)
                if quick.tzinfo is not None:
                    if len(text) <= _MINUTES_CHARS or not (quick.utcoffset() or _NO_TIME) % _MINUTE:
                        return quick, "exact"
                elif zone is not None:
                    return datetime.fromisoformat(text + _suffix(zone.utcoffset(quick))), "assumed_zone"
            except ValueError:
                pass
        elif len(text) in _COMPACT and text[:4] not in _NULL_YEARS:
            compact = _read_compact(text, zone)
            if compact is not None:
                return compact
        return _read_text(text.strip(), zone)
    if value.__class__ is int or (value.__class__ is Decimal and value.is_finite()):
        return _read_number(value, zone)
    raise Bad(f"expected a time, got {kind_of(value)}")


def _read_compact(text: str, zone: tzinfo | None) -> Timed | None:
    """`2026-03-02`, `20260302` and `20260302 081409`, five times faster than by pattern; None for whatever else is as long."""
    if len(text) == _DASHED_CHARS:
        fits = text[4] == text[7] == "-"
    else:
        fits = text[8:9] in _BETWEEN and (text[:8] + text[9:]).isdigit()
    try:
        local = datetime.fromisoformat(text) if fits else None
    except ValueError:
        return None
    if local is None or local.tzinfo is not None:
        return None
    return _in_zone(local, zone), "assumed_zone" if len(text) > _DASHED_CHARS else "date_only"


def read_instant(value: Any, zone: tzinfo | None) -> datetime | None:
    """The moment alone. Raises `Bad`."""
    return read_timed(value, zone)[0]


def read_utc(value: Any) -> datetime | None:
    """A time that the sender documents as UTC, with or without saying so in each value. Raises `Bad`."""
    return read_timed(value, UTC)[0]


@cache
def _suffix(offset: timedelta | None) -> str:
    """`+01:00`. The cache is bounded by the offsets of the zones in use, some of them to the second before 1900."""
    if offset is None:
        raise Bad("the zone has no offset for this time")
    return datetime(2000, 1, 1, tzinfo=timezone(_whole(offset))).isoformat()[19:]


def _whole(offset: timedelta) -> timedelta:
    """In minutes, as RFC 3339 has it: before 1900 zones kept the time of their sun, to the second."""
    return round(offset / _MINUTE) * _MINUTE


def _read_number(value: int | Decimal, zone: tzinfo | None) -> Timed:
    if _EPOCH_SECONDS_MIN <= value <= EPOCH_SECONDS_MAX:
        return epoch_seconds(value), "exact"
    if EPOCH_SECONDS_MAX < value <= EPOCH_SECONDS_MAX * 1000:
        return epoch_milliseconds(value), "exact"
    if value.__class__ is int and 0 < value < 10**14 and len(digits := str(value)) in (8, 14):
        return _read_text(digits, zone)
    raise Bad('a number that is neither epoch seconds nor milliseconds of this century; name one: convert = "epoch_s"')


def epoch_seconds(value: Any) -> datetime:
    """Seconds since 1970, number or digits. Raises `Bad`."""
    return _since_epoch(value, 1, "seconds")


def epoch_milliseconds(value: Any) -> datetime:
    """Milliseconds since 1970, number or digits. Raises `Bad`."""
    return _since_epoch(value, 1000, "milliseconds")


def from_microseconds(received_us: int) -> datetime:
    """The time of acceptance, for messages that carry none."""
    return _EPOCH + timedelta(microseconds=received_us)


def _since_epoch(value: Any, per_second: int, unit: str) -> datetime:
    digits = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,16}(?:\.[0-9]{1,9})?", value)
    number: Any = Decimal(value) if digits else value
    if number.__class__ is not int and not (number.__class__ is Decimal and number.is_finite()):
        raise Bad(f"expected a number of {unit} since 1970, got {kind_of(value)}")
    if not -EPOCH_SECONDS_MAX * per_second <= number <= EPOCH_SECONDS_MAX * per_second:
        raise Bad(f"a number of {unit} beyond the year 2100")
    return _EPOCH + timedelta(microseconds=int(number * (1_000_000 // per_second)))


def dotnet_date(value: Any) -> datetime | None:
    """`/Date(1651502040000)/`; None for its null. Raises `Bad`."""
    if isinstance(value, str) and (match := _DOTNET.fullmatch(value.strip())):
        milliseconds = int(match[1])
        return None if milliseconds == _NULL_DOTNET_MS else epoch_milliseconds(milliseconds)
    raise Bad("expected the form /Date(milliseconds)/")


def _read_text(text: str, zone: tzinfo | None) -> Timed:
    if text == "":
        return None, "exact"
    if text.startswith(("/Date(", "\\/Date(")):
        return dotnet_date(text), "exact"
    if text.isdigit() and text.isascii():
        return _read_digits(text, zone)
    match, zoned = _match(text), None
    if match is None and (zoned := _ZONED.fullmatch(text)):
        match = _match(zoned[1])
    if match is None:
        raise Bad('not a time in any known form; name the form: format = "%d/%m/%Y %H:%M"')
    return _finish(match, _offset(zoned) if zoned else None, zone)


def _match(text: str) -> re.Match[str] | None:
    return _DASHED.fullmatch(text) or _DOTTED.fullmatch(text) or _DIGITS.fullmatch(text)


def _read_digits(text: str, zone: tzinfo | None) -> Timed:
    if len(text) in (6, 8, 12, 14, 17) and (match := _DIGITS.fullmatch(text)):
        return _finish(match, None, zone)
    if len(text) == 13:
        return epoch_milliseconds(int(text)), "exact"
    raise Bad(f'{len(text)} digits can be several times; say which: convert = "epoch_s", "epoch_ms" or a format')


def _offset(match: re.Match[str]) -> tzinfo:
    if match[3] is None:
        return UTC
    minutes = int(match[4]) * 60 + int(match[5] or 0)
    if minutes >= 24 * 60 or int(match[5] or 0) > 59:
        raise Bad("an impossible offset")
    return timezone(timedelta(minutes=-minutes if match[3] == "-" else minutes))


def _finish(match: re.Match[str], offset: tzinfo | None, zone: tzinfo | None) -> Timed:
    """The moment from the groups of one of the three patterns."""
    if match.re is _DIGITS:
        (year, month, day), (hour, minute, second, fraction) = _split_digits(match[1]), match.groups()[1:]
    else:
        year, month, day, hour, minute, second, fraction = match.groups()
        if match.re is _DOTTED:
            year, day = day, year
    if year in _NULL_YEARS:
        return None, "exact"
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    try:
        local = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro, offset
        )  # fmt: skip
    except ValueError:
        raise Bad("an impossible date or time of day") from None
    if offset is not None:
        return local, "exact"
    return _in_zone(local, zone), "date_only" if hour is None else "assumed_zone"


def _split_digits(text: str) -> tuple[str, str, str]:
    if len(text) == 8:
        return text[:4], text[4:6], text[6:]
    century = "19" if int(text[:2]) >= 70 else "20"
    return century + text[:2], text[2:4], text[4:]


def _in_zone(local: datetime, zone: tzinfo | None) -> datetime:
    if zone is None:
        raise Bad("a local time without offset, and neither the mapping nor the field names a zone")
    if zone is UTC:
        return local.replace(tzinfo=UTC)
    return local.replace(tzinfo=_fixed(zone.utcoffset(local)))


@cache
def _fixed(offset: timedelta | None) -> tzinfo:
    """A constant offset. The cache is bounded as that of `_suffix` is."""
    return timezone(_whole(offset)) if offset else UTC


def read_date(value: Any) -> date | None:
    """A calendar date; of a time with offset the date as written. Raises `Bad`."""
    moment = read_instant(value, UTC)
    return None if moment is None else moment.date()


def by_format(form: str) -> Reader:
    """A reader for one `strptime` form, for shapes that would be ambiguous (`03/04/2026`)."""
    quality = "assumed_zone" if re.search("%[HIcXT]", form) else "date_only"

    def read(value: Any, zone: tzinfo | None) -> Timed:
        if not isinstance(value, str):
            raise Bad(f"expected a time as text, got {kind_of(value)}")
        try:
            moment = datetime.strptime(value.strip(), form)
        except ValueError:
            if not value.strip():
                return None, "exact"
            raise Bad(f"does not have the form {form}") from None
        if not 1 < moment.year < 9999:
            return None, "exact"
        return (moment, "exact") if moment.tzinfo is not None else (_in_zone(moment, zone), quality)

    return read


def format_problem(form: str) -> str | None:
    """What is wrong with a `strptime` form, or None."""
    try:
        datetime.strptime("", form)
    except ValueError as error:
        said = str(error)
        return f"not a time form: {said}" if "directive" in said or "stray" in said else None
    except (re.error, IndexError, KeyError):
        return "not a time form: a directive may stand there only once"
    return None
