"""Orders: created, changed, cancelled by the buyer's side; acknowledged by the side that fulfils."""

from __future__ import annotations

from typing import Annotated, Literal

from runtime.canonical.classes import Business, Class, FreeText, Subject
from runtime.canonical.identifiers import Gtin
from runtime.canonical.moments import Instant, Occurrence
from runtime.canonical.parties import Party
from runtime.canonical.quantities import Amount, Counted, Currency, Percent, Quantity

Customer = Annotated[Party, Subject("customer")]
Consignee = Annotated[Party, Subject("consignee")]
Supplier = Annotated[Party, Subject("supplier")]
LineAnswer = Annotated[Literal["accepted", "changed", "backordered", "rejected"], Class("business")]
OrderAnswer = Annotated[Literal["accepted", "changed", "rejected"], Class("business")]


class OrderLine(Counted, frozen=True, kw_only=True):
    """One ordered item. `line_id` is stable: a change names it again."""

    line_id: Business
    sku: Business
    quantity: Quantity
    gtin: Gtin | None = None
    description: Business | None = None
    """Name of the article. What a customer typed belongs into `remarks`."""
    unit_price: Amount | None = None
    line_total: Amount | None = None
    tax_percent: Percent | None = None
    requested_at: Instant | None = None
    remarks: FreeText | None = None


class OrderCreated(Occurrence, frozen=True, kw_only=True):
    """A buyer ordered. X12 850, EDIFACT ORDERS, UBL Order."""

    order_id: Business
    lines: tuple[OrderLine, ...]
    customer_reference: Business | None = None
    """The buyer's own order number."""
    channel: Business | None = None
    location_id: Business | None = None
    """The warehouse that shall fulfil it, if it is decided already."""
    currency: Currency | None = None
    net_total: Amount | None = None
    tax_total: Amount | None = None
    gross_total: Amount | None = None
    requested_at: Instant | None = None
    """When the buyer wants to have the goods."""
    incoterm: Business | None = None
    payment_terms: Business | None = None
    customer: Customer | None = None
    bill_to: Customer | None = None
    ship_to: Consignee | None = None
    remarks: FreeText | None = None


class OrderChanged(Occurrence, frozen=True, kw_only=True):
    """The whole order as it stands after a change; absent fields are unchanged."""

    order_id: Business
    revision: Business | None = None
    lines: tuple[OrderLine, ...] = ()
    """All lines of the order; empty when no line changed."""
    customer_reference: Business | None = None
    location_id: Business | None = None
    currency: Currency | None = None
    net_total: Amount | None = None
    tax_total: Amount | None = None
    gross_total: Amount | None = None
    requested_at: Instant | None = None
    reason_code: Business | None = None
    customer: Customer | None = None
    bill_to: Customer | None = None
    ship_to: Consignee | None = None
    remarks: FreeText | None = None


class OrderCancelled(Occurrence, frozen=True, kw_only=True):
    """The order, or the lines that are named, will not be fulfilled."""

    order_id: Business
    line_ids: tuple[Business, ...] = ()
    """Empty: the whole order."""
    reason_code: Business | None = None
    reason: FreeText | None = None


class AnsweredLine(Counted, frozen=True, kw_only=True):
    """What the fulfilling side says about one line. EDIFACT 1229: 5 accepted, 3 changed, 7 rejected."""

    line_id: Business
    answer: LineAnswer
    sku: Business | None = None
    quantity: Quantity | None = None
    """What is promised."""
    unit_price: Amount | None = None
    promised_at: Instant | None = None
    reason_code: Business | None = None


class OrderAcknowledged(Occurrence, frozen=True, kw_only=True):
    """The fulfilling side answered. X12 855/865, EDIFACT ORDRSP."""

    order_id: Business
    answer: OrderAnswer
    supplier_reference: Business | None = None
    promised_at: Instant | None = None
    currency: Currency | None = None
    lines: tuple[AnsweredLine, ...] = ()
    remarks: FreeText | None = None
