"""What an event says about business objects, and what a record becomes by it. Pure.

The newest occurrence wins, whatever order events arrive in: trackers and files tell late.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from runtime.canonical.moments import Instant
from runtime.canonical.registry import TYPES
from runtime.standing.records import Adjustment, Kind, Partner, Product, Record, Shipment, StockLevel, Subject

KEY_CHARS_MAX = 200
"""What is named by more is not kept: nobody could ask for it."""
PART_CHARS_MAX = 400
"""Location, status, lot and bin together, as JSON: they stand in cursors."""
_SUBJECTS: dict[str, Subject] = {
    "order_id": "order",
    "shipment_id": "shipment",
    "tracking_number": "tracking",
    "sku": "product",
    "receipt_id": "receipt",
    "invoice_id": "invoice",
    "credit_id": "invoice",
    "return_id": "return",
    "partner_id": "partner",
    "document_id": "document",
}

_STATED = {
    name: [(field, subject) for field, subject in _SUBJECTS.items() if field in entry.struct.__struct_fields__]
    for name, entry in TYPES.items()
}
"""Type → its fields that name business objects."""


class Said(NamedTuple):
    """A statement about one object. `part` tells apart what is counted apart; `group` is what lists are filtered by."""

    kind: Kind
    key: str
    part: str
    group: str | None
    record: Record


class Mention(Struct, frozen=True, kw_only=True):
    """The business keys of any event, and its one telling word."""

    occurred_at: Instant
    order_id: str | None = None
    shipment_id: str | None = None
    tracking_number: str | None = None
    sku: str | None = None
    receipt_id: str | None = None
    invoice_id: str | None = None
    credit_id: str | None = None
    return_id: str | None = None
    partner_id: str | None = None
    document_id: str | None = None
    milestone: str | None = None
    answer: str | None = None


class _Place(Struct, frozen=True):
    location_id: str | None = None
    country: str | None = None


class _Moved(Record, frozen=True, kw_only=True):
    """Any event about a shipment."""

    shipment_id: str | None = None
    tracking_number: str | None = None
    order_id: str | None = None
    milestone: str | None = None
    carrier: str | None = None
    carrier_code: str | None = None
    location_id: str | None = None
    estimated_at: Instant | None = None
    place: _Place = _Place()


class _Stated(Partner, frozen=True, kw_only=True):
    """A partner as events have it."""

    address: _Place = _Place()


read_mention: Callable[[bytes], Mention] = msgspec.json.Decoder(Mention).decode
_read_moved = msgspec.json.Decoder(_Moved).decode
_read_level = msgspec.json.Decoder(StockLevel).decode
_read_adjustment = msgspec.json.Decoder(Adjustment).decode
_read_product = msgspec.json.Decoder(Product).decode
_read_stated = msgspec.json.Decoder(_Stated).decode
_encode = msgspec.json.Encoder().encode
DECODERS: dict[str, Callable[[bytes], Any]] = {
    kind: msgspec.json.Decoder(struct).decode
    for kind, struct in (("shipment", Shipment), ("stock", StockLevel), ("product", Product), ("partner", Partner))
}
"""Kind → how a kept record is read."""


def subjects(name: str, mention: Mention) -> list[str]:
    """`order/1001`, `tracking/…`: every object whose timeline an event of this type belongs to."""
    stated = [(subject, getattr(mention, field)) for field, subject in _STATED[name]]
    return list(dict.fromkeys(f"{s}/{key}" for s, key in stated if key and len(key) <= KEY_CHARS_MAX))


def statements(name: str, body: bytes) -> list[Said]:
    """What an event of this type says. Raises `msgspec.MsgspecError` or `ArithmeticError` for one that cannot be read."""
    about = _ABOUT.get(name)
    return (
        []
        if about is None
        else [said for said in about(body) if 0 < len(said.key) <= KEY_CHARS_MAX and len(said.part) <= PART_CHARS_MAX]
    )


def merge(before: Record | None, said: Record) -> Record | None:
    """The record afterwards; None when nothing changes."""
    if isinstance(said, Adjustment):
        return _adjusted(before, said) if isinstance(before, StockLevel) or before is None else None
    if before is None:
        return said
    newer = said.occurred_at >= before.occurred_at
    if isinstance(said, StockLevel):
        return said if newer else None  # a count replaces the one before as a whole
    first, second = (said, before) if newer else (before, said)
    kept = asdict(first)
    missing = {
        name: value for name in _lasting(first) if kept[name] is None and (value := getattr(second, name)) is not None
    }
    if isinstance(first, Partner) and (first.kind or missing.get("kind")) != "organisation":
        missing.pop("name", None)
    return replace(first, **missing) if missing or newer else None


def together(records: list[Shipment]) -> Shipment:
    """One answer from the records of the names that a shipment goes by; the first is the one that was asked for."""
    found = records[0]
    for record in records[1:]:
        merged = merge(found, replace(record, id=found.id))
        found = merged if isinstance(merged, Shipment) else found
    return found


def _lasting(record: Record) -> tuple[str, ...]:
    """Fields that hold until something else is said. The others of a shipment belong to its newest occurrence."""
    if isinstance(record, Shipment):
        return "shipment_id", "tracking_number", "order_id", "carrier", "estimated_at"
    return record.__struct_fields__


def _adjusted(before: StockLevel | None, said: Adjustment) -> StockLevel | None:
    """None where the level is not known afterwards either: nobody guesses."""
    if before is None:
        return None if said.quantity_after is None else _counted(said, said.quantity_after)
    if said.occurred_at < before.occurred_at or _unit(said) not in (_unit(before), (None, None)):
        return None
    after = said.quantity_after
    if after is None:
        if said.change is None:
            return None
        after = before.on_hand + said.change
    available = None if before.available is None else before.available + (after - before.on_hand)
    return replace(before, on_hand=after, available=available, occurred_at=said.occurred_at, adjusted=True)


def _counted(said: Adjustment, on_hand: Decimal) -> StockLevel:
    return StockLevel(
        occurred_at=said.occurred_at,
        sku=said.sku,
        on_hand=on_hand,
        location_id=said.location_id,
        status=said.status,
        lot=said.lot,
        bin=said.bin,
        unit=said.unit,
        unit_raw=said.unit_raw,
        adjusted=True,
    )


def _unit(said: StockLevel | Adjustment) -> tuple[str | None, str | None]:
    return said.unit, said.unit_raw


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _shipments(moved: _Moved, status: Any) -> list[Said]:
    """The same under each name that it goes by: it may be asked for by either."""
    record = Shipment(
        occurred_at=_utc(moved.occurred_at),
        id="",
        status=status,
        shipment_id=moved.shipment_id,
        tracking_number=moved.tracking_number,
        order_id=moved.order_id,
        carrier=moved.carrier,
        carrier_code=moved.carrier_code,
        location_id=moved.place.location_id or moved.location_id,
        country=moved.place.country,
        estimated_at=None if moved.estimated_at is None else _utc(moved.estimated_at),
    )
    names = dict.fromkeys(name for name in (moved.shipment_id, moved.tracking_number) if name)
    return [Said("shipment", name, "", None, replace(record, id=name)) for name in names]


def _level(record: StockLevel | Adjustment) -> list[Said]:
    part = _encode((record.location_id, record.status, record.lot, record.bin)).decode()
    record = replace(record, occurred_at=_utc(record.occurred_at))
    return [Said("stock", record.sku, part, record.location_id, record)]


def _product(body: bytes) -> list[Said]:
    product = _read_product(body)
    return [Said("product", product.sku, "", None, replace(product, occurred_at=_utc(product.occurred_at)))]


def _partner(body: bytes) -> list[Said]:
    stated = _read_stated(body)
    kept = {name: getattr(stated, name) for name in Partner.__struct_fields__}
    kept["occurred_at"] = _utc(stated.occurred_at)
    kept["country"] = stated.country or stated.address.country
    if stated.kind != "organisation":
        kept["name"] = None
    return [Said("partner", stated.partner_id, "", stated.role, Partner(**kept))]


_ABOUT: dict[str, Callable[[bytes], list[Said]]] = {
    "shipment.requested": lambda body: _shipments(_read_moved(body), "requested"),
    "shipment.dispatched": lambda body: _shipments(_read_moved(body), "dispatched"),
    "shipment.milestone": lambda body: _shipments(moved := _read_moved(body), moved.milestone),
    "stock.snapshot": lambda body: _level(_read_level(body)),
    "stock.adjusted": lambda body: _level(_read_adjustment(body)),
    "product.changed": _product,
    "partner.changed": _partner,
}
