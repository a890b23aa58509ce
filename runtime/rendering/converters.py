"""The converters in reverse: one canonical value in, what the foreign system wants out, or `Bad`. None of them rounds.

None means "there is no value". Those that mean the same in both directions are the mapping's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from runtime.mapping import converters as forward
from runtime.mapping.faults import Bad
from runtime.mapping.instants import read_timed
from runtime.mapping.tables import Table
from runtime.mapping.values import code_text

Change = Callable[[Any], Any]


def with_comma(value: Any) -> str | None:
    """`1234.50` → `1234,50`."""
    number = forward.to_decimal(value)
    return None if number is None else format(number, "f").replace(".", ",")


def implied2(value: Any) -> str | None:
    """Two implied decimals: `123.45` → `12345`. More decimals than two are refused."""
    number = forward.to_decimal(value)
    return None if number is None else str(int("".join(_parts(number, 2))))


def boolean(value: Any) -> bool:
    """true or false."""
    return forward.to_boolean(value)


PLAIN: Mapping[str, Change] = {
    "string": forward.to_text,
    "strip": forward.strip,
    "unless_zero": forward.unless_zero,
    "upper": forward.upper,
    "lower": forward.lower,
    "strip_zeros": forward.strip_zeros,
    "unpad": forward.unpad,
    "decimal": forward.to_decimal,
    "decimal_comma": with_comma,
    "money_implied2": implied2,
    "absolute": forward.absolute,
    "negated": forward.negated,
    "integer": forward.to_integer,
    "boolean": boolean,
}


def with_places(places: int) -> Change:
    """Exactly so many decimals: zeros are added, digits are never lost."""

    def change(value: Any) -> Decimal | None:
        number = forward.to_decimal(value)
        return None if number is None else Decimal(".".join(_parts(number, places)))

    return change


def _parts(number: Decimal, places: int) -> tuple[str, str]:
    """Digits before and behind the point."""
    whole, _, fraction = format(number, "f").partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > places:
        raise Bad(f"has more than {places} decimals; nothing is rounded on the way out")
    return whole, fraction.ljust(places, "0")


def with_digits(digits: int) -> Change:
    """A number of fixed width: zeros in front."""

    def change(value: Any) -> str | None:
        text = forward.to_text(value).strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > digits:
            raise Bad(f"is not a number of at most {digits} digits")
        return text.zfill(digits)

    return change


def within(characters_max: int) -> Change:
    """A text that fits: nothing is cut off."""

    def change(value: Any) -> Any:
        if len(code_text(value) if not isinstance(value, bool) else "false") > characters_max:
            raise Bad(f"has more than {characters_max} characters")
        return value

    return change


# ---------------------------------------------------------------- times


def by_form(form: str, zone: tzinfo | None) -> Change:
    """A moment by a `strftime` form."""
    return lambda value: _written(value, zone, lambda moment: moment.strftime(form))


def instants(zone: tzinfo | None) -> dict[str, Change]:
    """The converters of moments, in the zone of the rule (UTC without one)."""

    def by(write: Callable[[datetime], Any]) -> Change:
        return lambda value: _written(value, zone, write)

    return {
        "instant": by(lambda moment: moment.isoformat()),
        "date": by(lambda moment: moment.date().isoformat()),
        "utc": by(lambda moment: moment.astimezone(UTC).isoformat().replace("+00:00", "Z")),
        "epoch_s": by(lambda moment: int(moment.timestamp())),
        "epoch_ms": by(_milliseconds),
        "dotnet_date": by(lambda moment: f"/Date({_milliseconds(moment)})/"),
    }


def _written(value: Any, zone: tzinfo | None, write: Callable[[datetime], Any]) -> Any:
    """A date without a time of day is read in the zone that it is written in, so it stays the date that it is."""
    here = zone or UTC
    moment, _ = read_timed(value, here)
    return None if moment is None else write(moment.astimezone(here))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


# ---------------------------------------------------------------- tables


def looked_up(table: Table, name: str, unknown: str) -> Change:
    """What a table says; `unknown`: letter, keep or omit."""

    def change(value: Any) -> Any:
        code = _code(value)
        if code in table:
            return table[code]
        if unknown == "keep":
            return value
        if unknown == "omit":
            return None
        raise Bad(f"is a code that table {name} does not have")

    return change


def looked_up_backwards(table: Table, name: str, unknown: str) -> Change:
    """The code that a table translates to the value: the mapping's own table, read from right to left."""
    codes: dict[str, list[str]] = {}
    for code, value in table.items():
        codes.setdefault(_code(value), []).append(code)
    plain = looked_up({value: found[0] for value, found in codes.items()}, name, unknown)

    def change(value: Any) -> Any:
        found = codes.get(_code(value), [])
        if len(found) > 1:
            some = ", ".join(found[:5])
            raise Bad(f"stands for several codes of table {name} ({some}): say which in a table for this direction")
        return plain(value)

    return change


def _code(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return code_text(Decimal(repr(value)) if isinstance(value, float) else value)
