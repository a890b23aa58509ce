"""Who masters what, and what happens when two sides changed the same record. Data, read by people and by code."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Master = Literal["odoo", "region"]
ConflictRule = Literal["master_wins", "latest_occurred_wins", "both_kept"]


class Ownership(Struct, frozen=True, kw_only=True):
    """One row of the table. `domain` is the first part of a type name, or a whole type name that differs."""

    domain: str
    master: Master
    conflict: ConflictRule
    why: str


OWNERSHIP: tuple[Ownership, ...] = (
    Ownership(domain="order", master="odoo", conflict="master_wins", why="Sales are promised and priced centrally."),
    Ownership(
        domain="order.acknowledged",
        master="region",
        conflict="latest_occurred_wins",
        why="Only the side that fulfils can say what it will fulfil.",
    ),
    Ownership(
        domain="shipment.requested",
        master="odoo",
        conflict="master_wins",
        why="It follows from the order; a warehouse may refuse it, not change it.",
    ),
    Ownership(
        domain="shipment",
        master="region",
        conflict="both_kept",
        why="Dispatch and milestones are facts of the physical world; each one stands.",
    ),
    Ownership(
        domain="stock",
        master="region",
        conflict="latest_occurred_wins",
        why="The warehouse counts; a later count replaces an earlier one.",
    ),
    Ownership(domain="goods", master="region", conflict="both_kept", why="Each receipt is a fact of its own."),
    Ownership(
        domain="invoice", master="odoo", conflict="master_wins", why="The books are kept centrally; a region reports."
    ),
    Ownership(
        domain="return", master="odoo", conflict="master_wins", why="Approval is a commercial decision with a refund."
    ),
    Ownership(
        domain="return.received",
        master="region",
        conflict="both_kept",
        why="What came back, and in which condition, is seen in the warehouse.",
    ),
    Ownership(domain="product", master="odoo", conflict="master_wins", why="One catalogue for all regions."),
    Ownership(
        domain="partner",
        master="region",
        conflict="latest_occurred_wins",
        why="Persons' data stays where it was collected; the centre holds what clearance released.",
    ),
    Ownership(domain="price", master="odoo", conflict="master_wins", why="Prices are decided centrally."),
    Ownership(
        domain="document", master="region", conflict="both_kept", why="An answer of a partner's system is a fact."
    ),
)

_BY_DOMAIN = {row.domain: row for row in OWNERSHIP}


def owner(type_name: str) -> Ownership:
    """The row for a canonical type: its own if there is one, else its domain's. Raises `KeyError`."""
    return _BY_DOMAIN.get(type_name) or _BY_DOMAIN[type_name.split(".", 1)[0]]
