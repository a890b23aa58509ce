"""Headquarters and a branch that executes what it orders: two real agents, a real target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.ledger import Ledger
from tests.support.nats import NatsServer
from tests.support.region import Region, until

DOWNLINK = """
[downlink]
region = "hq"
"""


def target(name: str, ledger: Ledger, more: str = "") -> str:
    """A target that posts to this ledger."""
    return f"""
[targets.{name}]
adapter = "http"
url = "{ledger.url}"
headers = {{ X-Type = "{{type}}" }}
idempotency_header = "Idempotency-Key"
reference = "/number"
gone = [410]
allow_private = true
breaker_open_seconds = 0.25
{more}
[targets.{name}.retry]
seconds_min = 0.05
seconds_max = 0.2
"""


def headquarters(directory: Path, hub: NatsServer) -> Region:
    """The same program; its lane `eu-de` is the downlink of the region."""
    return Region(directory, hub.url, region="hq", lane="eu-de")


def branch(directory: Path, hub: NatsServer, ledger: Ledger, more: str = "") -> Region:
    """The region `eu-de` with the target `erp`; `more` belongs to the target."""
    return Region(directory, hub.url, more=DOWNLINK + target("erp", ledger, more))


def ids(count: int, *, after: int = 0) -> list[str]:
    """One id for each command, by its place in headquarters' lane; sorted as text."""
    return sorted(f"hq.eu-de.1.{number}" for number in range(after + 1, after + count + 1))


async def done(region: Region, ledger: Ledger, count: int, name: str = "erp") -> dict[str, Any]:
    """The status once so many commands were executed by a target and the region knows it."""

    async def is_so() -> dict[str, Any] | None:
        now = await region.status()
        found = now.get("targets", {}).get(name, {})
        return now if found.get("delivered", 0) >= count and not found["pending"] else None

    said = f"{len(ledger.effects)} effects; {(await region.status()).get('targets')}; {region.log[-1500:]}"
    return dict(await until(is_so, f"{count} commands are executed: {said}"))
