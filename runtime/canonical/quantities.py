"""Amounts, quantities and units: decimals (JSON strings), ISO 4217 currencies, UN/CEFACT units."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from runtime.canonical.classes import Business, Class
from runtime.canonical.moments import Canonical, Occurrence

Quantity = Annotated[Decimal, Class("business")]
Amount = Annotated[Decimal, Class("business.confidential")]
"""Money, in the currency of the document that it stands in."""
Percent = Annotated[Decimal, Class("business.confidential")]
"""19 means 19 %."""
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$"), Class("business")]
"""ISO 4217 alphabetic code."""
Unit = Annotated[str, Meta(pattern="^[0-9A-Z]{2,3}$"), Class("business")]
"""UN/CEFACT Rec 20 code; Rec 21 package codes stand behind an X (XBX: box). See `units.unit_fields`."""


class Counted(Canonical, frozen=True, kw_only=True):
    """The unit that the quantities of one line or item are counted in."""

    unit: Unit | None = None
    unit_raw: Business | None = None
    """What the source wrote, kept when it is no known code; `unit` is then absent. Nobody guesses."""


class CountedOccurrence(Occurrence, frozen=True, kw_only=True):
    """An event about one item; the same two leaves as `Counted`."""

    unit: Unit | None = None
    unit_raw: Business | None = None


class Measure(Canonical, frozen=True, kw_only=True):
    """A physical measure: weight, volume, length."""

    value: Quantity
    unit: Unit | None = None
    unit_raw: Business | None = None
