"""Master data: products, partners, prices. Each event states the record as it is after the change."""

from __future__ import annotations

from typing import Annotated, Literal

from runtime.canonical.classes import Business, Class, FreeText, Payment, Public
from runtime.canonical.identifiers import Gln, Gtin
from runtime.canonical.moments import Instant, Occurrence
from runtime.canonical.parties import Address, Contact, Country, PartyKind, PersonName, Quasi
from runtime.canonical.quantities import Amount, CountedOccurrence, Currency, Measure, Percent, Quantity

Flag = Annotated[bool, Class("business")]
PartnerRole = Annotated[Literal["customer", "supplier", "carrier", "warehouse", "other"], Class("business")]


class ProductChanged(CountedOccurrence, frozen=True, kw_only=True):
    """A product as it is now; `unit` is the unit that stock is kept in."""

    sku: Business
    gtin: Gtin | None = None
    name: Public | None = None
    brand: Public | None = None
    category: Business | None = None
    active: Flag | None = None
    weight: Measure | None = None
    volume: Measure | None = None
    hs_code: Business | None = None
    """Customs tariff number."""
    origin: Country | None = None
    un_number: Business | None = None
    """Dangerous goods."""
    lot_tracked: Flag | None = None
    serial_tracked: Flag | None = None
    shelf_life_days: Annotated[int, Class("business")] | None = None
    cost: Amount | None = None
    currency: Currency | None = None
    remarks: FreeText | None = None


class PartnerChanged(Occurrence, frozen=True, kw_only=True):
    """A business partner as it is now."""

    partner_id: Quasi
    role: PartnerRole | None = None
    kind: PartyKind | None = None
    active: Flag | None = None
    gln: Gln | None = None
    name: PersonName | None = None
    contact_name: PersonName | None = None
    email: Contact | None = None
    phone: Contact | None = None
    tax_id: Annotated[str, Class("business.confidential", subject="party")] | None = None
    address: Address | None = None
    payment_terms: Business | None = None
    credit_limit: Amount | None = None
    currency: Currency | None = None
    iban: Payment | None = None
    bic: Payment | None = None
    account_holder: Payment | None = None
    remarks: FreeText | None = None


class PriceChanged(CountedOccurrence, frozen=True, kw_only=True):
    """The price of one product, in one list, from a quantity on."""

    sku: Business
    price: Amount
    currency: Currency
    price_list: Business | None = None
    partner_id: Quasi | None = None
    """Set when the price was agreed with one partner."""
    minimum_quantity: Quantity | None = None
    tax_included: Flag | None = None
    tax_percent: Percent | None = None
    valid_from: Instant | None = None
    valid_until: Instant | None = None
