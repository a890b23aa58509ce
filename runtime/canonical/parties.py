"""Who takes part, and where: parties, addresses and places. Most personal data lives here."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from runtime.canonical.classes import Business, Class, Confidential, FreeText
from runtime.canonical.identifiers import Gln
from runtime.canonical.moments import Canonical

Country = Annotated[str, Meta(pattern="^[A-Z]{2}$"), Class("business")]
"""ISO 3166-1 alpha-2."""
PartyKind = Annotated[Literal["organisation", "person"], Class("business")]
PersonName = Annotated[str, Class("personal.direct", subject="party")]
Contact = Annotated[str, Class("personal.contact", subject="party")]
AddressLine = Annotated[str, Class("personal.address", subject="party")]
Quasi = Annotated[str, Class("personal.quasi", subject="party")]
"""Says little alone, but points at a person together with other facts."""
Degrees = Annotated[float, Class("location.fine", subject="party")]


class Address(Canonical, frozen=True, kw_only=True):
    """A postal address."""

    street: AddressLine | None = None
    street2: AddressLine | None = None
    city: Quasi | None = None
    postal_code: Quasi | None = None
    region: Quasi | None = None
    """State, province or county, as the source writes it."""
    country: Country | None = None
    instructions: FreeText | None = None
    """Door codes, floors, neighbours: whatever somebody typed."""


class Party(Canonical, frozen=True, kw_only=True):
    """A customer, consignee, supplier or carrier. Nothing is required: sources know very different things."""

    party_id: Quasi | None = None
    """The number that the source knows this party by; a customer number can point at a person."""
    gln: Gln | None = None
    kind: PartyKind | None = None
    name: PersonName | None = None
    """Classed as a person's name, because a sole trader's firm is one and nobody can tell them apart."""
    contact_name: PersonName | None = None
    email: Contact | None = None
    phone: Contact | None = None
    tax_id: Confidential | None = None
    address: Address | None = None


class Place(Canonical, frozen=True, kw_only=True):
    """A spot on a transport's way, as carriers report it."""

    location_id: Business | None = None
    """A facility of the business: warehouse, hub, terminal."""
    gln: Gln | None = None
    unlocode: Business | None = None
    """UN/LOCODE, five characters."""
    city: Quasi | None = None
    postal_code: Quasi | None = None
    region: Quasi | None = None
    country: Country | None = None
    latitude: Degrees | None = None
    longitude: Degrees | None = None
