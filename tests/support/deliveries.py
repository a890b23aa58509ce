"""Deliveries from events as they are written down, for tests of targets without the kernel."""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.ports import Delivery


def delivery_of(event: dict[str, Any], *, number: int = 1) -> Delivery:
    """Of a structured CloudEvent."""
    attributes = {name: str(value) for name, value in event.items() if name not in ("data", "type")}
    return Delivery(
        id=f"hq.orders.1.{number}",
        type=str(event.get("type", "")),
        key=attributes.get("subject"),
        attributes=attributes,
        data=msgspec.json.encode(event["data"]),
        attempt=1,
        first_us=1_767_225_600_000_000,
    )
