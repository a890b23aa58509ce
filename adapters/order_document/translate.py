"""Takes an order.created document as it is, once it has proved whole: a JSON pointer names what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from runtime.canonical.classes import Class
from runtime.canonical.orders import OrderCreated, OrderLine
from runtime.envelope import Envelope, Event, Ignored
from runtime.errors import Untranslatable
from runtime.ports import NO_HEADERS

ORDER_ID_CHARS_MAX = 200
LINES_MAX = 10_000
LARGEST = Decimal("1E15")
"""Quantities and amounts stay below: more digits are a mistake of the sender, and sums must stay exact."""
_HINT = "`entrepot schema order.created` shows what a document may hold"
_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class OrderDocument(OrderCreated, frozen=True, kw_only=True):
    """An order.created with what a sender may not leave empty."""

    order_id: Annotated[str, Meta(min_length=1, max_length=ORDER_ID_CHARS_MAX), Class("business")]
    lines: Annotated[tuple[OrderLine, ...], Meta(min_length=1, max_length=LINES_MAX)]


class _Named(Struct):
    order_id: str


_document = msgspec.json.Decoder(OrderDocument).decode
_named = msgspec.json.Decoder(_Named).decode


class OrderDocuments:
    """Implements `runtime.ports.Translator`."""

    version = "order-document 1"
    headers: Sequence[str] = ()

    def key(self, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None:
        """An order is created once: its number is the key."""
        try:
            return _named(body).order_id or None
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return None

    def partition_key(self, envelope: Envelope) -> str | None:
        """See `runtime.ports.Translator`."""
        return self.key(envelope.body, envelope.content_type)

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        """See `runtime.ports.Translator`."""
        try:
            document = _document(envelope.body)
        except msgspec.ValidationError as error:
            said = _MESSAGE.match(str(error))
            what, path = (said["what"], said["path"] or "") if said else (str(error), "")
            raise Untranslatable(_plain(what), position=_pointer(path), hint=_HINT) from None
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise Untranslatable("the message is no JSON document", hint=_HINT) from None
        for pointer, number in _decimals(document, ""):
            if not number.is_finite() or abs(number) >= LARGEST:
                raise Untranslatable("a number must be finite and below 1E15", position=pointer, hint=_HINT)
        order = OrderCreated(**asdict(document))
        return [Event(data=order, partition_key=order.order_id)]


def _plain(what: str) -> str:
    """msgspec's words, which never quote a value."""
    return (
        what.replace("`", "")
        .replace("Object missing required field", "there is no field")
        .replace("Expected", "expected")
    )


def _pointer(path: str) -> str:
    """`.lines[0].sku` → `/lines/0/sku`"""
    steps = (name or index for name, index in _STEP.findall(path))
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


def _decimals(value: Any, pointer: str) -> Iterator[tuple[str, Decimal]]:
    if isinstance(value, Decimal):
        yield pointer, value
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _decimals(getattr(value, name), f"{pointer}/{name}")
    elif isinstance(value, tuple):
        for index, part in enumerate(value):
            yield from _decimals(part, f"{pointer}/{index}")
