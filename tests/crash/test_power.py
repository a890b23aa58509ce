"""A power cut: of the log only what was flushed is sure; behind it anything may stand. Every receipt is there."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from runtime.journal import books, intake
from tests.crash import runs
from tests.crash.child import numbered
from tests.support.kernel import Bench, configure

CUTS = 40


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[runs.Receipt]]:
    """A journal whose commits all lie in the log, and what the log held when each receipt was told."""
    directory = tmp_path_factory.mktemp("power")
    ended = runs.run(directory, "accept_only")
    assert ended.code == -signal.SIGKILL, ended.lines
    assert len({receipt.wal_bytes for receipt in ended.receipts}) > 4
    return directory, ended.receipts


def cut(origin: Path, copy: Path, length: int, tail: bytes) -> Bench:
    """The same journal, its log cut off at a length and continued by whatever the disk held there before."""
    shutil.copytree(origin, copy)
    with (copy / "state" / "journal.db-wal").open("r+b") as log:
        log.truncate(length)
        log.seek(length)
        log.write(tail)
    return Bench(configure(copy))


@pytest.mark.parametrize("torn", ["ends", "zeros", "garbage"])
def test_every_receipt_told_before_the_cut_is_there(
    killed: tuple[Path, list[runs.Receipt]], torn: str, tmp_path: Path
) -> None:
    origin, receipts = killed
    chance = random.Random(torn)
    first, last = receipts[0].wal_bytes, receipts[-1].wal_bytes
    lengths = {receipt.wal_bytes for receipt in receipts} | {chance.randint(first, last) for _ in range(CUTS)}
    for length in sorted(lengths):
        tail = {"ends": b"", "zeros": bytes(9_000), "garbage": chance.randbytes(9_000)}[torn]
        bench = cut(origin, tmp_path / str(length), length, tail)
        assert books.read(bench.connection).balanced
        assert bench.value("PRAGMA integrity_check") == "ok"
        for told in receipts:
            if told.wal_bytes <= length:
                found = intake.lookup(
                    bench.connection, bench.journal.names, bench.journal.keys, "wms", f"k{told.number}"
                )
                assert found is not None, f"cut at {length}: receipt {told} is gone"
                assert (found.seq, found.digest.hex()) == (told.seq, told.sha256)
                kept = bench.value("SELECT body FROM bodies WHERE seq = ?", told.seq)
                assert kept == numbered(told.number).body
        bench.close()
        shutil.rmtree(tmp_path / str(length))


def test_a_cut_before_the_flush_is_seen_by_this_test(killed: tuple[Path, list[runs.Receipt]], tmp_path: Path) -> None:
    """The measure itself: one byte less than was flushed, and the last receipt is gone."""
    origin, receipts = killed
    bench = cut(origin, tmp_path / "short", receipts[-1].wal_bytes - 1, b"")
    assert (
        intake.lookup(bench.connection, bench.journal.names, bench.journal.keys, "wms", f"k{receipts[-1].number}")
        is None
    )
    bench.close()
