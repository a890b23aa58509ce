"""The three targets on a real agent: what headquarters orders reaches a REST interface, a webhook and a folder once, whatever dies."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.ledger import Ledger
from tests.support.nats import NatsServer
from tests.support.region import Region, fact, until

pytestmark = pytest.mark.anyio
COUNT = 60
RENDERING = """
rendering = "stock"
version = 1
format = "csv"
[fields]
ID = "delivery.id"
SKU = "data.sku"
"""
DELIVERING = """
[downlink]
region = "hq"
[targets.erp]
adapter = "http"
url = "{url}"
headers = {{ X-Type = "{{type}}" }}
idempotency_header = "Idempotency-Key"
allow_private = true
reference = "/number"
[targets.erp.retry]
seconds_min = 0.05
seconds_max = 0.2
[targets.legacy]
adapter = "file"
path = "out"
rendering = "stock.toml"
[targets.picks]
adapter = "file"
path = "picks"
rendering = "stock.toml"
in_flight_max = 3
batch = {{ deliveries_max = 7, seconds_max = 1 }}
"""


async def test_each_kind_of_target_gets_each_command_once_through_kills(
    hub: NatsServer, ledger: Ledger, tmp_path: Path
) -> None:
    hq = Region(tmp_path / "hq", hub.url, region="hq", lane="eu-de")
    region = Region(tmp_path / "region", hub.url, more=DELIVERING.format(url=ledger.url))
    for name in ("out", "picks"):
        (region.directory / name).mkdir()
    (region.directory / "stock.toml").write_text(RENDERING)
    async with hq, region:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hq.persist, [fact(n, sku=f"K{n % 7}") for n in range(COUNT)])
            for turn in range(3):
                await until(lambda t=turn: _at_least(ledger, 10 + 15 * t), "commands are executed")  # type: ignore[misc]
                region.kill()
                await ledger.restart()
                await region.start()
        await hq.settled(facts=COUNT)

        async def done() -> dict[str, Any] | None:
            targets = (await region.status()).get("targets", {})
            settled = [target["delivered"] == COUNT and not target["pending"] for target in targets.values()]
            return targets if len(settled) == 3 and all(settled) else None

        targets = await until(done, "all three targets have everything")
        wanted = sorted(f"hq.eu-de.1.{n}" for n in range(1, COUNT + 1))
        assert sorted(ledger.keys) == wanted
        assert sorted(path.name for path in (region.directory / "out").glob("*.csv")) == sorted(
            f"{id}.csv" for id in wanted
        )
        rows = [
            row
            for path in (region.directory / "picks").glob("*.csv")
            for row in csv.DictReader(path.read_text().splitlines())
        ]
        assert sorted(row["ID"] for row in rows) == wanted
        assert all(target["balanced"] and target["idempotent"] for target in targets.values())


async def _at_least(ledger: Ledger, count: int) -> bool:
    return len(ledger.keys) >= count
