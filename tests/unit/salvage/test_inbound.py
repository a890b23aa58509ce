"""A repair keeps what headquarters sent as far as it proves right, and leaves what is in doubt to a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from runtime.journal import deliveries, inbox, targets
from runtime.salvage.repair import Owner, repair
from runtime.salvage.report import Report
from tests.support.headquarters import Sealing
from tests.support.kernel import Bench, configure, drive, message
from tests.unit.journal.test_deliveries import look, take_in, verified


def damaged(home: Path, damage: Callable[[sqlite3.Connection], object]) -> tuple[Report, Bench]:
    """Six commands, three looked at, one of them delivered and one a letter; damaged and repaired."""
    bench = Bench(configure(home), durable=False)
    bench.accept(message(key="k"))
    connection = bench.connection
    targets.enter(connection, "erp", "inbox")
    take_in(connection, Sealing(), 6)
    look(connection, "erp", 3)
    deliveries.finish(connection, 1, deliveries.DELIVERED, now_us=2, reference="7")
    deliveries.reject(connection, 2, now_us=2, reason="no", hint="")
    public_key = bench.kernel.identity.public_key
    damage(connection)
    bench.close()
    owner = Owner(region="eu-de", environment="test", lanes=["realtime", "bulk"], key_seconds=9, public_key=public_key)
    report = repair(home / "state", owner, confirm=True)
    return report, Bench(configure(home), durable=False)


def test_everything_comes_through_and_what_was_open_waits_for_a_person(tmp_path: Path) -> None:
    _, bench = damaged(tmp_path, lambda _: None)
    with closing(bench.connection) as connection:
        (downlink,) = inbox.downlinks(connection)
        assert downlink.seq == 6
        assert downlink.fence is not None
        assert downlink.fence.kind == "stale_self"
        row = targets.get(connection, "erp")
        assert (row.looked, row.counted, row.delivered, row.letters, row.pending) == (3, 6, 1, 2, 3)
        assert "repaired" in deliveries.get(connection, 3).reason
        assert deliveries.get(connection, 2).reason == "no"
        assert verified(bench) == []


def test_records_behind_one_that_does_not_prove_right_are_read_from_the_hub_again(tmp_path: Path) -> None:
    sealing = Sealing()
    report, bench = damaged(tmp_path, lambda c: c.execute("UPDATE inbox SET data = x'00' WHERE number = 5"))
    with closing(bench.connection) as connection:
        (downlink,) = inbox.downlinks(connection)
        assert (downlink.seq, downlink.highest) == (4, 4)
        inbox.lift_fence(connection, "hq")
        again = [sealing.command() for _ in range(6)][4:]
        last = inbox.append(connection, inbox.ensure(connection, "hq"), again, 5)
        targets.count(connection, "inbox", last)
        row = targets.get(connection, "erp")
        assert (last, row.counted, row.looked, row.pending) == (6, 6, 3, 3), "each record has the number that it had"
        assert verified(bench) == []
    assert report.region == "eu-de"


def test_a_journal_from_before_the_downlink_is_repaired_as_before(tmp_path: Path) -> None:
    def older(connection: sqlite3.Connection) -> None:
        for table in ("downlinks", "inbox", "targets", "deliveries"):
            connection.execute(f"DROP TABLE {table}")

    _, bench = damaged(tmp_path, older)
    with closing(bench.connection) as connection:
        assert inbox.downlinks(connection) == []
        assert drive(bench.journal.read(lambda c: c.execute("SELECT facts FROM books").fetchone()[0])) == 1
