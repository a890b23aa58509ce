"""The business vocabulary: one struct an event, one meaning a field, a residency class on every leaf.

Structs only. `registry.TYPES` lists the types: order.created/changed/cancelled/acknowledged · shipment.requested/
dispatched/milestone · stock.reserved/picked/adjusted/snapshot · goods.received · invoice.posted/credited/paid ·
return.requested/approved/received · product/partner/price.changed · document.acknowledged/rejected.
"""

from __future__ import annotations

from runtime.canonical.registry import NAMES, TYPES, CanonicalType, decoder, upcast

__all__ = ["NAMES", "TYPES", "CanonicalType", "decoder", "upcast"]
