"""Promises 6 and 7 where the disk ends: back-pressure while it is full, an end when it lies."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
SMALL_DISK_BYTES = 24 * 1024 * 1024
PADDING = "x" * 900_000
"""With it a message takes about a seventieth of the smallest budget."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.needs("mounts")  # elsewhere the budget test below is the only one: nobody fills a disk that others need
async def test_promise_7_a_full_disk_answers_507_and_resumes_alone(
    hub: NatsServer, tmp_path: Path, small_disk: Path
) -> None:
    region = Region(tmp_path / "region", hub.url, more="[journal]\nballast_bytes = 1048576")
    (tmp_path / "region" / "state").symlink_to(small_disk, target_is_directory=True)
    blocker = small_disk / "somebody-elses-file"
    async with region:
        await region.persist([fact(0)])
        await anyio.to_thread.run_sync(_fill, blocker)

        async def refused() -> bool:
            await anyio.lowlevel.checkpoint()
            return (await region.send(fact(len(region.receipts))))[0] == 507

        await until(refused, "507")
        taken = len(region.receipts)
        blocker.unlink()
        await region.persist([fact(10_000)])
        assert len(region.receipts) > taken
        status = await region.settled()
        assert status["balanced"]
        assert origins(await stored(hub.url)) == expected(region.receipts)


@pytest.mark.needs("mounts")
async def test_promise_7_an_agent_starts_on_a_full_disk_and_resumes_alone(
    hub: NatsServer, tmp_path: Path, small_disk: Path
) -> None:
    region = Region(tmp_path / "region", hub.url, more="[journal]\nballast_bytes = 4194304")
    (tmp_path / "region" / "state").symlink_to(small_disk, target_is_directory=True)
    async with region:
        await region.persist([fact(0)])

        async def ballast() -> bool:
            await anyio.lowlevel.checkpoint()
            return (small_disk / "ballast").exists()

        await until(ballast, "the ballast")
        await region.stop()  # in order: a log that is left over would hold room
    blocker = small_disk / "somebody-elses-file"
    await anyio.to_thread.run_sync(_fill, blocker)
    async with region:
        blocker.unlink()
        await region.persist([fact(1)])
        await region.settled()
        assert origins(await stored(hub.url)) == expected(region.receipts)


def _fill(path: Path) -> None:
    """Take what is left of the small disk, and never more than its size."""
    with path.open("wb", buffering=0) as file:  # unbuffered: closing must not meet the full disk once more
        try:
            for _ in range(SMALL_DISK_BYTES // 65_536):
                file.write(b"\0" * 65_536)
        except OSError:
            return


async def test_promise_7_a_used_up_budget_answers_507_and_the_returning_hub_makes_room(tmp_path: Path) -> None:
    hub = NatsServer(tmp_path / "hub")
    region = Region(tmp_path / "region", hub.url, more="[journal]\ndisk_bytes_max = 67108864\nballast_bytes = 0")
    async with region:
        answers: set[int] = set()

        async def refused() -> bool:
            number = len(region.receipts)
            status, said = await region.send(fact(number, more=PADDING))
            answers.add(status)
            assert status in {202, 507}, said
            return status == 507

        await until(refused, "507")
        accepted = len(region.receipts)
        await region.alerted("disk_full")
        assert accepted > 50, "the budget was used before anybody was refused"
        async with hub:
            await region.persist([fact(accepted + n, more=PADDING) for n in range(20)])
            status = await region.settled()
            assert status["balanced"]
            assert status["delivered"] == len(region.receipts) == accepted + 20
            assert origins(await stored(hub.url)) == expected(region.receipts)


async def test_promise_6_a_disk_that_refuses_a_write_ends_the_agent_and_nothing_more_is_promised(
    hub: NatsServer, tmp_path: Path
) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.persist([fact(n) for n in range(20)])
        # A write beyond this size fails with EFBIG, which SQLite reports as it does EIO.
        bytes_max = (region.state / "journal.db-wal").stat().st_size
        resource.prlimit(region.pid, resource.RLIMIT_FSIZE, (bytes_max, bytes_max))
        promised = len(region.receipts)

        async def no_answer() -> bool:
            try:
                await region.send(fact(len(region.receipts)))
            except (aiohttp.ClientError, OSError):
                return True
            return False

        await until(no_answer, "the agent answers no more")
        assert await region.ended() != 0
        assert "the journal failed" in region.log
        assert len(region.receipts) >= promised
        await region.start()
        await region.settled()
        assert origins(await stored(hub.url)) == expected(region.receipts)


async def test_promise_6_a_damaged_journal_is_not_served(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(tmp_path / "region", hub.url)
    async with region:
        await region.persist([fact(n) for n in range(5)])
        await region.settled()
        assert await region.stop() == 0
    journal = region.state / "journal.db"
    with sqlite3.connect(journal) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(journal.read_bytes())
    content[0:16] = b"not a database!!"
    journal.write_bytes(content)
    code, out, err = await region.run("run")
    assert code == 2, out + err
    assert "Traceback" not in out + err
