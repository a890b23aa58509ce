"""What the paths of a rendering start from: the event as in structured CloudEvents, and the delivery beside it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from runtime.errors import Permanent
from runtime.mapping.instants import from_microseconds
from runtime.ports import Delivery

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def event_tree(delivery: Delivery, region: str) -> dict[str, Any]:
    """`type`, `subject`, `time` … are attributes, `data.…` is the event, `delivery.…` is the same at each try.

    Raises `Permanent` for data that is no JSON.
    """
    try:
        data = _decode(delivery.data)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ArithmeticError, ValueError):
        raise Permanent("the event's data is not JSON") from None
    return {
        **delivery.attributes,
        "type": delivery.type,
        "data": data,
        "delivery": {
            "id": delivery.id,
            "key": delivery.key,
            "region": region,
            "ready": from_microseconds(delivery.first_us).isoformat(),
        },
    }
