"""What `/live`, `/ready` and `/metrics` answer."""

from __future__ import annotations

from runtime.gateway import problems
from runtime.gateway.answers import METRICS, Answer

LIVE = b'{"status":"live"}'
READY = b'{"status":"ready"}'


def live() -> Answer:
    """200 as long as the event loop turns; says nothing about the disk or the hub."""
    return Answer(200, LIVE)


def ready(reasons: list[str]) -> Answer:
    """200 when messages would be accepted now. Raises `Rejection` (503) with the reasons otherwise.

    A hub that is away is no reason: intake goes on without it.
    """
    if reasons:
        raise problems.not_ready(reasons)
    return Answer(200, READY)


def metrics(exposition: bytes) -> Answer:
    """Prometheus text format 0.0.4."""
    return Answer(200, exposition, METRICS)
