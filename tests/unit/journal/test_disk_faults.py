"""Promise 6 on the disk: a full one makes senders wait, a failing one stops everything; no receipt is ever taken back."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from runtime.errors import StorageFailed, StorageFull
from runtime.journal import books, intake
from tests.support.disk import FULL, IOERR_FSYNC, IOERR_WRITE, Disk, watched_disk
from tests.support.kernel import Bench, accept, configure, drive, message, region, ship, translate

FAILING = [(IOERR_WRITE, "write"), (IOERR_FSYNC, "sync")]


@pytest.fixture
def disk() -> Iterator[Disk]:
    with watched_disk() as watched:
        yield watched


def fails_with(kind: type[Exception]) -> object:
    return pytest.RaisesGroup(kind, allow_unwrapped=True, flatten_subgroups=True)


# ---------------------------------------------------------------- EIO: fail-stop


@pytest.mark.anyio
@pytest.mark.parametrize(("code", "on"), FAILING, ids=["write", "flush"])
async def test_after_an_error_of_the_disk_nothing_is_accepted_any_more(
    code: int, on: str, disk: Disk, tmp_path: Path
) -> None:
    with fails_with(StorageFailed):
        async with region(tmp_path) as kernel:
            (before,) = await accept(kernel, message("A", 1, key="before"))
            disk.fail(code, on, times=1)
            with pytest.raises(StorageFailed, match="IOERR"):
                await accept(kernel, message("A", 2, key="during"))
            disk.heal()
            done = len(disk.steps)
            with pytest.raises(StorageFailed):
                await accept(kernel, message("A", 3, key="after"))
            assert len(disk.steps) == done, "the failed connection was used again"
    async with region(tmp_path) as kernel:
        again = await accept(kernel, message("A", 1, key="before"), message("A", 3, key="after"))
        assert (again[0].intake_seq, again[0].duplicate) == (before.intake_seq, True)
        assert not again[1].duplicate
        assert (await kernel.journal.read(books.read)).balanced


@pytest.mark.anyio
async def test_everybody_who_waits_hears_of_the_failure(disk: Disk, tmp_path: Path) -> None:
    heard: list[Exception] = []

    async def send(kernel: object, number: int) -> None:
        try:
            await accept(kernel, message("A", number))  # type: ignore[arg-type]
        except StorageFailed as error:
            heard.append(error)

    with fails_with(StorageFailed):
        async with region(tmp_path) as kernel:
            disk.fail(IOERR_FSYNC, "sync")
            async with anyio.create_task_group() as senders:
                for number in range(20):
                    senders.start_soon(send, kernel, number)
            assert len(heard) == 20


def sweep(tmp_path: Path, disk: Disk, code: int, on: str) -> Iterator[int]:
    """Let the n-th call fail, for every n that the scenario has."""
    for nth in range(400):
        directory = tmp_path / str(nth)
        bench = Bench(configure(directory))
        disk.fail(code, on, after=nth, times=1)
        failed_before = len(disk.failed)
        told = scenario(bench)
        disk.heal()
        if len(disk.failed) == failed_before:
            bench.close()
            return
        check_and_finish(bench, told)
        yield nth
    raise AssertionError("the scenario never came to its end")


def scenario(bench: Bench) -> list[tuple[int, str]]:
    """Accept, translate, seal, acknowledge; returns the receipts that were given. Ends at the first failure."""
    told: list[tuple[int, str]] = []

    def send(number: int) -> None:
        (receipt,) = bench.accept(message("A", number, key=f"k{number}"))
        told.append((receipt.seq, f"k{number}"))

    steps: list[Callable[[], object]] = [
        partial(send, 1),
        partial(send, 2),
        bench.translate,
        bench.ship,
        partial(send, 3),
    ]
    for step in steps:
        try:
            step()
        except StorageFailed:
            break
        except StorageFull:
            continue
    return told


def check_and_finish(bench: Bench, told: list[tuple[int, str]]) -> None:
    """As after a restart: what was told is there, and the rest of the work gets done."""
    bench.restart()
    for seq, key in told:
        found = intake.lookup(bench.connection, bench.journal.names, bench.journal.keys, "wms", key)
        assert found is not None, f"receipt {seq} is lost"
        assert found.seq == seq
    sent = [bench.accept(message("A", number, key=f"k{number}"))[0] for number in (1, 2, 3)]
    assert all(item.duplicate for item in sent if item.seq in {seq for seq, _ in told})
    bench.translate()
    bench.ship()
    account = books.read(bench.connection)
    assert account.balanced
    assert (account.accepted, account.delivered, account.pending) == (3, 3, 0)
    bench.close()


@pytest.mark.parametrize(("code", "on"), FAILING, ids=["write", "flush"])
def test_an_error_at_any_write_or_flush_costs_no_receipt(code: int, on: str, disk: Disk, tmp_path: Path) -> None:
    assert len(list(sweep(tmp_path, disk, code, on))) >= 5


def test_a_full_disk_at_any_write_costs_no_receipt_and_leaves_nothing_half_done(disk: Disk, tmp_path: Path) -> None:
    assert len(list(sweep(tmp_path, disk, FULL, "write"))) > 20


@pytest.mark.anyio
async def test_a_file_that_may_not_grow_stops_the_journal(tmp_path: Path) -> None:
    """The operating system's own error (EFBIG), no simulated one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with fails_with(StorageFailed):
        async with region(tmp_path) as kernel:
            (receipt,) = await accept(kernel, message("A", 1, key="k"))
            wal = kernel.journal.path.with_name("journal.db-wal").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 4_096, hard))
            try:
                with pytest.raises(StorageFailed):
                    await accept(kernel, message("A", 2, pad="x" * 100_000))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    async with region(tmp_path) as kernel:
        (again,) = await accept(kernel, message("A", 1, key="k"))
        assert again.intake_seq == receipt.intake_seq


# ---------------------------------------------------------------- a full disk: wait, and go on alone


@pytest.mark.anyio
async def test_a_full_disk_refuses_senders_until_there_is_room_again(disk: Disk, tmp_path: Path) -> None:
    async with region(tmp_path) as kernel:
        ballast = kernel.journal.directory / "ballast"
        ballast.write_bytes(b"x")
        await accept(kernel, message("A", 1))
        disk.fail(FULL, "write")
        with pytest.raises(StorageFull):
            await accept(kernel, message("A", 2))
        assert kernel.room.full
        assert not ballast.exists(), "the ballast was not given back"
        assert (await kernel.journal.read(books.read)).accepted == 1
        disk.heal()
        with pytest.raises(StorageFull, match="budget"):
            await accept(kernel, message("A", 2))
        await kernel.room.tend()
        await accept(kernel, message("A", 2))
        await translate(kernel)
        assert len(await ship(kernel)) == 2


@pytest.mark.anyio
async def test_the_journal_closes_on_a_full_disk(disk: Disk, tmp_path: Path) -> None:
    async with region(tmp_path) as kernel:
        await accept(kernel, message("A", 1))
        disk.fail(FULL, "write")
    disk.heal()
    async with region(tmp_path) as kernel:
        assert not kernel.journal.stopped_cleanly
        assert (await kernel.journal.read(books.read)).accepted == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real tmpfs of 2 MiB; where nobody may mount one, a folder, and the test fills it up by itself."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    mounted = shutil.which("mount") is not None and subprocess.run(command, check=False, capture_output=True)
    yield place
    if mounted and mounted.returncode == 0:
        subprocess.run(["umount", place], check=True)


@pytest.mark.anyio
async def test_a_small_disk_that_fills_up_loses_nothing(small_disk: Path, disk: Disk) -> None:
    async with region(small_disk) as kernel:
        told = []
        with pytest.raises(StorageFull):  # noqa: PT012 - the disk fills up somewhere in the loop
            for number in range(400):
                if number == 100:
                    disk.fail(FULL, "write")  # for places where the folder is not really small
                told.append((await accept(kernel, message("A", number, pad="x" * 20_000)))[0].intake_seq)
        assert told == list(range(1, len(told) + 1))
        assert (await kernel.journal.read(books.read)).accepted == len(told)
    disk.heal()
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=False, capture_output=True)  # room is made
    async with region(small_disk) as kernel:
        assert (await kernel.journal.read(books.read)).accepted == len(told)


# ---------------------------------------------------------------- wrong bytes


@pytest.mark.anyio
async def test_a_page_that_cannot_be_read_stops_the_journal(tmp_path: Path) -> None:
    async with region(tmp_path) as kernel:
        for number in range(200):
            await accept(kernel, message("A", number, pad="x" * 500))
    path = tmp_path / "state" / "journal.db"
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    for page in range(size * 12, len(content), size):  # beyond the schema
        content[page : page + 16] = b"\xff" * 16
    path.write_bytes(content)
    with fails_with(StorageFailed):
        async with region(tmp_path) as kernel:
            with pytest.raises(StorageFailed):
                await kernel.journal.read(lambda c: c.execute("SELECT count(body) FROM bodies NOT INDEXED").fetchall())
            with pytest.raises(StorageFailed):
                await accept(kernel, message("A", 1))


def test_a_value_that_sqlite_cannot_bind_is_no_failure_of_the_disk(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path))
    with pytest.raises(Exception, match="cannot store") as caught:
        drive(bench.journal.write(lambda c: c.execute("INSERT INTO told VALUES (?, ?, ?)", (1, {}, 1))))
    assert not isinstance(caught.value, StorageFailed)
    bench.accept(message("A"))
    bench.close()
