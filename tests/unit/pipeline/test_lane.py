"""One lane between translation and the uplink: it never sleeps over work, never forgets how young a row is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from runtime.journal import books, letters, retention
from runtime.journal.portion import BYTES_MAX, portion
from runtime.journal.retention import Limits
from runtime.operations import Operations
from runtime.pipeline import lane as lane_module
from runtime.ports import Fence
from tests.support.kernel import Bench, StockTranslator, accept, configure, drive, message, region, ship, translate

HOUR = 3_600
LIMITS = Limits(refill_seconds=HOUR, key_seconds=10 * HOUR)


@pytest.fixture
def translator() -> StockTranslator:
    return StockTranslator()


@pytest.fixture
def bench(tmp_path: Path, translator: StockTranslator) -> Iterator[Bench]:
    opened = Bench(configure(tmp_path, translator, park=True), durable=False)
    yield opened
    opened.close()


def sealed_facts(bench: Bench) -> list[int]:
    return [seq for (seq,) in bench.rows("SELECT intake_seq FROM events ORDER BY id")]


def age(bench: Bench, seconds: int) -> None:
    for _ in range(seconds // retention.MARK_SECONDS):
        drive(bench.journal.write(partial(retention.grow_older, seconds=retention.MARK_SECONDS)))


# ---------------------------------------------------------------- rows sealed ahead


@pytest.mark.anyio
async def test_what_is_translated_while_rows_are_sealed_ahead_wakes_the_uplink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "SEAL_ROWS_MAX", 2)
    async with region(tmp_path) as kernel:
        lane = kernel.lanes["realtime"]
        await accept(kernel, message("A", 1), message("A", 2))
        await translate(kernel)
        assert len(await lane.take(0, 2)) == 2
        await kernel.journal.read(books.read)  # by now the lane has looked ahead and found nothing
        await accept(kernel, message("A", 3))
        await translate(kernel)
        first = await lane.take(2, 2)
        with anyio.fail_after(10):
            while not first:
                await lane.wait(2)
                first = await lane.take(2, 2)
        assert [row.seq for row in first] == [3]


@pytest.mark.anyio
async def test_rows_sealed_ahead_do_not_leave_a_lane_that_was_fenced_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "SEAL_ROWS_MAX", 2)
    async with region(tmp_path) as kernel:
        lane = kernel.lanes["realtime"]
        await accept(kernel, *(message("A", n) for n in range(4)))
        await translate(kernel)
        assert len(await lane.take(0, 2)) == 2
        await kernel.journal.read(books.read)
        await lane.fence(Fence(kind="diverged", reason="test", action="look"))
        assert list(await lane.take(2, 2)) == []
        await lane.unfence("diverged")
        assert [row.seq for row in await lane.take(2, 2)] == [3, 4]


# ---------------------------------------------------------------- large rows


def test_rows_are_taken_in_portions_of_bounded_bytes_and_a_larger_one_comes_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "TAKE_BYTES_MAX", 1_000)
    bench.accept(*(message("A" * 100 if n % 7 else "A" * 1_000, n) for n in range(1, 30)))
    bench.translate()
    for sealing in ("while they are sealed", "when they are read again"):
        taken: list[int] = []
        while rows := bench.take(after=len(taken)):
            taken += [row.seq for row in rows]
            assert len(rows) == 1 or sum(len(row.data) for row in rows) <= 1_000, sealing
            assert len(rows) < 29
        assert taken == list(range(1, 30)), sealing


def test_rows_beyond_the_limit_of_a_portion_are_not_even_read(bench: Bench) -> None:
    """Without it 256 rows of 1 MiB, and as many that are sealed ahead, would be in memory at once."""
    read: list[int] = []
    bench.connection.create_function("noted", 1, lambda n: read.append(n) or b"x" * 1_000_000)
    found = bench.connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 256) SELECT noted(i) FROM n"
    )
    assert len(portion(found, BYTES_MAX, lambda row: len(row[0]))) == 4
    assert len(read) <= 6


# ---------------------------------------------------------------- rows that the hub has lost


def test_rows_that_the_hub_lost_are_kept_for_a_refill_as_long_as_if_they_were_new(bench: Bench) -> None:
    bench.accept(message("A", 1), message("A", 2), message("A", 3))
    bench.translate()
    bench.ship()
    age(bench, 2 * HOUR)
    lane = bench.kernel.lanes["realtime"]
    drive(lane.rewind(1, "test"))
    drive(lane.acknowledge(3))
    drive(bench.journal.write(partial(retention.prune, limits=LIMITS, pressed=False)))
    assert drive(lane.head()).oldest == 2, "what the hub kept is old enough, what it lost is not"
    age(bench, 2 * HOUR)
    drive(bench.journal.write(partial(retention.prune, limits=LIMITS, pressed=False)))
    assert drive(lane.head()).oldest == 4


# ---------------------------------------------------------------- messages with several keys


def test_a_message_with_two_keys_that_waits_for_one_is_overtaken_on_neither(
    bench: Bench, translator: StockTranslator
) -> None:
    translator.refuses = {"A"}
    bench.accept(message("A", 1))
    bench.translate()
    translator.refuses = set()
    bench.accept(message("A", 2, also="B"), message("B", 3), message("b1", 4))
    bench.translate()
    assert sealed_facts(bench) == [4], "the second waits for A, the third for the second"
    assert drive(bench.kernel.replay.retry(1)).successors == 2
    assert sealed_facts(bench)[:-1] == [1, 2, 2, 3]
    assert bench.rows("SELECT * FROM parked_keys") == []


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_message_that_waits_for_two_letters_waits_for_both(
    order: tuple[int, int], bench: Bench, translator: StockTranslator
) -> None:
    translator.refuses = {"A", "B"}
    bench.accept(message("A", 1), message("B", 2))
    bench.translate()
    translator.refuses = set()
    bench.accept(message("A", 3, also="B"), message("B", 4), message("A", 5))
    bench.translate()
    first, second = order
    drive(bench.kernel.replay.retry(first))
    assert sealed_facts(bench) == [first], "whoever waited for it has gone on to wait for the other"
    drive(bench.kernel.replay.retry(second))
    assert sealed_facts(bench) == [first, second, 3, 3, 4, 5]
    assert books.read(bench.connection).balanced


# ---------------------------------------------------------------- retries by a person


async def no_status() -> Any:
    raise AssertionError("not asked for")


@pytest.mark.anyio
async def test_retries_run_in_order_of_acceptance_and_wake_the_uplink(
    tmp_path: Path, translator: StockTranslator
) -> None:
    async with region(tmp_path, translator) as kernel:
        translator.refuses = {"A", "B"}
        await accept(kernel, message("A", 1), message("B", 2))
        await translate(kernel)
        # As when the older fact had waited and became a letter later.
        await kernel.journal.write(lambda c: c.execute("UPDATE letters SET id = 9 WHERE intake_seq = 1").rowcount)
        translator.refuses = set()
        operations = Operations(kernel, no_status, running=True)
        done = await operations.letters_retry(ids=[2, 9])
        assert [retry.id for retry in done] == [9, 2]
        with anyio.fail_after(10):
            await kernel.lanes["realtime"].wait(0)
        assert [row.headers.split(b"entrepot-origin:1.")[1][:1] for row in await ship(kernel)] == [b"1", b"2"]
        assert await kernel.journal.read(letters.page) == []
