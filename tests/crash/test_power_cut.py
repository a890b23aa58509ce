"""Promise 1 under a power cut: writes that were not flushed are lost, kept or torn at will, at every moment.

Every write and flush of a busy journal is recorded, then played back up to a moment and wrecked.
"""

from __future__ import annotations

import random
import sqlite3
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.certify.powercut import Files
from runtime.certify.recorder import Step
from runtime.journal import books, inspect, intake, lanes, retention, store
from runtime.journal.retention import Limits
from tests.support.disk import Disk, watched_disk
from tests.support.kernel import Bench, Message, body, configure, drive

WAL_PAGES = 12
"""Pages after which SQLite moves the log into the file here: so small that it happens every few commits."""
MOMENTS = 120


def busy_journal(bench: Bench, disk: Disk) -> None:
    """Two rounds of everything that commits; what the world was told is marked the moment it was told."""
    for number in range(24):
        sent = Message(body=body("Ab"[number % 2] + str(number % 3), number), key=f"k{number}")
        (receipt,) = bench.accept(sent)
        disk.mark(f"receipt {receipt.seq} {sent.key} {sha256(sent.body).hexdigest()}")
        if number % 3 == 2:
            bench.translate()
        if number % 4 == 3:
            for lane in ("realtime", "bulk"):
                for row in bench.take(lane):
                    disk.mark(f"sealed {lane} {row.seq} {row.chain.hex()}")
        if number % 6 == 5:
            step = bench.kernel.lanes["realtime"]
            drive(step.acknowledge(drive(step.head()).sealed))
            drive(bench.journal.write(_grow_old))
        if number == 20:
            drive(bench.kernel.lanes["realtime"].rewind(drive(bench.kernel.lanes["realtime"].head()).oldest, "test"))


def _grow_old(connection: sqlite3.Connection) -> None:
    retention.grow_older(connection, 700)
    retention.prune(connection, Limits(1_200, 90_000), pressed=False)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, list[Step]]:
    """(where the region lives, its journal before the first step, the steps)."""
    directory = tmp_path_factory.mktemp("busy")
    Bench(configure(directory)).close()
    before = (directory / "state" / "journal.db").read_bytes()
    settings = store._SETTINGS
    store._SETTINGS = tuple(s for s in settings if "autocheckpoint" not in s) + (f"wal_autocheckpoint={WAL_PAGES}",)
    try:
        with watched_disk() as disk:
            bench = Bench(configure(directory))
            busy_journal(bench, disk)
            bench.close()
    finally:
        store._SETTINGS = settings
    return directory, before, disk.steps


def test_the_recording_holds_flushes_of_both_files_and_resets_of_the_log(
    recording: tuple[Path, bytes, list[Step]],
) -> None:
    _, _, steps = recording
    kinds = {(step.kind, step.name) for step in steps}
    assert {("sync", "journal.db"), ("sync", "journal.db-wal")} <= kinds
    assert sum(step == Step("write", "journal.db-wal", 0, step.content) for step in steps) > 2, (
        "the log never restarted"
    )


@pytest.mark.parametrize("keeps", [0.0, 0.5, 1.0], ids=["all lost", "torn", "all kept"])
def test_every_receipt_survives_a_power_cut_at_any_moment(
    keeps: float, recording: tuple[Path, bytes, list[Step]], tmp_path: Path
) -> None:
    home, before, steps = recording
    chance = random.Random(f"{keeps}")
    told = [index for index, step in enumerate(steps) if step.kind == "mark"]
    moments = {*chance.sample(range(len(steps)), MOMENTS - 40), *chance.sample(told, 40)}
    files, promised = Files({"journal.db": before}), list[str]()
    for index, step in enumerate(steps):
        files.play(step)
        if step.kind == "mark":
            promised.append(step.name)
        if index in moments:
            state = tmp_path / str(index) / "state"
            state.mkdir(parents=True)
            (state / "identity").symlink_to(home / "state" / "identity")
            files.wreck(state, chance, keeps)
            check(state.parent, promised)


def check(directory: Path, promised: list[str]) -> None:
    """Open what the cut left behind; everything that the world was told must be there."""
    bench = Bench(configure(directory), durable=False)
    try:
        assert books.read(bench.connection).balanced
        assert drive(inspect.verify(bench.journal, whole_file=True)) == []
        for word, *about in map(str.split, promised):
            if word == "receipt":
                seq, key, digest = about
                known = intake.lookup(bench.connection, bench.journal.names, bench.journal.keys, "wms", key)
                assert known is not None, f"receipt {seq} is lost"
                assert (known.seq, known.digest.hex()) == (int(seq), digest)
            else:
                lane, seq, chain = about
                row = drive(bench.journal.read(partial(lanes.get, lane_id=bench.journal.lanes[lane].id)))
                assert row.sealed >= int(seq), "what was given to the hub is no longer sealed"
                if int(seq) >= row.oldest:
                    found = drive(bench.kernel.lanes[lane].chain_at(int(seq)))
                    assert found is not None
                    assert found.hex() == chain
    finally:
        bench.close()
