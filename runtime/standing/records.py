"""What is known of one business object. Structs only; a record holds the fields that are answered, and no others.

Persons are left out: of a partner the name is kept only where the source says that it is an organisation.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from runtime.canonical.masterdata import PartnerRole
from runtime.canonical.moments import Instant
from runtime.canonical.parties import Country, PartyKind
from runtime.canonical.quantities import Currency, Unit
from runtime.canonical.shipments import Milestone
from runtime.canonical.stock import StockStatus

Kind = Literal["shipment", "stock", "product", "partner"]
Subject = Literal[
    "order", "shipment", "tracking", "product", "receipt", "invoice", "return", "partner", "document"
]  # fmt: skip
"""What a business key names."""


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is not stated is absent."""

    occurred_at: Instant
    """When that was so in the real world, UTC."""


class Shipment(Record, frozen=True, kw_only=True):
    """A shipment or transport, by the newest thing that happened to it."""

    id: str
    """What it was asked for by: the shipment's id or its tracking number."""
    status: Literal["requested", "dispatched"] | Milestone
    shipment_id: str | None = None
    tracking_number: str | None = None
    order_id: str | None = None
    carrier: str | None = None
    carrier_code: str | None = None
    """The carrier's own status code."""
    location_id: str | None = None
    """Facility of the business where it happened."""
    country: Country | None = None
    estimated_at: Instant | None = None
    """When it should arrive."""


class StockLevel(Record, frozen=True, kw_only=True):
    """How much of one item is at one location, by the newest count; lot, bin and status where they are counted apart."""

    sku: str
    on_hand: Decimal
    location_id: str | None = None
    status: StockStatus | None = None
    lot: str | None = None
    bin: str | None = None
    available: Decimal | None = None
    reserved: Decimal | None = None
    incoming: Decimal | None = None
    unit: Unit | None = None
    unit_raw: str | None = None
    adjusted: bool = False
    """True: counted earlier, and changed by an adjustment since."""


class Adjustment(Record, frozen=True, kw_only=True):
    """A change of a level; never kept itself."""

    sku: str
    location_id: str | None = None
    status: StockStatus | None = None
    lot: str | None = None
    bin: str | None = None
    change: Decimal | None = None
    quantity_after: Decimal | None = None
    unit: Unit | None = None
    unit_raw: str | None = None


class Product(Record, frozen=True, kw_only=True):
    """A product as it is now. Costs are not kept."""

    sku: str
    gtin: str | None = None
    name: str | None = None
    brand: str | None = None
    category: str | None = None
    active: bool | None = None
    hs_code: str | None = None
    """Customs tariff number."""
    origin: Country | None = None
    un_number: str | None = None
    """Dangerous goods."""
    lot_tracked: bool | None = None
    serial_tracked: bool | None = None
    shelf_life_days: int | None = None
    unit: Unit | None = None
    unit_raw: str | None = None


class Partner(Record, frozen=True, kw_only=True):
    """A business partner as it is now; no contact, address, tax or bank data."""

    partner_id: str
    role: PartnerRole | None = None
    kind: PartyKind | None = None
    active: bool | None = None
    gln: str | None = None
    name: str | None = None
    """Of organisations only."""
    country: Country | None = None
    currency: Currency | None = None


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event in the timeline of a business object. `origin` names it at the hub as well."""

    origin: str
    type: str
    source: str
    occurred_at: Instant
    status: str | None = None
    """Of a milestone: which; of an acknowledged order: the answer."""
