"""Promises 6 and 7 where the disk ends: back-pressure while it is full, an end when it lies."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "hub") as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB where this user may mount one; otherwise a folder with a budget does the same duty."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.getuid() == 0 and shutil.which("mount") is not None and _mount(place)
    yield place
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=False)


def _mount(place: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


async def test_promise_7_a_full_disk_answers_507_and_resumes_alone(
    hub: NatsServer, tmp_path: Path, small_disk: Path
) -> None:
    region = Region(tmp_path / "region", hub.url, more="[journal]\nballast_bytes = 1048576")
    (tmp_path / "region" / "state").symlink_to(small_disk, target_is_directory=True)
    blocker = small_disk / "somebody-elses-file"
    async with region:
        await region.persist([fact(0)])
        free = shutil.disk_usage(small_disk).free
        await anyio.to_thread.run_sync(lambda: _fill(blocker, free))

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


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        try:
            for _ in range(size // 65_536 + 1):
                file.write(b"\0" * 65_536)
            file.flush()
        except OSError:
            return


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
