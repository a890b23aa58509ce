"""A backup is a consistent copy of a journal that goes on working; it appears whole, secret and proven, or not at all."""

from __future__ import annotations

import shutil
import stat
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from runtime.backup import manifest as manifests
from runtime.backup.archive import Archive
from runtime.errors import Permanent, Refused, Retryable
from runtime.journal import copy, file
from runtime.journal.copy import SlicedCopy
from runtime.kernel import Kernel
from tests.support import kernel as support
from tests.support.kernel import message

pytestmark = pytest.mark.anyio


def archive(kernel: Kernel, *, keys: bool = False) -> Archive:
    return Archive(kernel.journal, kernel.identity, kernel.configuration.data_dir / "identity" if keys else None)


async def fill(kernel: Kernel, facts: int, first: int = 0) -> None:
    await support.accept(
        kernel, *(message("A", n, key=f"k{n}", remarks="x" * 2_000) for n in range(first, first + facts))
    )


async def test_commits_between_the_slices_are_in_the_copy_and_it_is_whole(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await fill(kernel, 800)
        work = SlicedCopy(tmp_path / "copy.db")
        slices = 0
        while not await kernel.journal.read(work.slice):
            slices += 1
            await fill(kernel, 3, 1_000 * slices)
        await anyio.to_thread.run_sync(work.end)
        assert slices > 5
        standing = await anyio.to_thread.run_sync(file.standing, tmp_path / "copy.db")
        assert standing.problems == []
        assert standing.books.facts == 800 + 3 * slices, "what was committed meanwhile is missing"
        assert standing.books.balanced


async def test_no_slice_copies_more_than_its_pages(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await fill(kernel, 800)
        work = SlicedCopy(tmp_path / "copy.db")
        left: list[int] = []
        while not await kernel.journal.read(work.slice):
            left.append(work.pages_left)
        await anyio.to_thread.run_sync(work.end)
        assert len(left) > 5
        assert all(before - after == copy.SLICE_PAGES for before, after in pairwise(left))


async def test_a_copy_that_is_given_up_leaves_the_journal_at_work(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await fill(kernel, 800)
        work = SlicedCopy(tmp_path / "copy.db")
        assert not await kernel.journal.read(work.slice)
        await anyio.to_thread.run_sync(work.end)
        assert not work.finished
        await fill(kernel, 1, 5_000)
        assert (await archive(kernel).make(tmp_path / "backup")).manifest.facts == 801


async def test_a_place_that_cannot_be_looked_at_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        with pytest.raises(Refused, match="cannot be written"):
            await archive(kernel).make(tmp_path / ("x" * 300))


async def test_a_place_that_takes_no_copy_does_not_end_the_agent(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await fill(kernel, 5)
        with pytest.raises(Permanent, match="the copy cannot be written"):
            await copy.copy(kernel.journal, tmp_path / "nowhere" / "copy.db")
        with pytest.raises(Refused, match="cannot be written"):
            await archive(kernel).make(tmp_path / "nowhere" / "backup")
        await fill(kernel, 1, 100)
        assert kernel.journal.writer.failure is None


async def test_only_its_owner_may_read_it_and_keys_are_in_it_only_when_asked_for(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await fill(kernel, 5)
        plain = Path((await archive(kernel).make(tmp_path / "plain")).path)
        secret = Path((await archive(kernel, keys=True).make(tmp_path / "secret")).path)
    assert sorted(p.name for p in plain.iterdir()) == ["journal.db", "manifest.json"]
    assert (secret / "identity" / "signing.key").read_bytes() == (tmp_path / "state/identity/signing.key").read_bytes()
    for path in (plain, secret, *plain.rglob("*"), *secret.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_the_manifest_is_signed_and_names_exactly_these_bytes(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await fill(kernel, 5)
        await support.translate(kernel)
        await support.ship(kernel)
        made = await archive(kernel).make(tmp_path / "backup")
        manifest, signed = manifests.read(tmp_path / "backup")
        manifests.check_signature(signed, kernel.identity.public_key)
    assert manifest == made.manifest
    assert (manifest.region, manifest.facts, manifest.lanes["realtime"].acked) == ("eu-de", 5, 5)
    assert manifest.sha256 == manifests.digest(tmp_path / "backup" / "journal.db")


async def test_into_a_folder_each_backup_gets_a_name_of_its_own_and_none_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    async with support.region(tmp_path) as kernel:
        for _ in range(3):
            await archive(kernel).make(tmp_path / "many")
        names = sorted(p.name for p in (tmp_path / "many").iterdir())
        assert len(names) == 3
        assert all(name.startswith("eu-de-20") for name in names)
        (tmp_path / "file").write_text("mine")
        with pytest.raises(Refused, match="is there already"):
            await archive(kernel).make(tmp_path / "file")


async def test_without_room_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with support.region(tmp_path) as kernel:
        usage = shutil.disk_usage(tmp_path)._replace(free=1_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(Retryable, match="no room"):
            await archive(kernel).make(tmp_path / "backup")
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


async def test_a_damaged_journal_gives_no_backup(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await fill(kernel, 300)
    path = tmp_path / "state" / "journal.db"
    with path.open("r+b") as journal:
        journal.seek(8_192 * 20)
        journal.write(b"\xff" * 8_192)
    async with support.region(tmp_path) as kernel:
        with pytest.raises(Permanent, match="damaged"):
            await archive(kernel).make(tmp_path / "backup")
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
