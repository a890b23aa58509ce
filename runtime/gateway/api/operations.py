"""The one table of the API: addresses, scopes, parameters and answers. Routing and the OpenAPI document both read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args
from urllib.parse import unquote

from msgspec import Struct

from runtime.access.scopes import Scope
from runtime.envelope import Receipt
from runtime.gateway.trial import Output
from runtime.standing.fold import KEY_CHARS_MAX
from runtime.standing.records import Entry, Partner, Product, Shipment, StockLevel, Subject

ROOT = "/api/v1"
DOCUMENT = f"{ROOT}/openapi.json"
LIMIT_DEFAULT = 50
CURSOR_CHARS_MAX = 4_000
"""The longest that is given out: a key and a part of the greatest length, escaped."""


class Submission(Struct, frozen=True, kw_only=True):
    """An order that was taken: the receipt, and what it is translated to by `rules`."""

    receipt: Receipt
    rules: str
    outputs: list[Output]


class StockPage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`next`: the cursor of the next page; absent on the last."""

    items: list[StockLevel]
    next: str | None = None


class ProductPage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`next`: the cursor of the next page; absent on the last."""

    items: list[Product]
    next: str | None = None


class PartnerPage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`next`: the cursor of the next page; absent on the last."""

    items: list[Partner]
    next: str | None = None


class Timeline(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """In the order in which the region learned of them. `next`: the cursor of the next page; absent on the last."""

    items: list[Entry]
    next: str | None = None


class Parameter(Struct, frozen=True, kw_only=True):
    """One part of an address or of a query; text of 1 to `chars_max` characters, or one of `choices`."""

    name: str
    says: str
    chars_max: int = KEY_CHARS_MAX
    choices: tuple[str, ...] = ()


class Operation(Struct, frozen=True, kw_only=True):
    """One row. `kind`: what is looked up. A path ends in the parameters of `path_parameters`."""

    id: str
    summary: str
    path: str
    scope: Scope
    answer: Any
    kind: Literal["order", "shipment", "stock", "product", "partner", "timeline"]
    one: bool = False
    """Asks for one object, which may not be there."""
    group: str = ""
    """The query parameter that filters by the group of the rows."""
    key: str = ""
    """The query parameter that filters by their key."""
    path_parameters: tuple[Parameter, ...] = ()
    filters: tuple[Parameter, ...] = ()

    @property
    def method(self) -> str:
        return "POST" if self.kind == "order" else "GET"

    @property
    def pages(self) -> bool:
        """Whether it takes `limit` and `cursor`."""
        return self.kind != "order" and not self.one

    @property
    def template(self) -> str:
        """`/api/v1/products/{sku}`"""
        return "/".join([self.path, *(f"{{{parameter.name}}}" for parameter in self.path_parameters)])


def _read(resource: str) -> Scope:
    return "api", resource, "read"


SUBMIT: Scope = ("api", "orders", "write")
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="submit-order",
        summary="Submit an order: it is tried first, and taken only if it is valid",
        path=f"{ROOT}/orders",
        scope=SUBMIT,
        answer=Submission,
        kind="order",
    ),
    Operation(
        id="get-shipment",
        summary="Where one shipment stands",
        path=f"{ROOT}/shipments",
        scope=_read("shipments"),
        answer=Shipment,
        kind="shipment",
        one=True,
        path_parameters=(Parameter(name="id", says="Its id, or its tracking number."),),
    ),
    Operation(
        id="list-stock",
        summary="Stock by item and location",
        path=f"{ROOT}/stock",
        scope=_read("stock"),
        answer=StockPage,
        kind="stock",
        group="location_id",
        key="sku",
        filters=(
            Parameter(name="sku", says="Only this item."),
            Parameter(name="location_id", says="Only at this location."),
        ),
    ),
    Operation(
        id="list-products",
        summary="Products",
        path=f"{ROOT}/products",
        scope=_read("products"),
        answer=ProductPage,
        kind="product",
    ),
    Operation(
        id="get-product",
        summary="One product",
        path=f"{ROOT}/products",
        scope=_read("products"),
        answer=Product,
        kind="product",
        one=True,
        path_parameters=(Parameter(name="sku", says="Its number."),),
    ),
    Operation(
        id="list-partners",
        summary="Business partners, perhaps of one role",
        path=f"{ROOT}/partners",
        scope=_read("partners"),
        answer=PartnerPage,
        kind="partner",
        group="role",
        filters=(
            Parameter(
                name="role",
                says="Only of this role.",
                choices=("customer", "supplier", "carrier", "warehouse", "other"),
            ),
        ),
    ),
    Operation(
        id="get-partner",
        summary="One business partner",
        path=f"{ROOT}/partners",
        scope=_read("partners"),
        answer=Partner,
        kind="partner",
        one=True,
        path_parameters=(Parameter(name="partner_id", says="Its number."),),
    ),
    Operation(
        id="get-timeline",
        summary="Every event that names a business key",
        path=f"{ROOT}/timeline",
        scope=_read("timeline"),
        answer=Timeline,
        kind="timeline",
        path_parameters=(
            Parameter(name="subject", says="What the key names.", choices=get_args(Subject)),
            Parameter(name="key", says="The business key, such as an order number."),
        ),
    ),
)
_BY_SHAPE = {(operation.path, len(operation.path_parameters)): operation for operation in OPERATIONS}


class Route(Struct, frozen=True):
    """An operation and the decoded parts of its address."""

    operation: Operation
    values: Mapping[str, str]


def route(path: str) -> Route | None:
    """The operation at a raw path without its query; None when there is none."""
    area, *rest = path.removeprefix(f"{ROOT}/").split("/")
    operation = _BY_SHAPE.get((f"{ROOT}/{area}", len(rest)))
    if operation is None or not path.startswith(f"{ROOT}/"):
        return None
    values: dict[str, str] = {}
    for parameter, raw in zip(operation.path_parameters, rest, strict=True):
        value = unquote(raw, errors="replace")
        if not 0 < len(value) <= parameter.chars_max or (parameter.choices and value not in parameter.choices):
            return None
        values[parameter.name] = value
    return Route(operation, values)
