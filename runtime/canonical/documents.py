"""Documents: the other side received a message of ours, and took it or not. X12 997/824, EDIFACT CONTRL/APERAK."""

from __future__ import annotations

from runtime.canonical.classes import Business, FreeText
from runtime.canonical.moments import Canonical, Occurrence


class DocumentFault(Canonical, frozen=True, kw_only=True):
    """One thing that the other side found wrong."""

    code: Business
    position: Business | None = None
    """Segment, line or field, as the other side counts."""
    text: FreeText | None = None


class DocumentAcknowledged(Occurrence, frozen=True, kw_only=True):
    """The document was read and taken."""

    document_id: Business
    kind: Business | None = None
    """What the document was: `850`, `ORDERS`, `order.created`."""
    business_key: Business | None = None
    """The order, shipment or invoice that it was about."""
    control_number: Business | None = None
    partner: Business | None = None
    """Interchange identity of the other side."""


class DocumentRejected(Occurrence, frozen=True, kw_only=True):
    """The document was refused; somebody has to look."""

    document_id: Business
    kind: Business | None = None
    business_key: Business | None = None
    control_number: Business | None = None
    partner: Business | None = None
    faults: tuple[DocumentFault, ...] = ()
