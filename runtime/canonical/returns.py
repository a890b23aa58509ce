"""Returns: requested by the customer, approved by the seller, received by the warehouse. X12 180, EDIFACT RETANN."""

from __future__ import annotations

from typing import Annotated, Literal

from runtime.canonical.classes import Attachment, Business, Class, EmployeeText, FreeText, Subject
from runtime.canonical.identifiers import Gtin
from runtime.canonical.moments import Instant, Occurrence
from runtime.canonical.parties import Party
from runtime.canonical.quantities import Amount, Counted, Currency, Quantity
from runtime.canonical.stock import Condition

Customer = Annotated[Party, Subject("customer")]
ReturnReason = Annotated[
    Literal["unwanted", "damaged", "defective", "wrong_item", "not_as_described", "late", "refused", "other"],
    Class("business"),
]
Disposition = Annotated[Literal["restock", "repair", "scrap", "return_to_vendor", "inspect"], Class("business")]
Resolution = Annotated[Literal["refund", "replace", "credit", "repair", "none"], Class("business")]


class ReturnLine(Counted, frozen=True, kw_only=True):
    """One item to send back."""

    sku: Business
    quantity: Quantity
    line_id: Business | None = None
    order_line_id: Business | None = None
    gtin: Gtin | None = None
    lot: Business | None = None
    serials: tuple[Business, ...] = ()
    reason: ReturnReason | None = None
    reason_text: FreeText | None = None
    photo_urls: tuple[Attachment, ...] = ()


class ReturnRequested(Occurrence, frozen=True, kw_only=True):
    """A customer wants to send goods back."""

    return_id: Business
    lines: tuple[ReturnLine, ...]
    order_id: Business | None = None
    shipment_id: Business | None = None
    wanted: Resolution | None = None
    customer: Customer | None = None
    remarks: FreeText | None = None


class ReturnApproved(Occurrence, frozen=True, kw_only=True):
    """The seller agreed; no lines means all that were requested."""

    return_id: Business
    lines: tuple[ReturnLine, ...] = ()
    order_id: Business | None = None
    authorisation: Business | None = None
    """RMA number."""
    location_id: Business | None = None
    """Where the goods shall go."""
    resolution: Resolution | None = None
    refund_amount: Amount | None = None
    currency: Currency | None = None
    expires_at: Instant | None = None
    tracking_number: Business | None = None
    label_url: Attachment | None = None
    remarks: FreeText | None = None


class ReturnedLine(Counted, frozen=True, kw_only=True):
    """What came back of one item, and what becomes of it."""

    sku: Business
    quantity: Quantity
    line_id: Business | None = None
    gtin: Gtin | None = None
    lot: Business | None = None
    serials: tuple[Business, ...] = ()
    condition: Condition | None = None
    disposition: Disposition | None = None
    remarks: FreeText | None = None


class ReturnReceived(Occurrence, frozen=True, kw_only=True):
    """Returned goods arrived at a warehouse."""

    return_id: Business
    lines: tuple[ReturnedLine, ...]
    order_id: Business | None = None
    location_id: Business | None = None
    tracking_number: Business | None = None
    inspected_by: EmployeeText | None = None
    remarks: FreeText | None = None
