"""GS1 identifiers: types for the leaves, and check-digit functions.

Pure. A wrong check digit is a note on data quality, never a reason to reject: vendors' own sample messages
fail it (GS1 General Specifications, section 7.9).
"""

from __future__ import annotations

from typing import Annotated

from runtime.canonical.classes import Class


class Scheme(str):
    """Marks a leaf that carries an identifier of this scheme: gtin, sscc or gln."""

    __slots__ = ()


Gtin = Annotated[str, Class("business"), Scheme("gtin")]
"""GTIN-14, zero-padded on the left."""
Sscc = Annotated[str, Class("business"), Scheme("sscc")]
"""SSCC-18: one logistic unit."""
Gln = Annotated[str, Class("business"), Scheme("gln")]
"""GLN-13: one location or legal entity."""

_LENGTHS = {"gtin": (8, 12, 13, 14), "sscc": (18,), "gln": (13,)}


def check_digit(digits: str) -> str:
    """The GS1 check digit for `digits`, which stand without it. Raises `ValueError` for anything but ASCII digits."""
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"a GS1 number has digits only, not {digits!r}")
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def gtin14(raw: str) -> str:
    """Pad GTIN-8, -12 and -13 to 14 digits; anything else comes back as it is, without surrounding blanks."""
    text = raw.strip()
    return text.zfill(14) if text.isascii() and text.isdigit() and len(text) in _LENGTHS["gtin"] else text


def quality_note(scheme: str, value: str) -> str | None:
    """None if `value` is a well-formed identifier, else what is wrong: `<scheme>-digits`, `-length` or `-check`."""
    if not (value.isascii() and value.isdigit()):
        return f"{scheme}-digits"
    if len(value) not in _LENGTHS[scheme]:
        return f"{scheme}-length"
    return None if check_digit(value[:-1]) == value[-1] else f"{scheme}-check"
