"""The disk budget: when rows go early, when senders are refused, what the ballast is for, how long the room lasts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime import clock
from runtime.envelope import Message
from runtime.errors import StorageFull
from runtime.journal import books, retention
from runtime.journal.retention import Limits, Usage
from runtime.kernel import Kernel
from runtime.pipeline.retention import FULL_SHARE, PRESSED_SHARE, RATE_SECONDS, RATE_SECONDS_MIN, RESERVE_BYTES, Room
from tests.support import kernel as support

pytestmark = pytest.mark.anyio
LIMITS = Limits(refill_seconds=3_600, key_seconds=7_200)
BUDGET = 100_000_000
BALLAST = 65_536


class Disk(NamedTuple):
    """What `shutil.disk_usage` answers."""

    total: int
    used: int
    free: int


class Gauges:
    """Sets what the journal, the disk and the clock say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.used, self.disk_free, self.now = 0, 10 * BUDGET, 1_000.0
        monkeypatch.setattr(retention, "usage", lambda connection: Usage(used=self.used, free=0))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(0, 0, self.disk_free))
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> Gauges:
    return Gauges(monkeypatch)


def room_of(kernel: Kernel, *, ballast: int = 0) -> Room:
    return Room(kernel.journal, LIMITS, BUDGET, ballast)


@pytest.mark.parametrize(
    ("share", "pressed", "full"),
    [(0.5, False, False), (PRESSED_SHARE, True, False), (FULL_SHARE - 0.01, True, False), (FULL_SHARE, True, True)],
)
async def test_the_share_of_the_budget_decides(
    share: float, pressed: bool, full: bool, tmp_path: Path, gauges: Gauges
) -> None:
    async with support.region(tmp_path) as kernel:
        room = room_of(kernel)
        gauges.used = int(BUDGET * share)
        await room.tend()
        assert (room.pressed, room.full, room.budget_bytes) == (pressed, full, BUDGET)
        gauges.used = 0
        await room.tend()
        assert (room.pressed, room.full) == (False, False)


async def test_a_disk_smaller_than_the_budget_is_the_budget(tmp_path: Path, gauges: Gauges) -> None:
    async with support.region(tmp_path) as kernel:
        room = room_of(kernel)
        gauges.used, gauges.disk_free = 9_000_000, RESERVE_BYTES + 1_000_000
        await room.tend()
        assert room.budget_bytes == 10_000_000
        assert (room.pressed, room.full) == (True, False)
        gauges.disk_free = RESERVE_BYTES
        await room.tend()
        assert room.full


async def test_pressure_prunes_what_the_hub_has(tmp_path: Path, gauges: Gauges) -> None:
    async with support.region(tmp_path) as kernel:
        room = room_of(kernel)
        await support.accept(kernel, support.message(), support.message("b1"))
        await support.translate(kernel)
        await support.ship(kernel)
        count = lambda c: c.execute("SELECT count(*) FROM bodies").fetchone()[0]  # noqa: E731
        await room.tend()
        assert await kernel.journal.read(count) == 2
        gauges.used = int(BUDGET * PRESSED_SHARE)
        await room.tend()
        assert await kernel.journal.read(count) == 1
        assert (await kernel.journal.read(books.read)).pending == 1


async def test_the_ballast_lies_ready_and_goes_when_the_disk_is_full_and_comes_back_when_there_is_room(
    tmp_path: Path, gauges: Gauges
) -> None:
    async with support.region(tmp_path) as kernel:
        room, ballast = room_of(kernel, ballast=BALLAST), tmp_path / "state" / "ballast"
        await room.tend()
        assert ballast.stat().st_size == BALLAST
        assert ballast.stat().st_blocks * 512 >= BALLAST, "a file with a hole frees nothing"
        room.disk_is_full()
        assert room.full
        assert not ballast.exists()
        room.disk_is_full()
        gauges.used = int(BUDGET * FULL_SHARE)
        await room.tend()
        assert not ballast.exists()
        gauges.used = 0
        await room.tend()
        assert ballast.exists()
        assert not room.full


async def test_the_time_left_follows_from_the_growth_of_the_last_minutes(tmp_path: Path, gauges: Gauges) -> None:
    async with support.region(tmp_path) as kernel:
        room = room_of(kernel)

        async def at(seconds: float, used: int) -> int | None:
            gauges.now, gauges.used = 1_000 + seconds, used
            await room.tend()
            return room.buffer_seconds_left

        assert await at(0, 1_000_000) is None
        assert await at(RATE_SECONDS_MIN - 1, 2_000_000) is None, "a burst is no rate"
        assert await at(100, 2_000_000) == int((BUDGET * FULL_SHARE - 2_000_000) * 100 / 1_000_000)
        assert await at(200, 1_000_000) is None, "it does not grow"
        assert await at(RATE_SECONDS + 150, 7_000_000) == int((BUDGET * FULL_SHARE - 7_000_000) * 550 / 6_000_000)
        assert await at(RATE_SECONDS + 160, BUDGET) == 0


async def test_a_full_room_refuses_senders_before_they_write(tmp_path: Path, gauges: Gauges) -> None:
    async with support.region(tmp_path) as kernel:
        gauges.used = kernel.configuration.model.journal.disk_bytes_max
        gauges.disk_free = 10 * gauges.used
        await kernel.room.tend()
        with pytest.raises(StorageFull):
            await support.accept(kernel, support.message())
        gauges.used = 0
        await kernel.room.tend()
        assert len(await support.accept(kernel, support.message())) == 1


async def test_running_time_is_counted_on_the_clock_that_never_jumps(
    tmp_path: Path, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with support.region(tmp_path) as kernel:
        room = room_of(kernel)
        monkeypatch.setattr(clock, "now_us", lambda: 10**17)
        for now in (1_005.0, 1_012.9, 1_020.0, 1_025.8):
            gauges.now = now
            await room.tend()
        age = await kernel.journal.read(
            lambda c: c.execute("SELECT value FROM meta WHERE name = 'age_seconds'").fetchone()[0]
        )
        assert age == 25, "12 s, then 13 s: what is left of a second is not lost"


async def test_a_message_larger_than_the_room_leaves_nothing_behind(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        pages = await kernel.journal.read(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
        await kernel.journal.read(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 8}").fetchone())
        with pytest.raises(StorageFull):
            await support.accept(kernel, support.message(), Message(body=bytes(1_000_000)))
        assert kernel.room.full
        account = await kernel.journal.read(books.read)
        assert (account.facts, account.accepted, account.balanced) == (0, 0, True)


async def test_other_limits_count_from_the_next_round_on(tmp_path: Path, gauges: Gauges) -> None:
    async with support.region(tmp_path) as kernel:
        room, ballast = room_of(kernel, ballast=BALLAST), tmp_path / "state" / "ballast"
        gauges.used = BUDGET // 2
        await room.tend()
        assert not room.full
        room.use(Limits(1, 1), BUDGET // 2, BALLAST // 2)
        assert not ballast.exists()
        await room.tend()
        assert room.full
        room.use(Limits(1, 1), BUDGET, BALLAST // 2)
        await room.tend()
        assert not room.full
        assert ballast.stat().st_size == BALLAST // 2
