"""What headquarters might see of a region, made up."""

from __future__ import annotations

from typing import Any

from runtime.fleet.documents import Presence, Status
from runtime.fleet.sight import Sight

AT = "2026-11-23T10:00:00+00:00"
SECOND = 1_000_000
NOW = 1_764_000_000 * SECOND


def status(stage: Any = "confirmed", version: int = 1, *, confirmed: int = 0, **more: Any) -> Status:
    said: dict[str, Any] = {"environment": "test", "region": "eu-de", "issued_at": AT, "effective": "d"}
    return Status(**(said | {"stage": stage, "version": version, "confirmed": confirmed} | more))


def presence(*, lag: float = 0.0, accepted: int = 0, letters: int = 0, config: str = "d") -> Presence:
    return Presence(
        environment="test",
        region="eu-de",
        issued_at=AT,
        number=1,
        versions={},
        config=config,
        books={"accepted": accepted, "dead_lettered": letters},
        lanes={"realtime": {"lag_seconds": lag}},
    )


def sight(region: str = "eu-de", *, heard_us: int = NOW, **more: Any) -> Sight:
    return Sight(region=region, heard_us=heard_us, **more)
