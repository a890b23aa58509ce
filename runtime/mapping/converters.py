"""The named converters of `convert = "…"`: one foreign value in, one plain value out, or `Bad`.

None means "there is no value"; the field is then treated as absent. None of them guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from runtime.canonical import identifiers
from runtime.canonical.units import UNITS
from runtime.mapping import instants
from runtime.mapping.faults import Bad, kind_of

DIGITS_MAX = 34
"""Of a decimal: IEEE 754 decimal128, more than any price, quantity or weight needs."""
INTEGER_MAX = 2**63 - 1
"""Larger numbers do not survive JSON readers that use 64-bit integers."""

_LOOSE = re.compile(r"([+-]?)([0-9]{1,34}|[0-9]{0,34}\.[0-9]{1,34}|[0-9]{1,34}\.)(?:[eE]([+-]?[0-9]{1,2}))?(-?)")
_COMMA = re.compile(r"([+-]?)([0-9]{1,3}(?:[. '][0-9]{3})+|[0-9]{1,34})?(?:,([0-9]{1,34}))?(-?)")
_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "f"})


def to_decimal(value: Any) -> Decimal | None:
    """A number, or text with a decimal point (`75.000` is seventy-five); a trailing minus is understood."""
    if value.__class__ is str:
        text: str = value
        # Nearly every price and quantity; three times faster than the pattern.
        if len(text) < DIGITS_MAX and text.isascii() and (text.isdigit() or text.replace(".", "", 1).isdigit()):
            return Decimal(text)
        return _loose_decimal(text.strip())
    if value.__class__ is int:
        return Decimal(value) if -INTEGER_MAX <= value <= INTEGER_MAX else _too_large()
    if value.__class__ is Decimal:
        text = str(value)
        if len(text) < DIGITS_MAX and "E" not in text and text[-1] not in "Ny":
            return value
        return _bounded(value)
    raise Bad(f"expected a number, got {kind_of(value)}")


def _loose_decimal(text: str) -> Decimal | None:
    match = _LOOSE.fullmatch(text)
    if match is None:
        if not text:
            return None
        raise Bad('not a number with a decimal point; for 1.234,50 use convert = "decimal_comma"')
    sign = "-" if (match[1] == "-") != (match[4] == "-") else ""
    return _bounded(Decimal(f"{sign}{match[2]}e{match[3] or 0}"))


def _bounded(number: Decimal) -> Decimal:
    if not number.is_finite() or not -40 < number.adjusted() < DIGITS_MAX:
        if number.is_finite() and number == 0:
            return Decimal(0)
        _too_large()
    _, digits, exponent = number.as_tuple()
    if len(digits) > DIGITS_MAX:
        _too_large()
    return number if int(exponent) <= 0 else Decimal(int(number))


def _too_large() -> Decimal:
    raise Bad(f"a number with more than {DIGITS_MAX} digits")


def decimal_comma(value: Any) -> Decimal | None:
    """Text with a decimal comma: `1.234,50`, `75.000` (seventy-five thousand), `12,5-`; numbers as they are."""
    if not isinstance(value, str):
        return to_decimal(value)
    text = value.replace("\u00a0", " ").replace("\u202f", " ").strip()
    if not text:
        return None
    match = _COMMA.fullmatch(text)
    if match is None or (match[2] is None and match[3] is None):
        raise Bad("not a number with a decimal comma")
    sign = "-" if (match[1] == "-") != (match[4] == "-") else ""
    whole = re.sub("[^0-9]", "", match[2] or "0")
    return _bounded(Decimal(f"{sign}{whole}.{match[3]}" if match[3] else f"{sign}{whole}"))


def money_implied2(value: Any) -> Decimal | None:
    """Two implied decimals (X12 810 TDS): `12345` is 123.45. A value with a decimal mark is refused."""
    if isinstance(value, str) and not value.strip():
        return None
    return _bounded(Decimal(to_integer(value)).scaleb(-2))


def absolute(value: Any) -> Decimal | None:
    """An amount without its sign, for senders that write what is given back as less than nothing."""
    number = to_decimal(value)
    return None if number is None else abs(number)


def negated(value: Any) -> Decimal | None:
    """An amount with the other sign, for senders that tell what goes out by a code and not by the number."""
    number = to_decimal(value)
    return None if number is None else -number


def to_integer(value: Any) -> int:
    """A whole number, also as text or as `3.0`; within 64 bits."""
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]{1,19}", value.strip()):
            raise Bad("not a whole number")
        value = int(value)
    elif value.__class__ is Decimal:
        if not value.is_finite() or abs(value) > INTEGER_MAX or value != value.to_integral_value():
            raise Bad("not a whole number")
        value = int(value)
    if value.__class__ is not int:
        raise Bad(f"expected a whole number, got {kind_of(value)}")
    if not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise Bad("a whole number beyond 64 bits")
    return value


def to_float(value: Any) -> float | None:
    """A number for the few fields that are not exact (coordinates)."""
    number = to_decimal(value)
    return None if number is None else float(number)


def to_boolean(value: Any) -> bool:
    """true/false, yes/no, 1/0 in any case; for words of other languages use a table."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) and value.__class__ is not bool else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Bad(f"not true or false but {kind_of(value)}")


def to_text(value: Any) -> str:
    """Text; a number becomes its digits (identifiers come as number or string, even from one sender)."""
    if value.__class__ is str:
        return value
    if value.__class__ is int and -(10**34) < value < 10**34:
        return str(value)
    if value.__class__ is Decimal:
        return format(_bounded(value), "f")
    raise Bad(f"expected text or a number, got {kind_of(value)}")


def strip(value: Any) -> str | None:
    """Without spaces around it; nothing left means no value."""
    return (value if value.__class__ is str else to_text(value)).strip() or None


def unless_zero(value: Any) -> str | None:
    """Text; zero means no value, as in the number of a customer who is a guest."""
    text = to_text(value).strip()
    return None if not text.strip("0") else text


def upper(value: Any) -> str:
    """In capitals."""
    return (value if value.__class__ is str else to_text(value)).upper()


def lower(value: Any) -> str:
    """In small letters."""
    return (value if value.__class__ is str else to_text(value)).lower()


def strip_zeros(value: Any) -> str | None:
    """Without leading zeros (`000000000000004711`); nothing but zeros is `0`."""
    text = to_text(value).strip()
    return text.lstrip("0") or ("0" if text else None)


def unpad(value: Any) -> str | None:
    """Numbers without leading zeros (`000000000000004711`), all else as it is (`00-A7`); only zeros mean no value."""
    text = to_text(value).strip()
    return (text.lstrip("0") if text.isdigit() else text) or None


def gtin14(value: Any) -> str | None:
    """GTIN-8, -12 and -13 padded with zeros to 14 digits. What is no GTIN stays as it is: a note, never a rejection."""
    return identifiers.gtin14(_bare(value)) or None


def sscc18(value: Any) -> str | None:
    """SSCC without brackets and blanks, and without its application identifier `00`."""
    text = _bare(value)
    return (text[2:] if len(text) == 20 and text.startswith("00") else text) or None


def gln13(value: Any) -> str | None:
    """GLN without blanks."""
    return _bare(value) or None


def _bare(value: Any) -> str:
    text = to_text(value)
    return text if text.isdigit() else re.sub(r"[ ()\-]", "", text)


SPELLINGS = {
    "EA": "EA", "PCE": "H87", "PCS": "H87", "PC": "H87", "STK": "H87", "H87": "H87", "C62": "C62",
    "KG": "KGM", "KGM": "KGM", "G": "GRM", "GR": "GRM", "GRM": "GRM", "MG": "MGM", "MGM": "MGM", "TO": "TNE", "TNE": "TNE", "LB": "LBR", "LBS": "LBR", "LBR": "LBR", "OZ": "ONZ", "ONZ": "ONZ", "M": "MTR",
    "MTR": "MTR", "CM": "CMT", "CMT": "CMT", "MM": "MMT", "MMT": "MMT", "M2": "MTK", "MTK": "MTK", "M3": "MTQ",
    "CBM": "MTQ", "MTQ": "MTQ", "L": "LTR", "LTR": "LTR", "ML": "MLT", "MLT": "MLT", "PR": "PR", "PAA": "PR",
    "SET": "SET", "DZ": "DZN", "DZN": "DZN", "CT": "XCT", "CTN": "XCT", "KAR": "XCT", "XCT": "XCT", "BX": "XBX",
    "BOX": "XBX", "XBX": "XBX", "PK": "XPK", "PKG": "XPK", "XPK": "XPK", "PAL": "XPX", "PLT": "XPX", "XPX": "XPX",
}  # fmt: skip
"""Everyday spellings → UN/CEFACT Rec 20 (Rec 21 packages with X).

What means different things to different senders (ST: Stück or set; T: tonne or thousand) is left out on purpose."""


def unit(value: Any) -> str:
    """A Rec 20 code from an everyday spelling, or as it is. An unknown one is refused: use a table of your own."""
    text = to_text(value).strip()
    code = SPELLINGS.get(text.upper()) or (text if text in UNITS else None)
    if code is None:
        raise Bad('not a known unit; add a table with the sender\'s codes (table = "units")')
    return code


CONVERTERS: dict[str, Callable[[object], object]] = {
    "string": to_text,
    "strip": strip,
    "unless_zero": unless_zero,
    "upper": upper,
    "lower": lower,
    "strip_zeros": strip_zeros,
    "unpad": unpad,
    "decimal": to_decimal,
    "decimal_comma": decimal_comma,
    "money_implied2": money_implied2,
    "absolute": absolute,
    "negated": negated,
    "integer": to_integer,
    "float": to_float,
    "boolean": to_boolean,
    "date": instants.read_date,
    "utc": instants.read_utc,
    "epoch_s": instants.epoch_seconds,
    "epoch_ms": instants.epoch_milliseconds,
    "dotnet_date": instants.dotnet_date,
    "unit": unit,
    "gtin14": gtin14,
    "sscc18": sscc18,
    "gln13": gln13,
}
"""`instant` is not among them: it also needs the zone, so the compiler writes it out."""
