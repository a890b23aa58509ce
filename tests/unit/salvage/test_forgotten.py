"""A journal that has forgotten in order what is long safe: a repair neither sends it again nor calls it lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runtime.journal import letters, retention
from runtime.journal.retention import Limits
from runtime.journal.store import Connection
from runtime.salvage.repair import Owner, repair
from runtime.salvage.report import Report
from tests.support.kernel import Bench, StockTranslator, configure, drive, message

PAGE = 8_192
LIMITS = Limits(refill_seconds=1_200, key_seconds=90_000)
LETTERS = {7: "open", 11: "discarded"}


def _grow_old(connection: Connection) -> None:
    for _ in range(4):
        retention.grow_older(connection, 700)
    while retention.prune(connection, LIMITS, pressed=False):
        pass


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Forty old facts, settled and pruned but for two letters; ten at the hub and kept; five that wait."""
    translator = StockTranslator()
    translator.refuses.add("odd")
    bench = Bench(configure(tmp_path, translator), durable=False)
    for n in range(1, 41):
        bench.accept(message("odd" if n in LETTERS else "A", n, key=f"k{n}"))
    bench.translate()
    bench.ship()
    drive(bench.journal.write(lambda c: letters.discard(c, 2, 5)))
    drive(bench.journal.write(_grow_old))
    for n in range(41, 51):
        bench.accept(message("A", n, key=f"k{n}"))
    bench.translate()
    bench.ship()
    for n in range(51, 56):
        bench.accept(message("A", n, key=f"k{n}"))
    assert bench.value("SELECT count(*) FROM bodies WHERE seq <= 40") == len(LETTERS)
    assert bench.value("SELECT oldest FROM lanes WHERE name = 'realtime'") > 1
    drive(bench.kernel.checkpoints.write())
    bench.close()
    return tmp_path


def mend(home: Path) -> Report:
    key = Bench(configure(home), durable=False)
    public = key.kernel.identity.public_key
    key.close()
    return repaired(home, public)


def repaired(home: Path, public: bytes) -> Report:
    owner = Owner(
        region="eu-de", environment="test", lanes=["realtime", "bulk"], key_seconds=90_000, public_key=public
    )  # fmt: skip
    return repair(home / "state", owner, confirm=True)


def test_what_was_settled_stays_settled_and_letters_stay_letters(home: Path) -> None:
    report = mend(home)
    facts = report.facts
    assert (facts.saved, facts.settled, facts.letters, facts.pending, facts.lost) == (55, 38, 2, 15, [])
    lane = report.lanes["realtime"]
    assert lane.lost == []
    assert lane.reads_hub_from == lane.last + 1, "nothing is lost, so the hub need not be read again"
    bench = Bench(configure(home), durable=False)
    kept = dict(bench.rows("SELECT intake_seq, state FROM letters"))
    assert kept == LETTERS
    for n in (1, 30, 45):
        assert bench.accept(message("A", n, key=f"k{n}"))[0].duplicate, "the receipt of a settled message is forgotten"
    bench.connection.execute("DELETE FROM fences")
    bench.translate()
    sent = [_fact_of(row.headers) for row in bench.ship()]
    assert sent == [51, 52, 53, 54, 55], "what the hub has is sent again, or what it lacks is not"
    bench.close()


def _fact_of(headers: bytes) -> int:
    return next(int(line.split(b".")[1]) for line in headers.split(b"\n") if line.startswith(b"entrepot-origin:"))


def test_where_the_damage_hides_what_was_settled_a_person_decides(home: Path) -> None:
    bench = Bench(configure(home), durable=False)
    public = bench.kernel.identity.public_key
    bench.close()
    path = home / "state" / "journal.db"
    with closing(sqlite3.connect(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'letters'").fetchone()[0]
    content = bytearray(path.read_bytes())
    content[(root - 1) * PAGE : root * PAGE] = bytes(PAGE)
    path.write_bytes(content)
    report = repaired(home, public)
    assert "letters" in report.torn
    assert (report.facts.letters, report.facts.lost) == (2, [])
    bench = Bench(configure(home), durable=False)
    reasons = dict(bench.rows("SELECT intake_seq, reason FROM letters WHERE state = 'open'"))
    assert set(reasons) == set(LETTERS)
    assert all("no longer knows whether the hub has" in reason for reason in reasons.values())
    bench.close()


def test_receipts_that_were_forgotten_in_order_are_not_called_lost(home: Path) -> None:
    bench = Bench(configure(home), durable=False)

    def a_month(connection: Connection) -> None:
        for _ in range(140):
            retention.grow_older(connection, 700)
        while retention.prune(connection, LIMITS, pressed=False):
            pass

    drive(bench.journal.write(a_month))
    forgotten = 40 - bench.value("SELECT count(*) FROM intake WHERE seq <= 40")
    bench.close()
    assert forgotten == 38
    report = mend(home)
    assert report.facts.lost == []
    assert report.facts.unknown_before > 40


def test_a_message_that_meant_nothing_and_whose_body_went_in_order_is_not_called_lost(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path), durable=False)
    for n in range(1, 6):
        bench.accept(message("A", n, key=f"k{n}", ignore="a heartbeat"))
    bench.translate()
    drive(bench.journal.write(_grow_old))
    assert bench.value("SELECT count(*) FROM bodies") == 0
    bench.close()
    facts = mend(tmp_path).facts
    assert (facts.saved, facts.settled, facts.lost, facts.body_lost) == (5, 5, [], [])
