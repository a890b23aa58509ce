"""Promises 1, 6 and 7 on a disk that fails under a live agent: what was promised is there, nothing more is promised."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import aiohttp
import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from tests.support.mounts import LoopDisk
from tests.support.nats import NatsServer
from tests.support.region import Region, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
NO_BALLAST = "[journal]\nballast_bytes = 0"
STALL_SECONDS = 5.0
BACKLOG_FACTS = 16_000
NOTE = "n" * 700
PAGE_BYTES = 8_192
TABLE_LEAF = b"\x0d"


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LoopDisk]:
    with LoopDisk(tmp_path / "disk", *getattr(request, "param", ())) as mounted:
        yield mounted


def _on(disk: LoopDisk, hub: NatsServer, tmp_path: Path) -> Region:
    """A region whose data lie on this disk."""
    region = Region(tmp_path / "region", hub.url, more=NO_BALLAST)
    region.state.symlink_to(disk.place / "state", target_is_directory=True)
    (disk.place / "state").mkdir()
    return region


@pytest.mark.needs("mounts")
@pytest.mark.parametrize("disk", [("sync",), ()], indirect=True, ids=["a write", "a flush"])
async def test_promise_6_eio_ends_the_agent_and_every_receipt_is_on_the_next_disk(
    hub: NatsServer, tmp_path: Path, disk: LoopDisk
) -> None:
    region = _on(disk, hub, tmp_path)
    async with region:
        await region.persist([fact(n) for n in range(30)])
        await _fail_under_load(region, disk.fail)
        disk.replace()
        await _goes_on(region, hub)


@pytest.mark.needs("mounts")
async def test_promise_6_a_disk_that_becomes_read_only_ends_the_agent(
    hub: NatsServer, tmp_path: Path, disk: LoopDisk
) -> None:
    region = _on(disk, hub, tmp_path)
    # ext4 answers a flush that meets the very moment of the remount with success and writes nothing: a disk that lies,
    # which is not promised (the lane is fenced as stale_self then). So nothing is being flushed at that moment here.
    region.config.write_text(region.config.read_text().replace("checkpoint_seconds = 1", "checkpoint_seconds = 3600"))
    async with region:
        await region.persist([fact(n) for n in range(30)])
        await region.settled(facts=30)
        await anyio.to_thread.run_sync(disk.remount_read_only)
        await _fail_under_load(region, lambda: None)
        code, out, err = await region.run("run")
        assert code != 0
        assert "Read-only file system" in out + err
        assert "Traceback" not in out + err
        disk.replace()
        await _goes_on(region, hub)


@pytest.mark.needs("mounts")
async def test_promise_7_a_flush_that_takes_five_seconds_delays_the_answers_and_loses_none(
    hub: NatsServer, tmp_path: Path, disk: LoopDisk
) -> None:
    region = _on(disk, hub, tmp_path)
    async with region:
        await region.persist([fact(n) for n in range(10)])
        await region.settled()
        answers: list[int] = []

        async def one(number: int) -> None:
            answers.append((await region.send(fact(number)))[0])

        await anyio.to_thread.run_sync(disk.freeze)
        try:
            async with anyio.create_task_group() as senders:
                for number in range(100, 140):
                    senders.start_soon(one, number)
                # The fault itself takes this long; nothing is awaited here.
                await anyio.sleep(STALL_SECONDS)
                assert answers == [], "nobody may hear of a commit before its flush"
                async with aiohttp.ClientSession() as http, http.get(f"{region.url}/live") as alive:
                    assert alive.status == 200
                await anyio.to_thread.run_sync(disk.thaw)
        except BaseException:
            await anyio.to_thread.run_sync(disk.thaw)
            raise
        assert set(answers) == {202}
        status = await region.settled(facts=50)
        assert status["balanced"]
        assert origins(await stored(hub.url)) == expected(region.receipts)
        assert "started again" not in region.log


@pytest.mark.parametrize("log", [False, True], ids=["journal.db", "journal.db-wal"])
async def test_promise_6_a_journal_that_is_replaced_under_a_running_agent_is_noticed_before_anything_is_promised(
    hub: NatsServer, tmp_path: Path, log: bool
) -> None:
    region = Region(tmp_path / "region", hub.url, more=NO_BALLAST)
    victim = region.state / ("journal.db-wal" if log else "journal.db")
    aside = region.state / "moved-by-somebody"
    async with region:
        await region.persist([fact(n) for n in range(30)])
        await region.settled()

        def replace() -> None:
            content = victim.read_bytes()
            victim.rename(aside)
            victim.write_bytes(content)

        await _fail_under_load(region, replace)
        assert str(victim) in region.log
        assert "put the file back" in region.log
        if log:
            # Closing wrote everything into journal.db, where it belongs.
            aside.unlink()
            victim.unlink(missing_ok=True)
        else:
            aside.replace(victim)
        await _goes_on(region, hub)


async def test_promise_6_flipped_bits_in_the_pages_of_a_backlog_end_the_agent_and_nothing_damaged_leaves(
    tmp_path: Path,
) -> None:
    hub = NatsServer(tmp_path / "hub")
    region = Region(tmp_path / "region", hub.url, more=NO_BALLAST)
    journal = region.state / "journal.db"
    async with region:
        # More than the page cache holds and the log keeps back, so that the first pages must be read from the file.
        for first in range(0, BACKLOG_FACTS, 1_000):
            await region.send_lines([fact(n, note=NOTE) for n in range(first, first + 1_000)])
        await until(lambda: _translated(region), "everything is translated")
        assert await anyio.to_thread.run_sync(_flip_leaves, journal) > 1_000
        async with hub:
            assert await region.ended() not in {0, -9, -6, -11}
            assert "the journal failed; the agent ends" in region.log
            assert "check the disk" in region.log
            found = origins(await stored(hub.url)) if "sending" in region.log else []
            assert found == [f"1.{n}.0" for n in range(1, len(found) + 1)]
            assert len(found) < BACKLOG_FACTS
            code, out, err = await region.run("journal", "verify")
            assert code != 0, out + err
            assert "Traceback" not in out + err + region.log


async def _translated(region: Region) -> bool:
    now = await region.status()
    return bool(now) and now["facts"] == now["pending"] == BACKLOG_FACTS and now["lanes"]["realtime"]["queued"] > 0


def _flip_leaves(journal: Path) -> int:
    """One bit of the first byte of each leaf: what says that it is one. Returns how many were flipped."""
    flipped = 0
    with journal.open("r+b") as file:
        for at in range(PAGE_BYTES, journal.stat().st_size, PAGE_BYTES):
            file.seek(at)
            if file.read(1) == TABLE_LEAF:
                file.seek(at)
                file.write(bytes([TABLE_LEAF[0] ^ 1]))
                flipped += 1
    return flipped


async def _fail_under_load(region: Region, fault: object) -> None:
    """The agent must end by itself, with a sentence, and answer nothing with 2xx that it cannot keep."""
    assert callable(fault)
    async with anyio.create_task_group() as load:
        load.start_soon(_send_on, region)
        await anyio.to_thread.run_sync(fault)
        code = await region.ended()
        load.cancel_scope.cancel()
    assert code not in {0, -9, -6, -11}, region.log[-2000:]
    assert "the journal failed; the agent ends" in region.log
    assert region.log.count("Traceback") == 0, region.log[-3000:]


async def _send_on(region: Region) -> None:
    for number in count(1_000):
        try:
            await region.send(fact(number))
        except (aiohttp.ClientError, OSError):
            await anyio.lowlevel.checkpoint()


async def _goes_on(region: Region, hub: NatsServer) -> None:
    """Started again it has every receipt, and only what was really written."""
    await region.start()
    await region.persist([fact(n) for n in range(500_000, 500_010)])
    status = await region.settled()
    assert status["balanced"]
    found = origins(await stored(hub.url))
    promised = expected(region.receipts)
    # What was flushed although its sender heard nothing may stand there too: it is accepted, once and in order.
    assert [origin for origin in found if origin in set(promised)] == promised
    assert found == [f"1.{n}.0" for n in range(1, status["facts"] + 1)]
    assert (await region.verify(hub.url))["ok"]
