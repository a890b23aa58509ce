"""Invoices: posted, credited, paid. X12 810, EDIFACT INVOIC 380/381, Peppol billing-3."""

from __future__ import annotations

from typing import Annotated, Literal

from runtime.canonical.classes import Attachment, Business, Class, FreeText, Payment, Subject
from runtime.canonical.identifiers import Gtin
from runtime.canonical.moments import Canonical, Day, Occurrence
from runtime.canonical.parties import Party
from runtime.canonical.quantities import Amount, Counted, Currency, Percent, Quantity

Customer = Annotated[Party, Subject("customer")]
Supplier = Annotated[Party, Subject("supplier")]
PaymentMethod = Annotated[
    Literal["credit_transfer", "direct_debit", "card", "cash", "wallet", "offset", "other"], Class("business")
]


class TaxTotal(Canonical, frozen=True, kw_only=True):
    """Tax of one rate. `category` is UNCL5305 (S standard, Z zero, E exempt, AE reverse charge, K, G, O)."""

    amount: Amount
    percent: Percent | None = None
    category: Business | None = None
    net: Amount | None = None


class InvoiceLine(Counted, frozen=True, kw_only=True):
    """One charged item; `sku` is absent for services and freight."""

    line_id: Business
    sku: Business | None = None
    gtin: Gtin | None = None
    description: Business | None = None
    quantity: Quantity | None = None
    unit_price: Amount | None = None
    net: Amount | None = None
    tax_percent: Percent | None = None
    order_id: Business | None = None
    order_line_id: Business | None = None


class InvoicePosted(Occurrence, frozen=True, kw_only=True):
    """An invoice is booked and due."""

    invoice_id: Business
    currency: Currency
    gross_total: Amount
    net_total: Amount | None = None
    tax_total: Amount | None = None
    taxes: tuple[TaxTotal, ...] = ()
    lines: tuple[InvoiceLine, ...] = ()
    order_id: Business | None = None
    shipment_id: Business | None = None
    issued_on: Day | None = None
    due_on: Day | None = None
    supplier: Supplier | None = None
    customer: Customer | None = None
    payment_reference: Business | None = None
    payee_iban: Payment | None = None
    payee_bic: Payment | None = None
    document_url: Attachment | None = None
    remarks: FreeText | None = None


class InvoiceCredited(Occurrence, frozen=True, kw_only=True):
    """A credit note is booked; amounts are positive and mean what is given back."""

    credit_id: Business
    currency: Currency
    gross_total: Amount
    invoice_id: Business | None = None
    """The invoice that it corrects."""
    net_total: Amount | None = None
    tax_total: Amount | None = None
    taxes: tuple[TaxTotal, ...] = ()
    lines: tuple[InvoiceLine, ...] = ()
    order_id: Business | None = None
    return_id: Business | None = None
    issued_on: Day | None = None
    reason_code: Business | None = None
    supplier: Supplier | None = None
    customer: Customer | None = None
    document_url: Attachment | None = None
    reason: FreeText | None = None


class InvoicePaid(Occurrence, frozen=True, kw_only=True):
    """Money arrived for an invoice, in part or in full."""

    invoice_id: Business
    currency: Currency
    amount: Amount
    payment_id: Business | None = None
    method: PaymentMethod | None = None
    open_amount: Amount | None = None
    """What is still due; zero means settled."""
    paid_on: Day | None = None
    payer: Customer | None = None
    payer_account: Payment | None = None
    """IBAN or account number."""
    card_last4: Payment | None = None
    reference_text: FreeText | None = None
    """What the payer wrote on the transfer."""
