"""The kernel goes from one configuration to the next between two batches, and not while order would be lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.clearance import Rule, compile_policy
from runtime.clearance.actions import Action
from runtime.clearance.policy import make_policy
from runtime.config.assemble import Configuration
from runtime.config.model import LaneSettings
from runtime.errors import Refused
from runtime.journal.books import read as read_books
from runtime.pipeline.route import Router
from runtime.pipeline.translate import SourceRules
from tests.support.kernel import Bench, StockTranslator, configure, drive, message, region, ship, translate
from tests.support.kernel import accept as accept_async

CLOSED_POLICY = make_policy("closed", 2, (Rule(id="no", action=Action("drop")),))


class _Source(msgspec.Struct, frozen=True):
    rules: SourceRules


def changed(before: Configuration, *, sources: dict[str, Any], lanes: tuple[str, ...] = (), to: str = "realtime", **more: Any) -> Configuration:  # fmt: skip
    model = msgspec.structs.replace(before.model, lanes=before.model.lanes | {name: LaneSettings() for name in lanes})
    return msgspec.structs.replace(
        before,
        digest="1" * 64,
        model=model,
        sources={name: _Source(SourceRules(translator)) for name, translator in sources.items()},
        router=Router((), dict.fromkeys(sources, to)),
        **more,
    )


def plus(added: int) -> StockTranslator:
    translator = StockTranslator()
    translator.added = Decimal(added)
    return translator


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    opened = Bench(configure(tmp_path), durable=False)
    yield opened
    opened.close()


def said(bench: Bench) -> list[tuple[int, int, str]]:
    """(fact, lane, quantity) of every event."""
    rows = bench.rows("SELECT intake_seq, id >> 40, json_extract(body, '$.on_hand') FROM events ORDER BY intake_seq")
    return [(seq, lane, quantity) for seq, lane, quantity in rows]


def test_each_fact_is_translated_by_the_rules_of_its_batch(bench: Bench) -> None:
    bench.accept(message("A", 1), message("A", 2), message("A", 3))
    drive(bench.journal.write(lambda connection: bench.kernel.translate.batch(connection, 2)))
    drive(bench.kernel.change(changed(bench.configuration, sources={"wms": plus(100)}), ()))
    bench.translate()
    assert [quantity for _, _, quantity in said(bench)] == ["1", "2", "103"]


def test_what_a_removed_source_had_told_is_translated_as_it_was_and_later_facts_are_not(bench: Bench) -> None:
    bench.accept(message("A", 1), source="carrier")
    bench.accept(message("b", 2), source="carrier")
    drive(bench.kernel.change(changed(bench.configuration, sources={"wms": plus(100)}), ()))
    bench.translate()
    realtime, bulk = bench.journal.lanes["realtime"].id, bench.journal.lanes["bulk"].id
    assert said(bench) == [(1, realtime, "1"), (2, bulk, "2")]
    drive(bench.kernel.change(changed(bench.configuration, sources={"wms": plus(0)}), ()))
    bench.accept(message("A", 3), source="carrier")
    bench.translate()
    assert len(said(bench)) == 2
    assert drive(bench.journal.read(read_books)).dead_lettered == 1


def test_a_lane_that_must_be_empty_and_is_not_refuses_the_change_as_a_whole(bench: Bench) -> None:
    bench.accept(message("A", 1))
    bench.translate()
    before, lanes = bench.kernel.configuration, list(bench.kernel.lanes)
    moving = changed(before, sources={"wms": plus(100), "new": plus(0)}, lanes=("third",), to="third")
    with pytest.raises(Refused, match="lane realtime still has 1 events"):
        drive(bench.kernel.change(moving, ("realtime",)))
    assert bench.kernel.configuration is before
    assert list(bench.kernel.lanes) == lanes
    bench.accept(message("A", 2))
    bench.translate()
    assert said(bench)[-1] == (2, bench.journal.lanes["realtime"].id, "2")


@pytest.mark.anyio
async def test_sealed_and_unacknowledged_rows_keep_a_lane_from_being_left(tmp_path: Path) -> None:
    async with region(tmp_path) as kernel:
        moving = changed(kernel.configuration, sources={"wms": plus(0)}, lanes=("third",), to="third")
        await accept_async(kernel, message("A", 1))
        await translate(kernel)
        await kernel.lanes["realtime"].take(0, 10)
        with pytest.raises(Refused, match="still has 1 events"):
            await kernel.change(moving, ("realtime",))
        await ship(kernel)
        await kernel.lanes["realtime"].drained()
        await kernel.change(moving, ("realtime",))
        await accept_async(kernel, message("A", 2))
        await translate(kernel)
        assert [row.seq for row in await ship(kernel, "third")] == [1]


@pytest.mark.anyio
async def test_the_backlog_is_cleared_by_the_policy_that_is_in_force_when_it_leaves(tmp_path: Path) -> None:
    async with region(tmp_path) as kernel:
        await accept_async(kernel, message("A", 1))
        await translate(kernel)
        clearance = compile_policy(CLOSED_POLICY, today=date(2026, 1, 2))
        tight = changed(kernel.configuration, sources={"wms": plus(0)}, policy=CLOSED_POLICY, clearance=clearance)
        await kernel.change(tight, ())
        (row,) = await ship(kernel)
        assert b"commitment" in row.data
        number = await kernel.checkpoints.write()
        (body,) = [text for n, text in await kernel.checkpoints.pending() if n == number]
        statement = msgspec.json.decode(msgspec.json.decode(body)["statement"])
        assert (statement["policy"], statement["config"]) == (clearance.digest, "1" * 64)
