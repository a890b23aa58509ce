"""Promises 1, 3 and 5 under SIGKILL at every named commit point: what was told to a sender is true after any restart."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from runtime.journal import inspect
from tests.crash import runs
from tests.crash.child import CALLERS, COMMANDS, ROUNDS
from tests.support import kernel as support

POINTS = {
    "before_begin": (1, 3, 24),
    "before_commit": (2, 4, 25),
    "after_commit": (2, 4, 13),
    "in_accept": (1, 3),
    "in_translate": (1, 3),
    "in_seal": (1, 4),
    "in_acknowledge": (1, 4),
    "in_checkpoint": (1, 3),
    "in_prune": (1, 3),
}
"""Point → which passage kills each of the children that run one after another on one journal.

Each step of the schema is a transaction, too: the last number lies well behind all of them.
"""


@pytest.mark.anyio
@pytest.mark.parametrize("point", POINTS)
async def test_nothing_that_was_told_is_lost_or_sealed_twice_by_kills(point: str, tmp_path: Path) -> None:
    receipts, stored = list[runs.Receipt](), list[runs.Stored]()
    for turn, nth in enumerate(POINTS[point]):
        ended = runs.run(tmp_path, point, nth, 1 + turn * ROUNDS * CALLERS)
        assert ended.code == -signal.SIGKILL, f"never came to {point} ({nth}): {ended.lines}"
        receipts += ended.receipts
        stored += ended.stored
    async with support.region(tmp_path) as kernel:
        assert not kernel.journal.stopped_cleanly
        await runs.nothing_is_lost(kernel, receipts)
        await runs.everything_reaches_the_hub_once(kernel, stored)
        await runs.nothing_is_lost(kernel, receipts)


DELIVERIES = {
    "in_inbox": (1, 2),
    "in_look": (1, 2),
    "in_deliver": (1, 3, 5),
    "after_deliver": (1, 2, 1),
    "before_commit": (19, 5, 7),
    "after_commit": (10, 3, 4),
}


@pytest.mark.anyio
@pytest.mark.parametrize("point", DELIVERIES)
async def test_every_command_comes_to_its_target_with_one_id_and_in_order_through_kills(
    point: str, tmp_path: Path
) -> None:
    """Promise 4: the target that knows ids is changed once for each; nothing is left out, whenever the process dies."""
    effects = list[tuple[str, str]]()
    for nth in DELIVERIES[point]:
        ended = runs.run(tmp_path, point, nth, 1, "deliver")
        assert ended.code == -signal.SIGKILL, f"never came to {point} ({nth}): {ended.lines}"
        effects += ended.effects
    ended = runs.run(tmp_path, "never", 1, 1, "deliver")
    assert ended.code == 0, ended.lines
    effects += ended.effects
    executed = list(dict.fromkeys(effects))
    assert sorted(number for number, _ in executed) == sorted(f"hq.eu-de.1.{n}" for n in range(1, COMMANDS + 1))
    for key in "AB":
        numbers = [int(number.rpartition(".")[2]) for number, of in executed if of == key]
        assert numbers == sorted(numbers), "commands of one key came out of order"
    async with support.region(tmp_path) as kernel:
        assert await inspect.verify(kernel.journal, whole_file=True) == []


@pytest.mark.anyio
@pytest.mark.parametrize("point", ["in_migration", "in_migration_end"])
async def test_a_kill_in_a_migration_leaves_the_version_before(point: str, tmp_path: Path) -> None:
    ended = runs.run(tmp_path, point)
    assert ended.code == -signal.SIGKILL, ended.lines
    async with support.region(tmp_path) as kernel:
        assert kernel.journal.is_new
        tables = await kernel.journal.read(lambda c: c.execute("SELECT count(*) FROM books").fetchone()[0])
        assert tables == 1
        await support.accept(kernel, support.message())


@pytest.mark.anyio
async def test_a_first_start_that_was_killed_before_its_keys_were_written_begins_again(tmp_path: Path) -> None:
    """The second `BEGIN` claims the journal for the region; the keys come after its commit."""
    ended = runs.run(tmp_path, "after_commit", 2)
    assert ended.code == -signal.SIGKILL, ended.lines
    assert not (tmp_path / "state" / "identity" / "signing.key").exists()
    async with support.region(tmp_path) as kernel:
        await support.accept(kernel, support.message())
        await kernel.checkpoints.write()


@pytest.mark.anyio
async def test_a_message_that_ends_the_process_three_times_is_set_aside_and_flow_goes_on(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        await support.accept(kernel, *(support.message(sku) for sku in ("A", "poison", "B", "A")))
    codes = [runs.run(tmp_path, "poisoned").code for _ in range(4)]
    assert codes == [-signal.SIGABRT] * 3 + [0]
    async with support.region(tmp_path) as kernel:
        letters = await kernel.journal.read(lambda c: c.execute("SELECT intake_seq, reason FROM letters").fetchall())
        assert [(seq, "ended the agent 3 times" in reason) for seq, reason in letters] == [(2, True)]
        assert len(await support.ship(kernel)) == 3
