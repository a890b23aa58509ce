"""What is forgotten is safe at the hub and old in running time; keys, letters and unsent rows are not forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runtime.journal import books, inspect, intake, lanes, retention
from runtime.journal.retention import HOUR, MARK_SECONDS, Limits
from tests.support import kernel as support
from tests.support.kernel import Bench, StockTranslator, configure, drive, message

LIMITS = Limits(refill_seconds=HOUR, key_seconds=3 * HOUR)


@pytest.fixture
def translator() -> StockTranslator:
    return StockTranslator()


@pytest.fixture
def bench(tmp_path: Path, translator: StockTranslator) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path, translator, park=True))
    yield bench
    bench.close()


def age(bench: Bench, seconds: int) -> None:
    """Running time in steps, as the agent counts it."""
    for _ in range(0, seconds, MARK_SECONDS):
        drive(bench.journal.write(lambda c: retention.grow_older(c, MARK_SECONDS)))


def prune(bench: Bench, *, pressed: bool = False) -> int:
    total = 0
    while deleted := drive(bench.journal.write(partial(retention.prune, limits=LIMITS, pressed=pressed))):
        total += deleted
    return total


def send(bench: Bench, count: int) -> list[Any]:
    start = books.read(bench.connection).facts
    bench.accept(*(message("A", n, key=f"k{n}") for n in range(start + 1, start + count + 1)))
    bench.translate()
    return bench.ship()


def numbers(bench: Bench, table: str, column: str) -> list[int]:
    return [row[0] for row in bench.rows(f"SELECT {column} FROM {table} ORDER BY 1")]


def lane(bench: Bench) -> lanes.LaneRow:
    return next(row for row in lanes.everyone(bench.connection) if row.name == "realtime")


def test_rows_stay_for_the_refill_and_then_go_but_their_keys_stay_longer(bench: Bench) -> None:
    send(bench, 3)
    age(bench, HOUR)
    assert prune(bench) == 0
    assert lane(bench).oldest == 1
    age(bench, 2 * MARK_SECONDS)
    assert prune(bench) == 9
    assert lane(bench).oldest == 4
    (again,) = bench.accept(message("A", 2, key="k2"))
    assert (again.duplicate, again.seq) == (True, 2)


def test_keys_are_forgotten_only_after_their_own_age(bench: Bench) -> None:
    send(bench, 3)
    age(bench, 3 * HOUR)
    prune(bench)
    assert numbers(bench, "intake", "seq") == [1, 2, 3]
    age(bench, 2 * MARK_SECONDS)
    prune(bench)
    assert numbers(bench, "intake", "seq") == []
    (fresh,) = bench.accept(message("A", 2, key="k2"))
    assert (fresh.duplicate, fresh.seq) == (False, 4), "sequences never restart"


def test_in_an_outage_longer_than_key_days_a_round_costs_the_same_however_many_keys_must_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE_ROWS_MAX", 20)

    def steps_of_one_round(keys: int) -> int:
        bench = Bench(configure(tmp_path / str(keys)), durable=False)
        bench.accept(*(message("A", n, key=f"k{n}") for n in range(keys)))
        age(bench, 4 * HOUR)
        steps: list[int] = []
        bench.connection.set_progress_handler(lambda: steps.append(1), 10)
        assert drive(bench.journal.write(partial(retention.prune, limits=LIMITS, pressed=False))) == 0
        bench.close()
        return len(steps)

    assert steps_of_one_round(2_000) <= steps_of_one_round(200) + 10


def test_a_key_that_may_go_is_found_among_many_that_must_stay(
    bench: Bench, translator: StockTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE_ROWS_MAX", 3)
    translator.refuses.add("C")
    bench.accept(*(message("A" if n == 10 else "C", n, key=f"k{n}") for n in range(1, 21)))
    bench.translate()
    bench.ship()
    age(bench, 4 * HOUR)
    for _ in range(20):
        prune(bench)
    assert numbers(bench, "intake", "seq") == [n for n in range(1, 21) if n != 10]


@pytest.mark.parametrize("years", [-10, 10])
def test_a_jump_of_the_wall_clock_ages_nothing(bench: Bench, years: int, monkeypatch: pytest.MonkeyPatch) -> None:
    send(bench, 2)
    age(bench, MARK_SECONDS)
    now = support.clock.now_us()
    monkeypatch.setattr(support.clock, "now_us", lambda: now + years * 365 * 24 * HOUR * 1_000_000)
    age(bench, MARK_SECONDS)
    assert prune(bench) == 0
    assert bench.value("SELECT value FROM meta WHERE name = 'age_seconds'") == 2 * MARK_SECONDS
    (again,) = bench.accept(message("A", 1, key="k1"))
    assert again.duplicate
    bench.restart()
    assert prune(bench) == 0


def test_what_the_hub_has_not_acknowledged_stays_at_any_age_and_under_any_pressure(bench: Bench) -> None:
    bench.accept(*(message("A", n) for n in range(1, 7)))
    bench.translate()
    rows = bench.take(rows_max=4)
    drive(bench.kernel.lanes["realtime"].acknowledge(2))
    age(bench, 4 * HOUR)
    for pressed in (False, True):
        prune(bench, pressed=pressed)
        assert numbers(bench, "events", "intake_seq")[-4:] == [3, 4, 5, 6]
        assert numbers(bench, "bodies", "seq")[-4:] == [3, 4, 5, 6]
        assert bench.take(after=2) == rows[2:]
    assert numbers(bench, "events", "intake_seq") == [3, 4, 5, 6]


def test_pressure_frees_acknowledged_rows_at_once_and_no_key(bench: Bench) -> None:
    send(bench, 3)
    assert prune(bench, pressed=True) == 9
    assert numbers(bench, "intake", "seq") == [1, 2, 3]
    assert numbers(bench, "bodies", "seq") == numbers(bench, "events", "id") == numbers(bench, "outbox", "id") == []


def test_facts_that_wait_for_translation_keep_their_bodies_under_pressure(bench: Bench) -> None:
    bench.accept(message(), message())
    age(bench, 4 * HOUR)
    assert prune(bench, pressed=True) == 0
    assert bench.translate() == 2


@pytest.mark.parametrize("pressed", [False, True])
def test_letters_and_what_is_parked_behind_them_can_be_retried_at_any_age(
    bench: Bench, translator: StockTranslator, pressed: bool
) -> None:
    translator.refuses.add("A")
    bench.accept(message("A", 1))
    bench.translate()
    translator.refuses.clear()
    bench.accept(message("A", 2), message("B", 3))
    bench.translate()
    bench.ship()
    age(bench, 5 * HOUR)
    prune(bench, pressed=pressed)
    assert numbers(bench, "bodies", "seq") == [1, 2]
    assert drive(bench.kernel.replay.retry(1)).successors == 1
    assert len(bench.ship()) == 2
    assert books.read(bench.connection).pending == 0


def test_a_replay_of_what_was_forgotten_says_gone_and_writes_nothing(bench: Bench) -> None:
    send(bench, 2)
    bench.accept(message("A", 9))
    bench.translate()
    drive(bench.journal.write(partial(retention.prune, limits=LIMITS, pressed=True)))
    bodies_stay = bench.rows("SELECT seq FROM bodies WHERE seq > 2")
    before = books.read(bench.connection)
    changes = drive(bench.kernel.replay.replay("wms", 1, 3, dry_run=False))
    assert [change.result for change in changes] == ["gone", "gone", "same"]
    assert bodies_stay == [(3,)]
    assert books.read(bench.connection) == before


def test_a_kept_body_whose_neighbours_are_forgotten_is_gone_for_a_replay(bench: Bench) -> None:
    """Its own outputs may be sealed and pruned: nobody can tell what would be new."""
    bench.accept(message("b1", 1))  # this lane's hub is away
    bench.translate()
    send(bench, 1)
    assert bench.rows("SELECT seq FROM bodies") == [(1,), (2,)]
    prune(bench, pressed=True)
    assert bench.rows("SELECT seq FROM bodies") == [(1,)]
    changes = drive(bench.kernel.replay.replay("wms", 1, 2, dry_run=False))
    assert [(change.origin, change.result) for change in changes] == [("1.1.0", "gone"), ("1.2.0", "gone")]


def test_the_hub_can_be_refilled_back_to_the_oldest_row_and_no_further(bench: Bench) -> None:
    send(bench, 3)
    age(bench, HOUR + 2 * MARK_SECONDS)
    kept = send(bench, 3)
    prune(bench)
    step = bench.kernel.lanes["realtime"]
    assert drive(step.head()).oldest == 4
    drive(step.rewind(3, "the hub lost everything"))
    assert books.read(bench.connection).pending == 3
    assert bench.take(after=3) == kept
    assert drive(step.chain_at(2)) is None
    assert bench.ship() == kept
    assert books.read(bench.connection).pending == 0


def test_the_hub_can_be_refilled_from_the_very_first_row(bench: Bench) -> None:
    rows = send(bench, 3)
    step = bench.kernel.lanes["realtime"]
    drive(step.rewind(0, "the hub lost everything"))
    assert books.read(bench.connection).pending == 3
    assert bench.ship() == rows


@pytest.mark.anyio
async def test_the_first_kept_row_is_proven_by_the_chain_before_it(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await support.accept(kernel, *(message("A", n) for n in range(4)))
        await support.translate(kernel)
        step = kernel.lanes["realtime"]
        await step.take(0, 4)
        await step.acknowledge(2)
        await kernel.journal.write(partial(retention.prune, limits=LIMITS, pressed=True))
        assert (await step.head()).oldest == 3
        assert await inspect.verify(kernel.journal, whole_file=True) == []
        row = kernel.journal.lanes["realtime"].row_id(3)
        await kernel.journal.write(lambda c: c.execute("UPDATE outbox SET data = x'00' WHERE id = ?", (row,)).rowcount)
        (problem,) = await inspect.verify(kernel.journal, whole_file=False)
        assert "record 3 does not match its chain hash" in problem


def test_the_horizon_is_the_age_of_the_oldest_row(bench: Bench) -> None:
    send(bench, 2)
    age(bench, 2 * HOUR)
    send(bench, 1)
    prune(bench)
    horizon = retention.refill_horizon_seconds(bench.connection, lane(bench))
    assert HOUR <= horizon <= 2 * HOUR
    age(bench, MARK_SECONDS)
    assert retention.refill_horizon_seconds(bench.connection, lane(bench)) == horizon + MARK_SECONDS


def test_marks_do_not_grow_without_end(bench: Bench) -> None:
    for _ in range(8):
        age(bench, HOUR)
        prune(bench)
    assert len(numbers(bench, "marks", "age_seconds")) <= (3 * HOUR) // MARK_SECONDS + 4


def test_one_slice_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE_ROWS_MAX", 4)
    send(bench, 10)
    before = bench.value("SELECT count(*) FROM outbox")
    drive(bench.journal.write(partial(retention.prune, limits=LIMITS, pressed=True)))
    assert before - bench.value("SELECT count(*) FROM outbox") == 4
    prune(bench, pressed=True)
    assert bench.value("SELECT count(*) FROM outbox") == 0


def test_usage_counts_what_is_needed_and_not_the_free_pages(bench: Bench) -> None:
    empty = retention.usage(bench.connection)
    bench.accept(*(support.Message(body=bytes(9_000)) for _ in range(50)))
    full = retention.usage(bench.connection)
    assert full.used - empty.used >= 50 * 9_000
    bench.connection.execute("DELETE FROM bodies")
    freed = retention.usage(bench.connection)
    assert freed.free >= 50 * 9_000
    assert freed.used + freed.free == full.used + full.free


def test_the_intake_of_a_forgotten_key_is_found_by_nobody(bench: Bench) -> None:
    send(bench, 1)
    age(bench, 4 * HOUR)
    prune(bench)
    assert intake.lookup(bench.connection, bench.journal.names, bench.journal.keys, "wms", "k1") is None
