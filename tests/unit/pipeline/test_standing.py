"""What the API answers from follows the events exactly: through kills, late messages, pruning, and being switched off and on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from runtime.gateway.api.settings import ApiSettings
from runtime.journal import retention, standing
from runtime.journal.retention import Limits
from runtime.journal.standing import StandingLimits
from runtime.pipeline import standing as step
from tests.support.kernel import Bench, StockTranslator, configure, drive, message, messages

DEFAULTS = ApiSettings()
DAY, HOUR = 86_400, 3_600
LINE = "subject, type, source, epoch, intake_seq, output, occurred_us, status"
KEPT = StandingLimits(record_hours=400 * 24, record_rows_max=1_000, history_hours=90 * 24, timeline_rows_max=1_000)


def opened(directory: Path, translator: Any = None, api: ApiSettings | None = DEFAULTS) -> Bench:
    configuration = configure(directory, translator)
    return Bench(replace(configuration, model=replace(configuration.model, api=api)), durable=False)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = opened(tmp_path)
    yield bench
    bench.close()


def state(bench: Bench) -> tuple[Any, ...]:
    """Everything that is kept for the API, but for the numbers of lines."""
    return (
        bench.rows("SELECT kind, key, part, grp, body FROM standing ORDER BY kind, key, part"),
        bench.rows(f"SELECT {LINE} FROM timeline ORDER BY subject, id"),
        bench.rows("SELECT kind, count FROM standing_rows WHERE count > 0"),
    )


def level(bench: Bench, sku: str) -> str | None:
    found = standing.page(bench.connection, "stock", after=("", ""), rows_max=1, key=sku)
    return found[0].body.decode() if found else None


def forget(bench: Bench) -> None:
    for table in ("standing", "timeline", "told_through", "standing_rows"):
        bench.connection.execute(f"DELETE FROM {table}")


def test_an_event_is_known_as_soon_as_it_is_translated(bench: Bench) -> None:
    bench.accept(message("A", 5), message("b1", 7))
    bench.translate()
    assert '"on_hand":"5"' in str(level(bench, "A"))
    assert '"on_hand":"7"' in str(level(bench, "b1")), "whatever lane it takes"
    found = standing.timeline(bench.connection, "product/A", 0, 10)
    assert [(line.intake_seq, line.output) for _, line in found] == [(1, 0)]


@given(st.lists(messages(), max_size=12), st.sampled_from([1, 3, 500]))
def test_what_is_built_anew_from_the_events_is_what_was_kept_all_along(sent: list[Any], at_once: int) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "ROWS_MAX", at_once)
        bench = opened(Path(directory))
        for one in sent:
            try:
                bench.accept(one)
            except Exception:
                continue
            bench.translate()
        while standing.behind(bench.connection):
            drive(bench.journal.write(bench.kernel.translate.batch))
        kept = state(bench)
        forget(bench)
        patch.setattr(step, "ROWS_MAX", 500)
        bench.restart()
        drive(bench.journal.write(bench.kernel.translate.batch))
        assert state(bench) == kept
        bench.close()


def test_a_kill_between_two_batches_tells_nothing_twice(bench: Bench) -> None:
    for number in range(5):
        bench.accept(message("A", number))
        bench.translate()
        bench.restart()
    bench.translate()
    assert len(standing.timeline(bench.connection, "product/A", 0, 100)) == 5


def test_a_letter_that_is_retried_is_told_then(tmp_path: Path) -> None:
    translator = StockTranslator()
    translator.refuses.add("A")
    bench = opened(tmp_path, translator)
    bench.accept(message("A", 3))
    bench.translate()
    assert level(bench, "A") is None
    translator.refuses.clear()
    drive(bench.kernel.replay.retry(1))
    drive(bench.journal.write(bench.kernel.translate.batch))
    assert '"on_hand":"3"' in str(level(bench, "A"))
    bench.close()


def test_an_instant_at_the_edge_of_the_calendar_does_not_stop_translation(bench: Bench) -> None:
    bench.accept(message("A", 1, at="0001-01-01T00:00:00+14:00"), message("B", 2))
    assert bench.translate() == 2
    assert level(bench, "A") is None
    assert level(bench, "B") is not None


def test_without_the_table_nothing_is_kept(tmp_path: Path) -> None:
    bench = opened(tmp_path, api=None)
    bench.accept(message("A", 1))
    bench.translate()
    assert state(bench) == ([], [], [])
    assert bench.rows("SELECT * FROM told_through") == []
    bench.close()


def prune(bench: Bench, limits: StandingLimits | None) -> None:
    change = partial(retention.prune, limits=Limits(3_600, 7_200, limits), pressed=False)
    for _ in range(20):
        drive(bench.journal.write(change))


def test_the_api_that_is_removed_is_forgotten_and_one_that_comes_back_tells_what_is_left(bench: Bench) -> None:
    bench.accept(*(message(f"S{number}", number) for number in range(600)))
    bench.translate()
    before = state(bench)
    assert len(before[0]) == len(before[1]) == 600
    prune(bench, None)
    assert state(bench) == ([], [], [])
    while drive(bench.journal.write(bench.kernel.translate.batch)).untold:
        pass
    assert state(bench) == before


def test_an_api_that_comes_back_while_it_is_being_forgotten_tells_nothing_twice(bench: Bench) -> None:
    bench.accept(*(message(f"S{number}", number) for number in range(600)))
    bench.translate()
    drive(bench.journal.write(partial(retention.prune, limits=Limits(3_600, 7_200), pressed=False)))
    while drive(bench.journal.write(bench.kernel.translate.batch)).untold:
        pass
    assert bench.rows("SELECT intake_seq FROM timeline ORDER BY id") == [(number,) for number in range(501, 601)]


def test_records_and_lines_are_kept_for_their_time_and_not_longer(bench: Bench) -> None:
    bench.accept(message("A", 1))
    bench.translate()
    retention.grow_older(bench.connection, 91 * DAY)
    bench.accept(message("B", 1))
    bench.translate()
    prune(bench, KEPT)
    assert standing.timeline(bench.connection, "product/A", 0, 9) == []
    assert len(standing.timeline(bench.connection, "product/B", 0, 9)) == 1
    assert level(bench, "A") is not None, "a level holds longer than its history"
    retention.grow_older(bench.connection, 310 * DAY)
    prune(bench, KEPT)
    assert (level(bench, "A"), level(bench, "B") is not None) == (None, True)


def test_of_too_many_those_go_that_were_told_longest_ago(bench: Bench) -> None:
    for number in range(6):
        bench.accept(message(f"S{number}", 1))
        bench.translate()
        retention.grow_older(bench.connection, HOUR)
    bench.accept(message("S0", 2))
    bench.translate()
    prune(bench, replace(KEPT, record_rows_max=2, timeline_rows_max=3))
    assert [row.key for row in standing.page(bench.connection, "stock", after=("", ""), rows_max=9)] == ["S0", "S5"]
    assert bench.rows("SELECT subject FROM timeline ORDER BY id") == [("product/S4",), ("product/S5",), ("product/S0",)]
    assert bench.rows("SELECT kind, count FROM standing_rows") == [("stock", 2)]


def test_pages_meet_without_a_gap_or_a_double(bench: Bench) -> None:
    bench.accept(*(message(f"S{number:03}", 1) for number in range(25)))
    bench.translate()
    after, seen = ("", ""), []
    while rows := standing.page(bench.connection, "stock", after=after, rows_max=4):
        seen += [row.key for row in rows]
        after = rows[-1].key, rows[-1].part
    assert seen == [f"S{number:03}" for number in range(25)]


@pytest.mark.parametrize("filters", [{}, {"key": "A"}, {"group": "B1"}, {"key": "A", "group": "B1"}])
def test_no_question_walks_through_the_whole_table(bench: Bench, filters: dict[str, str]) -> None:
    seen: list[str] = []
    bench.connection.set_trace_callback(seen.append)
    standing.page(bench.connection, "stock", after=("", ""), rows_max=5, **filters)
    standing.timeline(bench.connection, "product/A", 0, 5)
    standing.find(bench.connection, [("stock", "A", ""), ("stock", "B", "")])
    bench.connection.set_trace_callback(None)
    for statement in seen:
        plan = [row[-1] for row in bench.rows(f"EXPLAIN QUERY PLAN {statement}")]
        assert not any(line.startswith(("SCAN standing", "SCAN timeline", "USE TEMP B-TREE")) for line in plan), plan
