"""Promises 1, 2 and 3 on a real agent and a real hub: a silent hub, order around a letter, faults at random moments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import anyio
import pytest

from tests.support.examples import examples
from tests.support.nats import NatsServer
from tests.support.region import MAPPING, Region, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
SENDERS = 4
EACH = 150
SPOILT = 'on_hand = { path = "qty", convert = "decimal" }'
MENDED = 'on_hand = { path = "number", convert = "decimal", default = "7" }'


async def test_promise_2_only_what_was_a_letter_comes_late_and_says_so(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url, on_letter="pass")
    async with region:
        await region.persist([fact(1, sku="K"), fact(2, sku="K", qty="rubbish"), fact(3, sku="K"), fact(4, sku="L")])
        await region.settled()
        assert origins(await stored(hub.url)) == ["1.1.0", "1.3.0", "1.4.0"]
        assert await region.stop() == 0
        (region.directory / "mapping.toml").write_text(MAPPING.replace(SPOILT, MENDED))
        await region.start()
        assert (await region.run("letters", "retry"))[0] == 0
        await region.persist([fact(5, sku="K")])
        await until(lambda: _count(hub, 5), "the letter's event and its successor")
        messages = await stored(hub.url)
        assert origins(messages) == ["1.1.0", "1.3.0", "1.4.0", "1.2.0", "1.5.0"]
        assert [m.headers.get("entrepot-late") for m in messages] == [None, None, None, "true", None]
        code, _, _ = await region.run("letters", "retry")
        assert code == 0
        assert (await region.settled())["accepted"] == 5
        assert len(await stored(hub.url)) == 5


async def test_a_business_key_that_no_header_can_hold_is_a_letter_and_its_lane_goes_on(
    hub: NatsServer, tmp_path: Path
) -> None:
    async with Region(tmp_path / "region", hub.url) as region:
        # Percent-encoded, the first key takes twelve characters for each of its signs.
        await region.persist([fact(1, sku="😀" * 256), fact(2, sku="x" * 70_000), fact(3, sku="K")])
        status = await region.settled()
        assert origins(await stored(hub.url)) == ["1.1.0", "1.3.0"]
        assert (status["delivered"], status["dead_lettered"], status["balanced"]) == (2, 1, True)


async def _count(hub: NatsServer, count: int) -> bool:
    return len(await stored(hub.url)) >= count


async def test_promise_1_a_stop_does_not_wait_for_a_hub_that_is_silent(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url, hub_more="flush_seconds_max = 2")
    async with region:
        await region.persist([fact(n) for n in range(20)])
        await region.settled()
        hub.freeze()
        await region.persist([fact(100 + n) for n in range(60)])
        assert await region.stop() == 0
        hub.thaw()
        await region.start()
        await region.settled()
        assert origins(await stored(hub.url)) == expected(region.receipts)


@pytest.mark.model
@pytest.mark.parametrize("seed", range(1, examples(2) + 1))
async def test_promise_3_faults_at_random_moments_leave_no_gap_and_no_double(
    hub: NatsServer, tmp_path: Path, seed: int
) -> None:
    region = Region(tmp_path / "region", hub.url)
    draw = Random(seed)

    async def restart_agent() -> None:
        region.kill()
        await region.start()

    async with region:
        async with anyio.create_task_group() as tasks:
            for sender in range(SENDERS):
                bodies = [fact(sender * 1_000 + n, sku=f"K{n % 7}") for n in range(EACH)]
                tasks.start_soon(region.persist, bodies)
            tasks.start_soon(_at_random, region, Random(draw.random()), 3, restart_agent)
            tasks.start_soon(_at_random, region, Random(draw.random()), 4, hub.restart)
        status = await region.settled()
        messages = await stored(hub.url)
        assert origins(messages) == expected(region.receipts)
        assert len(messages) == status["delivered"] == SENDERS * EACH
        assert status["balanced"]
        assert (await region.verify(hub.url))["ok"]
        _assert_order_of_each_key(messages)


async def _at_random(region: Region, draw: Random, times: int, fault: Callable[[], Awaitable[object]]) -> None:
    """Let something happen at so many drawn moments of the load, counted in receipts."""
    for moment in sorted(draw.sample(range(10, SENDERS * EACH - 50), times)):
        await until(lambda m=moment: _receipts(region, m), "progress")  # type: ignore[misc]
        await fault()


async def _receipts(region: Region, count: int) -> bool:
    return len(region.receipts) >= count


def _assert_order_of_each_key(messages: list[object]) -> None:
    last: dict[str, int] = {}
    for message in messages:
        headers = message.headers  # type: ignore[attr-defined]
        key, number = headers["ce-subject"], int(headers["entrepot-origin"].split(".")[1])
        assert last.get(key, 0) < number
        last[key] = number
    assert len(last) == 7
