"""A message that waits for its document is never taken for settled by a repair, and an older journal has no such table."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runtime.journal import retention
from runtime.journal.retention import Limits
from runtime.mapping.decode import ANY
from runtime.mapping.faults import Spot
from runtime.mapping.link import Link
from runtime.pipeline.translate import SourceRules
from runtime.salvage.repair import Owner, repair
from runtime.salvage.report import Report
from tests.support.kernel import Bench, StockTranslator, configure, drive, message


def killed(home: Path) -> tuple[Path, bytes]:
    """The first fact waits; what came after it is at the hub and forgotten here."""
    bench = Bench(configure(home), durable=False)
    rules = {"wms": SourceRules(StockTranslator(), False, Link("thin", "https://a.example/{sku}", (), ANY, Spot("t")))}
    bench.kernel.translation.use(rules, bench.kernel.configuration.router)
    bench.accept(message("A", 0, thin=True))
    for number in range(1, 6):
        bench.accept(message("A", number))
    bench.translate()
    bench.ship()
    drive(bench.journal.write(lambda c: retention.grow_older(c, 10_000)))
    drive(bench.journal.write(lambda c: retention.prune(c, Limits(0, 10**9), pressed=True)))
    assert bench.value("SELECT count(*) FROM events") == 0
    key = bench.kernel.identity.public_key
    shutil.copytree(home / "state", home / "killed")
    bench.close()
    return home / "killed", key


def mend(state: Path, key: bytes) -> Report:
    owner = Owner(region="eu-de", environment="test", lanes=["realtime", "bulk"], key_seconds=10**9, public_key=key)
    return repair(state, owner, confirm=True)


def letters(state: Path) -> list[int]:
    with closing(sqlite3.connect(state / "journal.db")) as connection:
        return [row[0] for row in connection.execute("SELECT intake_seq FROM letters")]


def test_what_waited_for_its_document_is_a_letter_in_the_new_journal(tmp_path: Path) -> None:
    state, key = killed(tmp_path)
    report = mend(state, key)
    assert (report.facts.letters, letters(state)) == (1, [1])
    assert report.facts.saved == 6


@pytest.mark.parametrize("table", ["following", "source_cursors"])
def test_a_journal_from_before_these_tables_is_repaired_as_ever(tmp_path: Path, table: str) -> None:
    state, key = killed(tmp_path)
    with closing(sqlite3.connect(state / "journal.db", isolation_level=None)) as connection:
        connection.execute(f"DROP TABLE {table}")
    report = mend(state, key)
    assert report.facts.letters == (table != "following")
    assert report.facts.saved == 6
