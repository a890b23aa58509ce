"""Stock: what is there, what is promised, what was taken, what came in. One item an event where it can be."""

from __future__ import annotations

from typing import Annotated, Literal

from runtime.canonical.classes import Business, Class, EmployeeText, FreeText, Subject
from runtime.canonical.identifiers import Gtin, Sscc
from runtime.canonical.moments import Day, Instant, Occurrence
from runtime.canonical.parties import Party
from runtime.canonical.quantities import Counted, CountedOccurrence, Quantity

StockStatus = Annotated[
    Literal["available", "blocked", "quality", "damaged", "expired", "in_transit"], Class("business")
]
Condition = Annotated[Literal["good", "damaged", "expired", "wrong_item", "unknown"], Class("business")]


class ReservedLine(Counted, frozen=True, kw_only=True):
    """What is promised to one line of a document."""

    sku: Business
    quantity: Quantity
    line_id: Business | None = None
    gtin: Gtin | None = None
    lot: Business | None = None
    shortage: Quantity | None = None
    """Asked for, but not there."""


class StockReserved(Occurrence, frozen=True, kw_only=True):
    """Stock is promised to an order, so nobody else may sell it."""

    order_id: Business
    lines: tuple[ReservedLine, ...]
    reservation_id: Business | None = None
    location_id: Business | None = None
    expires_at: Instant | None = None


class PickedLine(Counted, frozen=True, kw_only=True):
    """What was taken for one line."""

    sku: Business
    quantity: Quantity
    line_id: Business | None = None
    gtin: Gtin | None = None
    lot: Business | None = None
    serials: tuple[Business, ...] = ()
    bin: Business | None = None
    short: Quantity | None = None
    """Ordered, but not found."""


class StockPicked(Occurrence, frozen=True, kw_only=True):
    """Goods were taken from the shelf for an order."""

    order_id: Business
    lines: tuple[PickedLine, ...]
    pick_id: Business | None = None
    shipment_id: Business | None = None
    location_id: Business | None = None
    picker: EmployeeText | None = None


class StockAdjusted(CountedOccurrence, frozen=True, kw_only=True):
    """The quantity of one item changed outside of order and receipt. X12 947.

    `change` is a difference, `quantity_after` what was counted; at least one is stated.
    """

    sku: Business
    location_id: Business | None = None
    adjustment_id: Business | None = None
    gtin: Gtin | None = None
    change: Quantity | None = None
    quantity_after: Quantity | None = None
    status: StockStatus | None = None
    lot: Business | None = None
    bin: Business | None = None
    best_before: Day | None = None
    reason_code: Business | None = None
    reason: FreeText | None = None
    counted_by: EmployeeText | None = None


class StockSnapshot(CountedOccurrence, frozen=True, kw_only=True):
    """How much of one item is there at one instant: absolute, replaces what was said before. X12 846, INVRPT."""

    sku: Business
    on_hand: Quantity
    location_id: Business | None = None
    gtin: Gtin | None = None
    available: Quantity | None = None
    reserved: Quantity | None = None
    incoming: Quantity | None = None
    status: StockStatus | None = None
    lot: Business | None = None
    bin: Business | None = None
    best_before: Day | None = None
    snapshot_id: Business | None = None
    """Names the count that this line is a part of."""


class ReceivedLine(Counted, frozen=True, kw_only=True):
    """What arrived of one item."""

    sku: Business
    quantity: Quantity
    line_id: Business | None = None
    gtin: Gtin | None = None
    expected: Quantity | None = None
    condition: Condition | None = None
    lot: Business | None = None
    best_before: Day | None = None
    sscc: Sscc | None = None
    remarks: FreeText | None = None


class GoodsReceived(Occurrence, frozen=True, kw_only=True):
    """Goods arrived at a warehouse. X12 944/861, EDIFACT RECADV."""

    receipt_id: Business
    lines: tuple[ReceivedLine, ...]
    order_id: Business | None = None
    """The purchase order."""
    shipment_id: Business | None = None
    location_id: Business | None = None
    final: Annotated[bool, Class("business")] | None = None
    """True: nothing more is expected on this receipt."""
    supplier: Annotated[Party, Subject("supplier")] | None = None
    received_by: EmployeeText | None = None
    remarks: FreeText | None = None
