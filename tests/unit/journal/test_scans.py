"""A start and a look at the status cost the same on a full journal as on an empty one: nothing is scanned or counted."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime import clock
from runtime.journal import books
from runtime.status import read_state
from tests.support.kernel import Bench, StockTranslator, configure, drive, message

STEP = 20
FEW, MANY = 300, 3_000
READY_SECONDS_MAX = 5.0
"""7-faults: restart within 5 s."""


class Counted(sqlite3.Connection):
    """Counts the steps of SQLite's machine, in units of `STEP`, and keeps the statements."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.steps = 0
        self.statements: list[str] = []
        self.set_progress_handler(self.count, STEP)
        self.set_trace_callback(self.statements.append)

    def count(self) -> int:
        self.steps += 1
        return 0


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **o: plain(*a, factory=Counted, **o))


def filled(directory: Path, facts: int) -> Bench:
    """Acknowledged, sealed, queued, untranslated and rejected facts."""
    translator = StockTranslator()
    translator.refuses.add("C")
    bench = Bench(configure(directory, translator))
    bench.connection.execute("PRAGMA synchronous=OFF")
    bench.accept(*(message("C") for _ in range(facts // 10)))
    part = facts // 4
    for stage in range(4):
        for start in range(0, part, 500):
            bench.accept(*(message("A", n, key=f"{stage}.{n}") for n in range(start, min(part, start + 500))))
        if stage < 3:
            bench.translate()
        if stage == 0:
            bench.ship()
        elif stage == 1:
            bench.take(rows_max=50)
    return bench


def cost(directory: Path, facts: int, work: Callable[[Bench], object]) -> int:
    bench = filled(directory, facts)
    before = bench.connection.steps  # type: ignore[attr-defined]
    work(bench)
    connection = bench.connection
    spent: int = connection.steps - (before if connection.steps >= before else 0)  # type: ignore[attr-defined]
    bench.close()
    return spent


def reopened(bench: Bench) -> None:
    bench.restart()
    drive(bench.kernel.replay.resume())


def status(bench: Bench) -> None:
    read_state(bench.connection)


def one_more(bench: Bench) -> None:
    bench.accept(message("A", 1, key="one more"))


@pytest.mark.parametrize("work", [reopened, status, one_more])
def test_the_cost_does_not_grow_with_the_journal(work: Callable[[Bench], object], tmp_path: Path) -> None:
    small, large = (cost(tmp_path / str(facts), facts, work) for facts in (FEW, MANY))
    assert large <= small + 10, f"{large * STEP} steps instead of {small * STEP}"


def test_the_measure_itself_sees_a_scan(tmp_path: Path) -> None:
    small, large = (
        cost(tmp_path / str(facts), facts, lambda b: b.value("SELECT sum(length(key)) FROM intake"))
        for facts in (FEW, MANY)
    )
    assert large > 5 * small


def test_no_statement_of_a_start_or_a_status_walks_through_a_log(tmp_path: Path) -> None:
    bench = filled(tmp_path, FEW)
    reopened(bench)
    status(bench)
    seen = [s for s in bench.connection.statements if s.lstrip().startswith(("SELECT", "DELETE", "UPDATE"))]  # type: ignore[attr-defined]
    assert len(seen) > 10
    log = re.compile(r"SCAN (intake|bodies|events|outbox|letters|parked|told|elsewhere|incidents|[ibelop])( |$)")
    for statement in seen:
        for *_, plan in bench.rows(f"EXPLAIN QUERY PLAN {statement}"):
            assert not log.match(plan), f"{plan}: {statement}"
    bench.close()


@pytest.mark.soak
def test_a_journal_of_a_million_facts_is_ready_in_time(tmp_path: Path) -> None:
    bench = filled(tmp_path, 1_000_000)
    assert books.read(bench.connection).facts > 999_000
    bench.close()
    started = clock.monotonic()
    bench.open()
    reopened(bench)
    status(bench)
    assert clock.monotonic() - started < READY_SECONDS_MAX
    bench.close()
