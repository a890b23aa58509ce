"""One process, one file, one connection; every file that is not this region's journal is refused, with the reason."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from runtime.errors import JournalInUse, Refused, StorageFailed
from runtime.journal import lock as lock_module
from runtime.journal import meta
from runtime.journal.journal import Journal
from runtime.journal.lock import JournalLock, Role
from runtime.journal.migrate import steps
from tests.support import kernel as support

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(directory: Path, region: str = "eu-de", environment: str = "test") -> AsyncIterator[Journal]:
    journal = Journal(directory)
    await journal.open(region, environment, ["realtime"], {})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.writer.run)
        try:
            yield journal
        finally:
            await journal.close()
            tasks.cancel_scope.cancel()


async def refusal(directory: Path, region: str = "eu-de", environment: str = "test") -> Refused:
    journal = Journal(directory)
    with pytest.raises(Refused) as caught:
        await journal.open(region, environment, ["realtime"], {})
    return caught.value


def spoil(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def test_the_settings_that_the_promises_rest_on_are_in_force(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:

        def read(connection: sqlite3.Connection) -> dict[str, object]:
            names = ("journal_mode", "synchronous", "locking_mode", "mmap_size", "cell_size_check")
            return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

        assert await journal.read(read) == {
            "journal_mode": "wal",
            "synchronous": 2,
            "locking_mode": "exclusive",
            "mmap_size": 0,
            "cell_size_check": 1,
        }
        assert not list(tmp_path.glob("*-shm")), "a second connection could come in by shared memory"
        assert journal.path.stat().st_mode & 0o007 == 0


async def test_a_second_process_is_refused_and_told_which_one_has_the_journal(tmp_path: Path) -> None:
    script = f"""
import anyio
from pathlib import Path
from runtime.errors import Refused
from runtime.journal.store import Store
async def main():
    store = Store(Path({str(tmp_path / "journal.db")!r}))
    await store.open()
    await store.close()
try:
    anyio.run(main)
except Refused as error:
    print(error)
"""
    async with opened(tmp_path):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
        assert f"(pid {os.getpid()})" in done.stdout
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert not done.stdout, "the lock outlived its owner"


async def test_a_second_journal_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        assert "has this journal open" in str(await refusal(tmp_path))
        assert await journal.write(lambda c: meta.number(c, "epoch")) == 1


async def test_a_database_of_somebody_else_is_refused_and_stays_as_it_was(tmp_path: Path) -> None:
    for statement in ("CREATE TABLE theirs (x)", "PRAGMA user_version = 1"):
        spoil(tmp_path / "journal.db", statement)
        before = (tmp_path / "journal.db").read_bytes()
        assert "not a journal" in str(await refusal(tmp_path))
        assert (tmp_path / "journal.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.db", "journal.lock"]
    connection = sqlite3.connect(tmp_path / "journal.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    connection.close()


async def test_a_file_that_is_no_database_fails_and_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"a letter to my aunt\n" * 1_000)
    refused = await refusal(tmp_path)
    assert f"{tmp_path / 'journal.db'} is not a database" in str(refused)
    assert "restore the newest backup" in refused.hint
    assert (tmp_path / "journal.db").read_bytes() == b"a letter to my aunt\n" * 1_000


async def test_a_folder_in_the_place_of_the_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    assert "journal.db is a folder" in str(await refusal(tmp_path))


async def test_a_first_page_that_only_the_log_still_has_is_not_mistaken_for_a_foreign_file(tmp_path: Path) -> None:
    """A kill between the first migration and the first checkpoint: the file itself bears no mark yet."""
    async with opened(tmp_path / "original") as journal:
        shutil.copytree(tmp_path / "original", tmp_path / "killed")
        assert (tmp_path / "killed" / "journal.db-wal").stat().st_size
        assert journal.is_new
    async with opened(tmp_path / "killed") as journal:
        assert journal.region == "eu-de"


async def test_an_empty_journal_beside_the_keys_of_a_region_is_a_lost_one(tmp_path: Path) -> None:
    async with support.region(tmp_path):
        pass
    journal = tmp_path / "state" / "journal.db"
    journal.write_bytes(b"")
    with pytest.raises(Refused, match="is empty, although this region has keys") as caught:
        async with support.region(tmp_path):
            pass
    assert "adopt" in caught.value.hint
    assert journal.read_bytes() == b""


async def test_an_empty_journal_of_a_first_start_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"")
    async with opened(tmp_path) as journal:
        assert journal.is_new


# ---------------------------------------------------------------- who has the journal


@contextmanager
def held(directory: Path, role: Role) -> Iterator[JournalLock]:
    lock = JournalLock(directory / "journal.db", role)
    assert lock.try_take()
    yield lock
    lock.give_back()


async def test_an_agent_waits_for_a_command_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    with held(tmp_path, "command") as command:

        def tell(sentence: str) -> None:
            told.append(sentence)
            command.give_back()

        agent = JournalLock(tmp_path / "journal.db", tell=tell)
        await agent.take()
        agent.give_back()
    assert told == [f"a command (pid {os.getpid()}) has it open; waiting up to 5 s"]


async def test_the_wait_for_a_command_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "WAIT_SECONDS_MAX", 0.2)
    with (
        held(tmp_path, "command"),
        pytest.raises(JournalInUse, match=r"a command .* has this journal open: .*; waited 0\.2 s"),
    ):
        await JournalLock(tmp_path / "journal.db").take()


async def test_nobody_waits_for_an_agent(tmp_path: Path) -> None:
    told: list[str] = []
    with held(tmp_path, "command"):
        pass  # its mark must not be taken for that of the agent that follows
    with held(tmp_path, "agent"), pytest.raises(JournalInUse, match="another process"):
        await JournalLock(tmp_path / "journal.db", "command", told.append).take()
    assert not told


async def test_a_newer_schema_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    newest = steps()[-1][0]
    spoil(tmp_path / "journal.db", f"PRAGMA user_version = {newest + 1}")
    before = (tmp_path / "journal.db").read_bytes()
    assert f"schema {newest + 1}" in str(await refusal(tmp_path))
    assert (tmp_path / "journal.db").read_bytes() == before


@pytest.mark.parametrize(("region", "environment"), [("eu-fr", "test"), ("eu-de", "production")])
async def test_the_journal_of_another_region_or_environment_is_refused(
    region: str, environment: str, tmp_path: Path
) -> None:
    async with opened(tmp_path):
        pass
    refused = await refusal(tmp_path, region, environment)
    assert "belongs to region 'eu-de' (test)" in str(refused)
    assert refused.hint
    async with opened(tmp_path) as journal:
        assert journal.region == "eu-de", "a refusal must give the lock back"


async def test_only_an_orderly_stop_counts_as_clean(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        assert journal.stopped_cleanly
    for clean in (True, False):
        journal = Journal(tmp_path)
        await journal.open("eu-de", "test", ["realtime"], {})
        assert journal.stopped_cleanly is clean
        await journal.store.close()  # as a kill would leave it: nothing is noted


async def test_a_closed_journal_answers_that_it_is_closed(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        pass
    with pytest.raises(StorageFailed, match="closed"):
        await journal.read(lambda c: None)
    with pytest.raises(StorageFailed, match="no more writes"):
        await journal.write(lambda c: None)


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
async def test_what_is_written_to_a_file_that_nobody_finds_again_is_not_confirmed(tmp_path: Path, name: str) -> None:
    journal = Journal(tmp_path)
    await journal.open("eu-de", "test", ["realtime"], {})
    (tmp_path / name).rename(tmp_path / "aside")
    with pytest.raises(StorageFailed, match=f"{name} was removed or replaced"):
        await journal.store.run(lambda connection: meta.put(connection, clean=0))
    with pytest.raises(StorageFailed):
        await journal.read(lambda connection: meta.number(connection, "clean"))
    assert journal.writer.failure is not None
    await journal.close()


async def test_a_journal_that_holds_anything_is_not_new(tmp_path: Path) -> None:
    """Only a journal that never promised or signed anything may be given new keys."""
    async with support.region(tmp_path) as kernel:
        assert kernel.journal.is_new
    async with support.region(tmp_path) as kernel:
        assert kernel.journal.is_new
        await support.accept(kernel, support.message())
    async with support.region(tmp_path) as kernel:
        assert not kernel.journal.is_new
