"""With a watermark of headquarters, age alone lets nothing be forgotten; under pressure room still comes first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runtime.journal import lanes, outbox, retention, watermark
from runtime.journal.lanes import LaneRow
from runtime.journal.retention import HOUR, MARK_SECONDS, Limits
from tests.support.kernel import Bench, StockTranslator, configure, drive, message

LIMITS = Limits(refill_seconds=HOUR, key_seconds=3 * HOUR)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path, StockTranslator(), park=False))
    bench.accept(*(message("A", n, key=f"k{n}") for n in range(1, 11)))
    bench.translate()
    bench.ship()
    for _ in range(0, 2 * HOUR, MARK_SECONDS):
        drive(bench.journal.write(lambda c: retention.grow_older(c, MARK_SECONDS)))
    yield bench
    bench.close()


def lane(bench: Bench) -> LaneRow:
    return next(row for row in lanes.everyone(bench.connection) if row.name == "realtime")


def note(bench: Bench, seq: int, chain: bytes | None = None) -> bool:
    row = lane(bench)
    known = outbox.chain_at(bench.connection, row, seq) or bytes(32)
    return drive(bench.journal.write(lambda c: watermark.note(c, row, seq, chain or known)))


def kept(bench: Bench, *, pressed: bool = False) -> list[int]:
    while drive(bench.journal.write(partial(retention.prune, limits=LIMITS, pressed=pressed))):
        pass
    row = lane(bench)
    return [n for (n,) in bench.rows(f"SELECT id - {row.row_id(0)} FROM outbox ORDER BY 1")]


def test_without_a_watermark_age_decides(bench: Bench) -> None:
    assert kept(bench) == []


def test_old_records_beyond_the_watermark_stay(bench: Bench) -> None:
    assert note(bench, 4)
    assert kept(bench) == [5, 6, 7, 8, 9, 10]
    assert note(bench, 9)
    assert kept(bench) == [10]


def test_a_watermark_never_falls(bench: Bench) -> None:
    assert note(bench, 9)
    assert note(bench, 4)
    assert kept(bench) == [10]


def test_a_watermark_over_another_chain_is_refused_and_changes_nothing(bench: Bench) -> None:
    assert note(bench, 4)
    assert not note(bench, 8, bytes(range(32)))
    assert kept(bench) == [5, 6, 7, 8, 9, 10]


def test_a_watermark_ahead_of_the_acknowledgement_waits(bench: Bench) -> None:
    assert note(bench, 4)
    assert note(bench, 99)
    assert kept(bench) == [5, 6, 7, 8, 9, 10]


def test_under_pressure_acknowledged_records_go_all_the_same(bench: Bench) -> None:
    assert note(bench, 4)
    assert kept(bench, pressed=True) == []
