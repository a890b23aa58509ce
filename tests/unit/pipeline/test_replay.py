"""A replay adds what is new, reports what would differ, and never writes an origin twice."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from runtime import record
from runtime.journal import books
from runtime.pipeline import replay as replay_module
from tests.support.kernel import Bench, StockTranslator, configure, drive, message


@pytest.fixture
def translator() -> StockTranslator:
    return StockTranslator()


@pytest.fixture
def bench(tmp_path: Path, translator: StockTranslator) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path, translator, park=True))
    yield bench
    bench.close()


def replay(bench: Bench, first: int = 1, last: int = 99, *, dry_run: bool = False) -> list[tuple[str, str]]:
    changes = drive(bench.kernel.replay.replay("wms", first, last, dry_run=dry_run))
    return [(change.origin, change.result) for change in changes]


def accept(bench: Bench, *numbers: int) -> None:
    bench.accept(*(message("A", number) for number in numbers))
    bench.translate()


def test_the_same_mapping_says_the_same_and_writes_nothing(bench: Bench) -> None:
    accept(bench, 1, 2)
    before = list(bench.connection.iterdump())
    assert replay(bench) == [("1.1.0", "same"), ("1.2.0", "same")]
    assert list(bench.connection.iterdump()) == before


def test_other_bytes_are_reported_and_nothing_is_written_whether_sealed_or_not(
    bench: Bench, translator: StockTranslator
) -> None:
    accept(bench, 1)
    bench.ship()
    accept(bench, 2)
    translator.added = Decimal(5)
    translator.copies = 2
    before = list(bench.connection.iterdump())
    assert replay(bench) == [("1.1.0", "differs"), ("1.1.1", "new"), ("1.2.0", "differs"), ("1.2.1", "new")]
    assert list(bench.connection.iterdump()) == before


def test_a_new_output_is_added_once_and_comes_late(bench: Bench, translator: StockTranslator) -> None:
    accept(bench, 1)
    bench.ship()
    translator.copies = 2
    assert replay(bench, dry_run=True) == replay(bench) == [("1.1.0", "same"), ("1.1.1", "new")]
    assert replay(bench) == [("1.1.0", "same"), ("1.1.1", "same")]
    (row,) = bench.ship()
    headers = record.parse_header_block(row.headers)
    assert (headers[record.ORIGIN_HEADER], headers["entrepot-late"]) == ("1.1.1", "true")
    account = books.read(bench.connection)
    assert (account.accepted, account.delivered, account.pending, account.balanced) == (2, 2, 0, True)


def test_a_dry_run_writes_nothing(bench: Bench, translator: StockTranslator) -> None:
    accept(bench, 1)
    translator.copies = 3
    before = list(bench.connection.iterdump())
    assert [result for _, result in replay(bench, dry_run=True)] == ["same", "new", "new"]
    assert list(bench.connection.iterdump()) == before


def test_a_dry_run_shows_old_and_new_side_by_side(bench: Bench, translator: StockTranslator) -> None:
    accept(bench, 1)
    translator.added = Decimal(5)
    (change,) = drive(bench.kernel.replay.replay("wms", 1, 9, dry_run=True))
    (difference,) = change.differences
    assert difference.leaf == "on_hand"
    assert difference.before is not None
    assert difference.after is not None
    assert Decimal(difference.after) == Decimal(difference.before) + 5


def test_a_dry_run_names_an_event_that_the_rules_no_longer_give(bench: Bench, translator: StockTranslator) -> None:
    translator.copies = 2
    accept(bench, 1)
    translator.copies = 1
    assert replay(bench, dry_run=True) == [("1.1.0", "same"), ("1.1.1", "dropped")]


def test_only_the_range_and_the_source_are_replayed_and_only_what_was_translated(bench: Bench) -> None:
    accept(bench, 1, 2)
    bench.accept(message(), source="carrier")
    accept(bench, 4, 5)
    bench.accept(message())
    assert [origin for origin, _ in replay(bench, 2, 4)] == ["1.2.0", "1.4.0"]
    assert [origin for origin, _ in replay(bench)] == ["1.1.0", "1.2.0", "1.4.0", "1.5.0"]


def test_a_long_range_is_replayed_in_slices(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "FACTS_MAX", 2)
    accept(bench, *range(7))
    assert [origin for origin, _ in replay(bench, 2, 6)] == [f"1.{n}.0" for n in range(2, 7)]


def test_what_was_told_before_is_not_counted_again(bench: Bench) -> None:
    bench.accept(message("A", 1, once="x"), message("A", 2, once="x"))
    bench.translate()
    before = list(bench.connection.iterdump())
    for _ in range(2):
        assert replay(bench) == [("1.1.0", "same"), ("1.2.0", "ignored")]
    assert list(bench.connection.iterdump()) == before


def test_a_fact_parked_behind_a_letter_is_left_to_its_letter(bench: Bench, translator: StockTranslator) -> None:
    translator.refuses.add("A")
    accept(bench, 1)
    translator.refuses.clear()
    accept(bench, 2)
    assert replay(bench) == [("1.1.0", "letter"), ("1.2.0", "letter")]
    assert drive(bench.kernel.replay.retry(1)).successors == 1
    assert [row.seq for row in bench.ship()] == [1, 2]
    assert books.read(bench.connection).pending == 0


def test_a_fact_that_would_become_a_letter_today_keeps_what_it_became(
    bench: Bench, translator: StockTranslator
) -> None:
    accept(bench, 1)
    translator.refuses.add("A")
    before = list(bench.connection.iterdump())
    assert replay(bench) == [("1.1.0", "letter")]
    assert list(bench.connection.iterdump()) == before
