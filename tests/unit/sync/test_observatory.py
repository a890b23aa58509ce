"""Headquarters' looks at a lane: what comes once more is never passed, and costs one more reading of the lane."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from runtime import record
from runtime.ports import HubRecord, Proven, Scope, Survey
from sync import topology
from sync.loopback import MemoryChannel, MemoryHub, MemoryStream, Stored
from sync.observatory import NatsObservatory
from tests.support.lanes import REGION, with_origins
from tests.support.statements import PUBLIC

pytestmark = pytest.mark.anyio
ORIGINS = ("1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.2.0", "1.5.0")
REPEATED = "lane realtime: record 5 is record 2 once more: both have origin 1.2.0"


class Site:
    """A hub that gets the records of one lane bit by bit, and who looks at it."""

    def __init__(self, records: Sequence[HubRecord]) -> None:
        scope = Scope(region=REGION, environment="test", directory="", secret=lambda name: b"")
        hub = MemoryHub()
        config = topology.desired(scope, "realtime", first=1, replicas=1, version=hub.version)
        self._stream = hub.streams[config["name"]] = MemoryStream(config, 0)
        self._records = records
        self._hub = hub
        self.proven = Proven()
        self.connect()

    def connect(self) -> None:
        """Anew: what was verified is all that is remembered."""
        self._observatory = NatsObservatory(MemoryChannel(self._hub), "test")

    async def look(self, through: int) -> Survey:
        """After the hub has got the records up to this one."""
        for stored in self._records[:through]:
            lines = "".join(f"{name}: {value}\r\n" for name, value in stored.headers.items())
            head = f"NATS/1.0\r\n{lines}\r\n".encode()
            self._stream.messages[stored.seq] = Stored(stored.subject, head, stored.data)
            self._stream.last = stored.seq
        await self._observatory.regions()
        found = await self._observatory.survey(REGION, PUBLIC, self.proven)
        self.proven = found.proven
        return found

    @property
    def reached(self) -> int:
        return self.proven.lanes["realtime"].seq


@pytest.mark.parametrize("looks", [(6,), (1, 3, 6), (4, 5, 6)])
async def test_a_record_that_comes_once_more_is_named_and_the_lane_is_not_passed(looks: tuple[int, ...]) -> None:
    site = Site(with_origins(*ORIGINS))
    told = [(await site.look(through)).problems for through in looks]
    assert told[-1] == [REPEATED]
    assert "realtime" not in site.proven.lanes or site.reached < 5
    assert (await site.look(6)).problems == [REPEATED], "it was forgotten at the next look"
    site.connect()
    assert (await site.look(6)).problems == [REPEATED], "it was forgotten with the connection"


async def test_a_repeat_of_what_an_earlier_connection_has_verified_is_named() -> None:
    for through in (4, 5):
        site = Site(with_origins("1.1.0", "1.2.0", "1.3.0", "1.4.0", "2.1.0", "1.2.0"))
        assert (await site.look(through)).problems == []
        site.connect()
        found = (await site.look(6)).problems
        assert found == ["lane realtime: record 6 is record 2 once more: both have origin 1.2.0"]
        assert site.reached == through


async def test_late_records_are_looked_at_twice_and_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.origins.BITS_MIN", 8)
    monkeypatch.setattr("sync.origins.BITS_MAX", 8)
    site = Site(with_origins("1.1.0", "1.5.0", "1.9.0", "1.2.0", "1.3.0", "1.4.0", "1.10.0"))
    for through in (3, 5, 7):
        assert (await site.look(through)).problems == []
        assert site.reached == through
        site.connect()


async def test_what_was_missing_and_is_refilled_is_no_repeat() -> None:
    records = with_origins("1.1.0", "1.2.0", "1.3.0", "1.4.0")
    site = Site(records)
    await site.look(4)
    site.proven = Proven()
    site._stream.rollback(1)
    assert (await site.look(1)).problems == []
    assert (await site.look(4)).problems == []
    assert site.reached == 4
    assert record.GENESIS.hex() != site.proven.lanes["realtime"].chain
