"""The inbox, the targets and their books in the journal: what stays, what goes, and that it adds up at every commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import Permanent, Refused
from runtime.journal import deliveries, inbox, inspect, migrate, retention, targets
from runtime.journal.deliveries import NewDelivery
from runtime.journal.retention import HOUR, MARK_SECONDS, Limits
from runtime.journal.targets import TargetRow
from tests.support.headquarters import Sealing
from tests.support.kernel import Bench, configure, drive, message

LIMITS = Limits(refill_seconds=HOUR, key_seconds=3 * HOUR)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path), durable=False)
    yield bench
    bench.close()


def age(bench: Bench, seconds: int) -> None:
    for _ in range(0, seconds, MARK_SECONDS):
        drive(bench.journal.write(lambda c: retention.grow_older(c, MARK_SECONDS)))


def prune(bench: Bench, *, pressed: bool = False) -> None:
    while drive(bench.journal.write(partial(retention.prune, limits=LIMITS, pressed=pressed))):
        pass


def take_in(connection: sqlite3.Connection, sealing: Sealing, count: int) -> None:
    """As the kernel does: rows, position and what targets receive, in one change."""
    downlink = inbox.ensure(connection, "hq")
    records = [sealing.command() for _ in range(count)]
    targets.count(connection, "inbox", inbox.append(connection, downlink, records, 1))


def wanted(number: int, key: str | None = None) -> NewDelivery:
    return NewDelivery(
        id=f"hq.eu-de.1.{number}", type="t", key=key, first_us=1, expires_us=None, headers=b"", data=b"content"
    )


def look(connection: sqlite3.Connection, name: str, count: int, *, wants: int | None = None) -> None:
    """The next rows are looked at; the first `wants` of them are wanted."""
    row = targets.get(connection, name)
    chosen = count if wants is None else wants
    targets.look(connection, row.id, through=row.looked + count, not_wanted=count - chosen)
    deliveries.add(connection, row.id, [wanted(row.looked + n) for n in range(1, chosen + 1)])


def the(bench: Bench, name: str = "erp") -> TargetRow:
    return targets.get(bench.connection, name)


def kept(bench: Bench, table: str) -> list[int]:
    return [row[0] for row in bench.rows(f"SELECT number FROM {table} ORDER BY 1")]


def verified(bench: Bench) -> list[str]:
    return drive(inspect.verify(bench.journal, whole_file=False))


def test_a_row_of_the_inbox_stays_until_every_target_has_looked_at_it_and_it_is_old(bench: Bench) -> None:
    sealing, connection = Sealing(), bench.connection
    for name in ("erp", "bi"):
        targets.enter(connection, name, "inbox")
    take_in(connection, sealing, 5)
    look(connection, "erp", 5, wants=0)
    look(connection, "bi", 3, wants=0)
    age(bench, 3 * HOUR + 2 * MARK_SECONDS)
    prune(bench)
    assert kept(bench, "inbox") == [4, 5], "bi has not looked at these"
    prune(bench, pressed=True)
    assert kept(bench, "inbox") == [4, 5], "not even under pressure"
    look(connection, "bi", 2, wants=0)
    take_in(connection, sealing, 1)
    prune(bench)
    assert kept(bench, "inbox") == [6]
    assert verified(bench) == []


def test_what_nobody_has_had_waits_for_the_first_target(bench: Bench) -> None:
    take_in(bench.connection, Sealing(), 3)
    prune(bench, pressed=True)
    assert kept(bench, "inbox") == [1, 2, 3]
    assert targets.enter(bench.connection, "erp", "inbox").received == 3
    assert targets.enter(bench.connection, "bi", "inbox").received == 0


def test_unfinished_deliveries_and_letters_outlive_the_rows_they_came_from(bench: Bench) -> None:
    sealing, connection = Sealing(), bench.connection
    targets.enter(connection, "erp", "inbox")
    take_in(connection, sealing, 3)
    look(connection, "erp", 3)
    deliveries.reject(connection, 1, now_us=2, reason="no", hint="")
    deliveries.finish(connection, 2, deliveries.DELIVERED, now_us=2, reference="7")
    age(bench, 3 * HOUR + 2 * MARK_SECONDS)
    prune(bench)
    assert kept(bench, "inbox") == []
    assert kept(bench, "deliveries") == [1, 3]
    assert deliveries.get(connection, 1).data == b"content"
    deliveries.add(connection, the(bench).id, [])
    assert deliveries.last(connection) == 3
    assert verified(bench) == []


def test_a_sealed_row_that_a_target_still_needs_is_not_forgotten(bench: Bench) -> None:
    targets.enter(bench.connection, "bi", "realtime")
    bench.accept(*(message("A", n, key=f"k{n}") for n in range(4)))
    bench.translate()
    bench.ship()
    targets.count(bench.connection, "realtime", 4)
    targets.look(bench.connection, the(bench, "bi").id, through=2, not_wanted=2)
    prune(bench, pressed=True)
    assert [row[0] & 0xFFFF for row in bench.rows("SELECT id FROM outbox ORDER BY id")] == [3, 4]
    targets.look(bench.connection, the(bench, "bi").id, through=4, not_wanted=2)
    prune(bench, pressed=True)
    assert bench.rows("SELECT id FROM outbox") == []


def test_a_number_is_never_given_twice(bench: Bench) -> None:
    connection = bench.connection
    targets.enter(connection, "erp", "inbox")
    take_in(connection, Sealing(), 2)
    look(connection, "erp", 1)
    deliveries.finish(connection, 1, deliveries.DELIVERED, now_us=2)
    prune(bench, pressed=True)
    assert kept(bench, "deliveries") == []
    look(connection, "erp", 1)
    assert kept(bench, "deliveries") == [2]


def test_a_finished_delivery_cannot_be_retried_or_discarded_and_an_unknown_one_is_named(bench: Bench) -> None:
    connection = bench.connection
    targets.enter(connection, "erp", "inbox")
    take_in(connection, Sealing(), 1)
    look(connection, "erp", 1)
    assert deliveries.finish(connection, 1, deliveries.DELIVERED, now_us=2)
    assert not deliveries.finish(connection, 1, deliveries.DELIVERED, now_us=2)
    for verb in (deliveries.reopen, deliveries.discard):
        with pytest.raises(Permanent, match="is delivered"):
            verb(connection, 1, 3)
        with pytest.raises(Permanent, match="no delivery 9"):
            verb(connection, 9, 3)
    assert the(bench).delivered == 1


def test_a_target_reads_something_else_only_when_it_is_done(bench: Bench) -> None:
    connection = bench.connection
    targets.enter(connection, "erp", "inbox")
    take_in(connection, Sealing(), 1)
    with pytest.raises(Refused, match="still has 1"):
        targets.enter(connection, "erp", "realtime")
    look(connection, "erp", 1, wants=0)
    assert targets.enter(connection, "erp", "realtime").reads == "realtime"


def test_rows_that_adopt_took_back_are_received_anew(bench: Bench) -> None:
    connection = bench.connection
    targets.enter(connection, "bi", "realtime")
    targets.count(connection, "realtime", 10)
    targets.look(connection, the(bench, "bi").id, through=8, not_wanted=8)
    targets.fall_back(connection, "realtime", 6)
    row = the(bench, "bi")
    assert (row.looked, row.counted, row.received, row.pending) == (6, 6, 8, 0)
    targets.count(connection, "realtime", 9)
    row = the(bench, "bi")
    assert (row.received, row.pending, row.balanced) == (11, 3, True)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take_in", "look", "deliver", "reject", "expire", "retry", "discard", "leave", "prune"]),
        st.integers(0, 5),
    ),
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_the_books_of_every_target_balance_whatever_happens_in_whatever_order(steps: list[tuple[str, int]]) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate.migrate(connection)
    sealing = Sealing()
    for name in ("erp", "bi"):
        targets.enter(connection, name, "inbox")
    take_in(connection, sealing, 5)
    for name in ("erp", "bi"):
        look(connection, name, 3)
    deliveries.reject(connection, 1, now_us=2, reason="no", hint="")
    for step, number in steps:
        _step(connection, sealing, step, number)
        for row in targets.everyone(connection):
            assert row.balanced, (step, row)
            waiting = _count(connection, row, "open") + row.counted - row.looked
            assert row.pending == waiting, (step, row)
            assert row.letters == _count(connection, row, "letter"), (step, row)
    connection.close()


def _count(connection: sqlite3.Connection, row: TargetRow, state: str) -> int:
    query = "SELECT count(*) FROM deliveries WHERE target = ? AND state = ?"
    found: int = connection.execute(query, (row.id, state)).fetchone()[0]
    return found


def _step(connection: sqlite3.Connection, sealing: Sealing, step: str, number: int) -> None:
    name = ("erp", "bi")[number % 2]
    chosen = connection.execute("SELECT number FROM deliveries ORDER BY number LIMIT 1 OFFSET ?", (number,)).fetchone()
    actions: dict[str, Any] = {
        "deliver": lambda n: deliveries.finish(connection, n, deliveries.DELIVERED, now_us=2),
        "expire": lambda n: deliveries.finish(connection, n, deliveries.EXPIRED, now_us=2),
        "reject": lambda n: deliveries.reject(connection, n, now_us=2, reason="no", hint=""),
        "retry": lambda n: deliveries.reopen(connection, n, 3),
        "discard": lambda n: deliveries.discard(connection, n, 3),
    }
    if step == "take_in":
        take_in(connection, sealing, number + 1)
    elif step == "look":
        row = targets.get(connection, name)
        count = min(number, row.counted - row.looked)
        look(connection, name, count, wants=count // 2)
    elif step == "leave":
        gone = targets.let_go(connection, {})
        if number % 2:
            targets.take_back(connection, gone)
        for each in gone:
            targets.enter(connection, each.name, "inbox")
    elif step == "prune":
        inbox.prune(connection, targets.claimed(connection), number)
        deliveries.prune(connection, deliveries.last(connection), number)
    elif chosen is not None:
        try:
            actions[step](chosen[0])
        except Permanent:
            assert step in {"retry", "discard"}
