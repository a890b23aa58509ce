"""Shipments: asked for, handed to a carrier, and followed by milestones until they arrive."""

from __future__ import annotations

from typing import Annotated, Literal

from runtime.canonical.classes import Attachment, Business, Class, FreeText, Secret, Subject
from runtime.canonical.identifiers import Gtin, Sscc
from runtime.canonical.moments import Canonical, Instant, Occurrence
from runtime.canonical.parties import Party, PersonName, Place
from runtime.canonical.quantities import Amount, Counted, Currency, Measure, Quantity

Consignee = Annotated[Party, Subject("consignee")]
Shipper = Annotated[Party, Subject("shipper")]
Driver = Annotated[str, Class("employee", subject="driver")]

Milestone = Annotated[
    Literal[
        "label_created",
        "pickup_scheduled",
        "picked_up",
        "departed",
        "arrived",
        "in_transit",
        "customs_hold",
        "customs_cleared",
        "out_for_delivery",
        "available_for_pickup",
        "delivery_attempted",
        "delivered",
        "delayed",
        "exception",
        "damaged",
        "lost",
        "held",
        "returning",
        "returned",
        "cancelled",
        "unknown",
    ],
    Class("business"),
]
"""One list for all carriers: X12 214 AT7, EDIFACT STS and every tracker map to it.
`unknown` keeps a code that nobody has mapped yet, in `carrier_code`."""


class ShipmentLine(Counted, frozen=True, kw_only=True):
    """An item of a shipment."""

    sku: Business
    quantity: Quantity
    line_id: Business | None = None
    gtin: Gtin | None = None
    description: Business | None = None
    lot: Business | None = None
    serials: tuple[Business, ...] = ()
    sscc: Sscc | None = None
    """The logistic unit that it lies in."""


class Package(Canonical, frozen=True, kw_only=True):
    """One parcel, pallet or other logistic unit."""

    package_id: Business | None = None
    sscc: Sscc | None = None
    tracking_number: Business | None = None
    kind: Business | None = None
    """UN/CEFACT Rec 21 with X (XBX box, XPX pallet), or the source's word."""
    weight: Measure | None = None
    volume: Measure | None = None
    length: Measure | None = None
    width: Measure | None = None
    height: Measure | None = None


class ShipmentRequested(Occurrence, frozen=True, kw_only=True):
    """A warehouse shall ship. X12 940, EDIFACT INSDES/IFTMIN, fulfilment orders."""

    shipment_id: Business
    lines: tuple[ShipmentLine, ...]
    order_id: Business | None = None
    location_id: Business | None = None
    carrier: Business | None = None
    service: Business | None = None
    ship_by: Instant | None = None
    deliver_by: Instant | None = None
    incoterm: Business | None = None
    ship_to: Consignee | None = None
    pickup_code: Secret | None = None
    """Whoever knows it gets the goods."""
    remarks: FreeText | None = None


class ShipmentDispatched(Occurrence, frozen=True, kw_only=True):
    """Goods left the warehouse. X12 945/856, EDIFACT DESADV, UBL DespatchAdvice, EPCIS shipping."""

    shipment_id: Business
    lines: tuple[ShipmentLine, ...] = ()
    order_id: Business | None = None
    location_id: Business | None = None
    carrier: Business | None = None
    """SCAC, or the code that the source uses."""
    service: Business | None = None
    tracking_number: Business | None = None
    packages: tuple[Package, ...] = ()
    weight: Measure | None = None
    freight_cost: Amount | None = None
    currency: Currency | None = None
    estimated_at: Instant | None = None
    """When it should arrive."""
    ship_from: Shipper | None = None
    ship_to: Consignee | None = None
    vehicle: Annotated[str, Class("personal.quasi", subject="driver")] | None = None
    driver: Driver | None = None
    label_url: Attachment | None = None
    remarks: FreeText | None = None


class ShipmentMilestone(Occurrence, frozen=True, kw_only=True):
    """A transport reached a point of its way. X12 214, EDIFACT IFTSTA, trackers."""

    tracking_number: Business
    """What the carrier calls the transport: parcel number, PRO, bill of lading."""
    milestone: Milestone
    shipment_id: Business | None = None
    order_id: Business | None = None
    carrier: Business | None = None
    carrier_code: Business | None = None
    """The carrier's own status code."""
    reason_code: Business | None = None
    sscc: Sscc | None = None
    estimated_at: Instant | None = None
    place: Annotated[Place, Subject("consignee")] | None = None
    signed_by: Annotated[PersonName, Subject("consignee")] | None = None
    proof_url: Attachment | None = None
    carrier_text: FreeText | None = None
    """The carrier's words; they may name persons."""
