"""The list of canonical types: short name, struct, version, business key; and how old versions become new ones.

A stored name never changes its meaning: a new shape is a new version with an upcaster from the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from runtime.canonical import documents, invoices, masterdata, orders, returns, shipments, stock
from runtime.canonical.moments import Occurrence
from runtime.errors import Permanent
from runtime.record import TYPE_PREFIX

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class CanonicalType(Struct, frozen=True, kw_only=True):
    """One type of the vocabulary."""

    name: str
    """Short name, `<domain>.<event>`."""
    struct: type[Occurrence]
    key_field: str
    """The leaf that names the business object; always required, always at the top."""
    version: int = 1

    @property
    def domain(self) -> str:
        return self.name.split(".", 1)[0]

    @property
    def event(self) -> str:
        return self.name.split(".", 1)[1]

    @property
    def ce_type(self) -> str:
        """The CloudEvents `type`, e.g. `io.entrepot.stock.snapshot.v1`."""
        return f"{TYPE_PREFIX}{self.name}.v{self.version}"


def _type(name: str, struct: type[Occurrence], key_field: str) -> CanonicalType:
    return CanonicalType(name=name, struct=struct, key_field=key_field)


_ALL = (
    _type("order.created", orders.OrderCreated, "order_id"),
    _type("order.changed", orders.OrderChanged, "order_id"),
    _type("order.cancelled", orders.OrderCancelled, "order_id"),
    _type("order.acknowledged", orders.OrderAcknowledged, "order_id"),
    _type("shipment.requested", shipments.ShipmentRequested, "shipment_id"),
    _type("shipment.dispatched", shipments.ShipmentDispatched, "shipment_id"),
    _type("shipment.milestone", shipments.ShipmentMilestone, "tracking_number"),
    _type("stock.reserved", stock.StockReserved, "order_id"),
    _type("stock.picked", stock.StockPicked, "order_id"),
    _type("stock.adjusted", stock.StockAdjusted, "sku"),
    _type("stock.snapshot", stock.StockSnapshot, "sku"),
    _type("goods.received", stock.GoodsReceived, "receipt_id"),
    _type("invoice.posted", invoices.InvoicePosted, "invoice_id"),
    _type("invoice.credited", invoices.InvoiceCredited, "credit_id"),
    _type("invoice.paid", invoices.InvoicePaid, "invoice_id"),
    _type("return.requested", returns.ReturnRequested, "return_id"),
    _type("return.approved", returns.ReturnApproved, "return_id"),
    _type("return.received", returns.ReturnReceived, "return_id"),
    _type("product.changed", masterdata.ProductChanged, "sku"),
    _type("partner.changed", masterdata.PartnerChanged, "partner_id"),
    _type("price.changed", masterdata.PriceChanged, "sku"),
    _type("document.acknowledged", documents.DocumentAcknowledged, "document_id"),
    _type("document.rejected", documents.DocumentRejected, "document_id"),
)

TYPES: dict[str, CanonicalType] = {entry.name: entry for entry in _ALL}
NAMES: dict[type[Struct], str] = {entry.struct: entry.name for entry in _ALL}
UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(short name, version n) → a function from version n to n + 1 on plain dicts. Empty while all are version 1."""


@cache
def decoder(name: str) -> msgspec.json.Decoder[Any]:
    """JSON decoder of the current version; unknown fields are skipped. Raises `KeyError` for an unknown name."""
    return msgspec.json.Decoder(TYPES[name].struct)


def parse_ce_type(ce_type: str) -> tuple[str, int]:
    """`io.entrepot.stock.snapshot.v1` → (`stock.snapshot`, 1). Raises `Permanent`."""
    name, _, version = ce_type.removeprefix(TYPE_PREFIX).rpartition(".v")
    if not ce_type.startswith(TYPE_PREFIX) or not name or not (version.isascii() and version.isdigit()):
        raise Permanent(f"{ce_type!r} is no Entrepot type name ({TYPE_PREFIX}<domain>.<event>.v<n>)")
    return name, int(version)


def upcast(
    name: str,
    version: int,
    raw: dict[str, Any],
    *,
    types: Mapping[str, CanonicalType] = TYPES,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
) -> Any:
    """The current struct from a dict of any older version; `raw` is not changed if the upcasters do not.

    Raises `Permanent` for an unknown name, a version newer than this program, or data that does not fit.
    """
    target = types.get(name)
    if target is None:
        raise Permanent(f"{name!r} is no canonical type", hint="`entrepot schema` lists them")
    if version > target.version:
        raise Permanent(
            f"{name} v{version} is newer than this program knows (v{target.version})", hint="upgrade this agent first"
        )
    for step in range(version, target.version):
        upcaster = upcasters.get((name, step))
        if upcaster is None:
            raise Permanent(f"{name} v{step} can no longer be read: its upcaster is gone")
        raw = upcaster(raw)
    try:
        return msgspec.convert(raw, target.struct, strict=False)
    except msgspec.ValidationError as error:
        raise Permanent(f"{name} v{version} does not fit its schema: {error}") from error
