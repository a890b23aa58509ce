"""Promise 7 where the region's login ends: renewed in time nothing stops; otherwise offline, accepting, and back alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.nats import NatsServer
from tests.support.operators import Operator
from tests.support.region import Region, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
SHORT_SECONDS = 6
RENEWED_SECONDS = 16
"""Half of it must be left when a busy machine has started hub and agent."""


class Place:
    """A hub in operator mode, a region with a credentials file, and a login of the test's own."""

    def __init__(self, tmp_path: Path, *, seconds: int = 3_600) -> None:
        self.operator = Operator()
        self.hub = NatsServer(tmp_path / "hub", extra=self.operator.settings)
        self.region = Region(tmp_path / "region", self.hub.url, hub_more='credentials = "region.creds"')
        self.file = tmp_path / "region" / "region.creds"
        self.reader = tmp_path / "reader.creds"
        self.operator.credentials(self.reader)
        self.user = self.operator.credentials(self.file, seconds=seconds)

    async def offline(self, why: str, advice: str = "fresh one") -> None:
        """Offline with the reason and the next step; accepting goes on."""

        async def told() -> bool:
            now = await self.region.status()
            alerts = {alert["name"]: alert for alert in now.get("alerts", [])}
            said = str(list(alerts.get("hub_away", {}).values()))
            return why in said and advice in said and not now["hub_connected"]

        await until(told, f"the alert names {why!r}: {(await self.region.status()).get('alerts')}")
        before = len(self.region.receipts)
        await self.region.persist([fact(before + n) for n in range(5)])
        assert (await self.region.status())["pending"] >= 5

    async def arrived(self) -> None:
        """Everything is there once, in order."""
        status = await self.region.settled(facts=len(self.region.receipts))
        assert status["balanced"]
        found = origins(await stored(self.hub.url, user_credentials=str(self.reader)))
        assert found == expected(self.region.receipts)
        seed = self.file.read_text().splitlines()[5]
        assert seed not in self.region.log


async def test_promise_7_a_login_that_is_renewed_before_it_ends_interrupts_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path, seconds=RENEWED_SECONDS)
    region = place.region
    async with place.hub, region:
        await region.persist([fact(n) for n in range(10)])
        await region.settled(facts=10)
        place.operator.credentials(place.file, seconds=3_600)

        async def renewed() -> bool:
            await region.persist([fact(len(region.receipts))])
            return region.log.count("the hub is connected") == 2

        await until(renewed, "it connects anew at half of the life")
        assert "the hub is away" not in region.log.partition("the hub is connected")[2]
        await place.arrived()
        assert "xpired" not in region.log


async def test_promise_7_a_login_that_ends_takes_the_region_offline_until_a_fresh_one_is_there(tmp_path: Path) -> None:
    place = Place(tmp_path, seconds=SHORT_SECONDS)
    async with place.hub, place.region:
        await place.region.persist([fact(n) for n in range(10)])
        await place.offline("xpired")
        place.operator.credentials(place.file)
        await place.arrived()
        await place.region.alerted("hub_away", raised=False)


async def test_promise_7_a_login_that_is_revoked_takes_the_region_offline_until_a_fresh_one_is_there(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    async with place.hub, place.region:
        await place.region.persist([fact(n) for n in range(10)])
        await place.region.settled(facts=10)
        await place.operator.revoke(place.user, place.hub.url, tmp_path)
        await place.offline("has revoked this region's login", "fresh token")
        place.operator.credentials(place.file)
        await place.arrived()


@pytest.mark.parametrize("content", [None, "half of a fi"], ids=["missing", "half written"])
async def test_promise_7_a_login_file_that_cannot_be_used_is_named_and_a_good_one_is_taken_up(
    tmp_path: Path, content: str | None
) -> None:
    place = Place(tmp_path)
    region = place.region
    async with place.hub, region:
        await region.persist([fact(n) for n in range(10)])
        await region.settled(facts=10)
        if content is None:
            place.file.unlink()
        else:
            place.file.write_text(content)
        await place.hub.restart()
        await place.offline("[hub] credentials", "read again at each attempt")
        place.operator.credentials(place.file)
        await place.arrived()
