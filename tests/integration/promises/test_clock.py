"""Promises 1, 2, 3 and 7 while the wall clock of a live agent jumps: nothing that counts believes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.support.faketime import WallClock
from tests.support.nats import NatsServer
from tests.support.region import Region, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
HOUR = 3_600
TEN_YEARS = 10 * 365 * 24 * HOUR
BATCH_FACTS = 10
PAUSE_SECONDS = 0.05


@pytest.mark.needs("faketime")
async def test_promise_1_a_clock_that_jumps_an_hour_back_and_ten_years_ahead_forgets_and_reorders_nothing(
    hub: NatsServer, tmp_path: Path
) -> None:
    wall = WallClock(tmp_path)
    region = Region(tmp_path / "region", hub.url)
    region.variables = wall.variables
    # A body of rows that a refill needs no longer goes as soon as its age allows: here at once after an hour.
    region.config.write_text(region.config.read_text() + "[journal]\nrefill_hours = 1\n")
    async with region, _forgetting(region.pid):
        await region.persist([fact(n) for n in range(BATCH_FACTS)])
        first = (await region.settled())["facts"]
        kept = list(region.receipts)
        async with anyio.create_task_group() as load:
            load.start_soon(_send_on, region)
            # Ahead twice: a journal that aged by this clock would set a mark at the first and forget at the second.
            for ahead in (HOUR, -HOUR, 0, TEN_YEARS, 0):
                wall.set(ahead)
                await until(lambda a=ahead: _believes(region, a), f"the agent's clock is {ahead} s ahead")  # type: ignore[misc]
                await region.alerted("clock_bad", raised=ahead != 0)
                await _receipts_after(region, BATCH_FACTS)
                for receipt in kept:
                    status, again = await region.send(receipt["body"])
                    assert (status, again["intake_seq"], again["epoch"]) == (
                        202,
                        receipt["intake_seq"],
                        receipt["epoch"],
                    )
                    assert again["duplicate"]
                    assert again["committed_at"] == receipt["committed_at"]
            load.cancel_scope.cancel()
        status = await region.settled(facts=first + 5 * BATCH_FACTS)
        assert status["balanced"]
        assert status["facts"] == status["delivered"]
        messages = await stored(hub.url)
        # A request that was cancelled may have been accepted: its sender has no receipt, the stream has its event.
        promised, found = expected(region.receipts), origins(messages)
        assert [o for o in found if o in set(promised)] == promised
        assert found == [f"1.{n}.0" for n in range(1, status["facts"] + 1)]
        assert (await region.verify(hub.url))["ok"]


@asynccontextmanager
async def _forgetting(pid: int) -> AsyncIterator[None]:
    try:
        yield
    finally:
        WallClock.forget(pid)


async def _send_on(region: Region) -> None:
    for number in count(1_000):
        await region.persist([fact(number, sku=f"A-{number % 3}")])
        await anyio.sleep(PAUSE_SECONDS)  # the pace of a partner: what is shown here is no figure


async def _receipts_after(region: Region, more: int) -> None:
    """Until the load has had so many more receipts."""
    wanted = len(region.receipts) + more

    async def there() -> bool:
        await anyio.lowlevel.checkpoint()
        return len(region.receipts) >= wanted

    await until(there, "the load goes on")


async def _believes(region: Region, ahead: int) -> bool:
    """Whether the jump is real: what the agent says of a new fact's time stands as far off as the clock was put."""
    _, said = await region.send(fact(500_000 + len(region.receipts)))
    off = datetime.fromisoformat(said["committed_at"]) - datetime.now(UTC)
    return abs(off - timedelta(seconds=ahead)) < timedelta(minutes=5)
