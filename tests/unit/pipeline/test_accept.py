"""Callers are gathered into few commits, and each hears exactly what became of its own messages."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from runtime import clock
from runtime.envelope import Message, Receipt
from runtime.errors import Refused, StorageFailed, StorageFull
from runtime.journal import books, intake
from runtime.kernel import Kernel
from runtime.pipeline import accept as accept_module
from runtime.pipeline.accept import SourceIntake
from runtime.policy.fair import FairQueue
from tests.support import kernel as support
from tests.support.kernel import message

pytestmark = pytest.mark.anyio


class Held:
    """Holds the journal's thread inside a change until it is let go."""

    def __init__(self) -> None:
        self._inside, self._go = threading.Event(), threading.Event()

    def change(self, connection: sqlite3.Connection) -> None:
        self._inside.set()
        self._go.wait(10)

    async def inside(self) -> None:
        assert await anyio.to_thread.run_sync(self._inside.wait, 10)

    def go(self) -> None:
        self._go.set()


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of calls in each change."""
    calls: list[int] = []
    plain = intake.accept

    def counted(connection: sqlite3.Connection, names: object, keys: object, gathered: list[intake.Call]) -> object:
        calls.append(len(gathered))
        return plain(connection, names, keys, gathered)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "accept", counted)
    return calls


def failing(monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]) -> None:
    def fail(*_: object) -> None:
        raise error()

    monkeypatch.setattr(intake, "accept", fail)


def disk(name: str) -> Exception:
    error = sqlite3.OperationalError("simulated")
    error.sqlite_errorname = name
    return error


async def facts(kernel: Kernel) -> int:
    return (await kernel.journal.read(books.read)).facts


async def test_calls_that_arrive_while_a_change_runs_share_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, held = counting(monkeypatch), Held()
    receipts: list[Receipt] = []
    async with support.region(tmp_path) as kernel:

        async def send(number: int) -> None:
            receipts.extend(await support.accept(kernel, message("A", number)))

        async with anyio.create_task_group() as callers:
            kernel.journal.writer.submit(held.change)
            await held.inside()
            for number in range(20):
                callers.start_soon(send, number)
            await anyio.wait_all_tasks_blocked()
            assert not receipts
            held.go()
        assert await facts(kernel) == 20
    assert calls == [20]
    assert sorted(receipt.intake_seq for receipt in receipts) == list(range(1, 21))


async def test_one_change_takes_a_bounded_number_of_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept_module, "ROWS_MAX", 4)
    calls, held = counting(monkeypatch), Held()
    async with support.region(tmp_path) as kernel:
        async with anyio.create_task_group() as callers:
            kernel.journal.writer.submit(held.change)
            await held.inside()
            for number in range(7):
                callers.start_soon(support.accept, kernel, message("A", number), message("B", number))
            await anyio.wait_all_tasks_blocked()
            held.go()
        assert await facts(kernel) == 14
    assert calls == [2, 2, 2, 1]


async def test_a_refused_call_does_not_touch_its_neighbours(tmp_path: Path) -> None:
    held = Held()
    heard: dict[int, object] = {}
    async with support.region(tmp_path) as kernel:
        await support.accept(kernel, message("A", 0, key="k"))

        async def send(number: int, key: str) -> None:
            try:
                heard[number] = (await support.accept(kernel, message("A", number, key=key)))[0].duplicate
            except Refused as error:
                heard[number] = type(error)

        async with anyio.create_task_group() as callers:
            kernel.journal.writer.submit(held.change)
            await held.inside()
            for number, key in enumerate(["k", "k", "other"]):
                callers.start_soon(send, number, key)
            await anyio.wait_all_tasks_blocked()
            held.go()
        assert await facts(kernel) == 2
    assert heard == {0: True, 1: Refused, 2: False}


@pytest.mark.parametrize("bad", [{"correlation_id": "no hex digits"}, {"key": "\ud800"}, {"cursor": "\ud800"}])
async def test_what_an_adapter_gets_wrong_fails_no_other_caller_of_the_commit(
    bad: dict[str, str], tmp_path: Path
) -> None:
    held = Held()
    cursor = bad.pop("cursor", None)
    async with support.region(tmp_path) as kernel:

        async def send_badly() -> None:
            with suppress(UnicodeEncodeError):
                await support.intake_of(kernel).accept([Message(body=b"{}", **bad)], cursor=cursor)

        receipts: list[Receipt] = []

        async def send() -> None:
            receipts.extend(await support.accept(kernel, message("A")))

        async with anyio.create_task_group() as callers:
            kernel.journal.writer.submit(held.change)
            await held.inside()
            callers.start_soon(send_badly)
            callers.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            held.go()
        assert receipts


async def test_cancelled_callers_are_accepted_or_not_but_never_leave_the_others_without_an_answer(
    tmp_path: Path,
) -> None:
    held = Held()
    receipts: list[Receipt] = []
    async with support.region(tmp_path) as kernel:

        async def send() -> None:
            receipts.extend(await support.accept(kernel, message("A", 2, key="stays")))

        async with anyio.create_task_group() as staying, anyio.create_task_group() as leaving:
            kernel.journal.writer.submit(held.change)
            await held.inside()
            leaving.start_soon(support.accept, kernel, message("A", 1, key="left"))
            staying.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
            held.go()
        assert len(receipts) == 1
        (again,) = await support.accept(kernel, message("A", 1, key="left"))
        assert (again.duplicate, await facts(kernel)) == (True, 2)


async def test_callers_cancelled_inside_their_commit_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, plain = Held(), intake.accept

    def slow(connection: sqlite3.Connection, *rest: object) -> object:
        held.change(connection)
        return plain(connection, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "accept", slow)
    async with support.region(tmp_path) as kernel:
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(support.accept, kernel, message(key="k"))
            await held.inside()
            leaving.cancel_scope.cancel()
        held.go()
        (again,) = await support.accept(kernel, message(key="k"))
        assert (again.duplicate, again.intake_seq) == (True, 1)


async def test_a_full_disk_is_told_to_everybody_in_the_change_and_intake_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[type] = []
    async with support.region(tmp_path) as kernel:

        async def send(number: int) -> None:
            with pytest.raises(StorageFull) as caught:
                await support.accept(kernel, message("A", number))
            heard.append(caught.type)

        with monkeypatch.context() as spoiled:
            failing(spoiled, lambda: disk("SQLITE_FULL"))
            async with anyio.create_task_group() as callers:
                for number in range(5):
                    callers.start_soon(send, number)
        assert heard == [StorageFull] * 5
        assert kernel.room.full, "nobody stopped the next sender"
        kernel.room.full = False
        (receipt,) = await support.accept(kernel, message())
        assert receipt.intake_seq == 1


async def test_a_failing_disk_is_told_to_those_in_the_change_those_behind_it_and_all_who_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept_module, "ROWS_MAX", 2)
    heard: list[int] = []

    async def send(kernel: Kernel, number: int) -> None:
        with pytest.raises(StorageFailed):
            await support.accept(kernel, message("A", number))
        heard.append(number)

    async def fail() -> None:
        async with support.region(tmp_path) as kernel:
            failing(monkeypatch, lambda: disk("SQLITE_IOERR_FSYNC"))
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as callers:
                    for number in range(5):
                        callers.start_soon(send, kernel, number)
                await send(kernel, 5)

    with pytest.raises(ExceptionGroup) as caught:
        await fail()
    assert caught.group_contains(StorageFailed)
    assert sorted(heard) == list(range(6))


async def test_no_room_refuses_before_anything_is_written(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        closed = SourceIntake(kernel.acceptance, kernel.journal, "wms", room=lambda: False)
        with pytest.raises(StorageFull) as caught:
            await closed.accept([message()])
        assert caught.value.after_seconds
        assert await facts(kernel) == 0


async def test_what_is_counted_is_what_was_new(tmp_path: Path) -> None:
    counted: list[tuple[str, int, int]] = []
    async with support.region(tmp_path) as kernel:
        door = SourceIntake(kernel.acceptance, kernel.journal, "wms", count=lambda *said: counted.append(said))
        first, second = message("A", 1, key="k"), message("A", 2)
        await door.accept([first, second])
        await door.accept([first])
    assert counted == [("wms", 2, len(first.body) + len(second.body)), ("wms", 0, 0)]


async def test_translation_is_woken_by_an_arrival(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel, anyio.create_task_group() as tasks:
        with anyio.fail_after(10):
            tasks.start_soon(kernel.acceptance.arrived.wait)
            await anyio.wait_all_tasks_blocked()
            await support.accept(kernel, message())


class Watched(FairQueue[Any]):
    """Stays in its first `take` for a moment and notices when another thread adds meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.met = threading.Event(), threading.Event()
        self._taking = False

    def add(self, name: str, item: Any, weight: int) -> None:
        if self._taking:
            self.met.set()
        super().add(name, item, weight)

    def take(self, weight_max: int) -> list[Any]:
        self._taking = True
        if not self.inside.is_set():
            self.inside.set()
            self.met.wait(0.3)
        taken = super().take(weight_max)
        self._taking = False
        return taken


async def test_nobody_is_added_while_the_journal_gathers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Watched()
    monkeypatch.setattr(accept_module, "FairQueue", lambda: queue)
    async with support.region(tmp_path) as kernel:
        async with anyio.create_task_group() as callers:
            callers.start_soon(support.accept, kernel, message("A", 1))
            assert await anyio.to_thread.run_sync(queue.inside.wait, 10)
            callers.start_soon(support.accept, kernel, message("A", 2))
        assert await facts(kernel) == 2
    assert not queue.met.is_set()


async def test_a_source_that_bursts_does_not_keep_another_waiting(tmp_path: Path) -> None:
    held = Held()
    order: list[str] = []
    async with support.region(tmp_path) as kernel:

        async def send(source: str, count: int) -> None:
            await support.accept(kernel, *[message("A", n) for n in range(count)], source=source)
            order.append(source)

        async with anyio.create_task_group() as callers:
            kernel.journal.writer.submit(held.change)
            await held.inside()
            for _ in range(30):
                callers.start_soon(send, "wms", 100)
            await anyio.wait_all_tasks_blocked()
            callers.start_soon(send, "carrier", 1)
            await anyio.wait_all_tasks_blocked()
            held.go()
    assert order.index("carrier") <= accept_module.ROWS_MAX // 100


async def test_a_message_of_a_quiet_source_is_in_the_next_commit_however_long_the_queues_of_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[list[str]] = []
    queued_before: list[int] = []
    plain = intake.accept

    def noting(connection: sqlite3.Connection, names: object, keys: object, gathered: list[intake.Call]) -> object:
        changes.append([call.source for call in gathered])
        return plain(connection, names, keys, gathered)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "accept", noting)
    async with support.region(tmp_path) as kernel, anyio.create_task_group() as callers:
        for _ in range(5):
            held = Held()
            kernel.journal.writer.submit(held.change)
            await held.inside()
            for number in range(60):  # three commits full, each time
                facts_sent = [message("A", one, key=f"{len(changes)}-{number}-{one}") for one in range(50)]
                callers.start_soon(partial(support.accept, kernel, *facts_sent, source="wms"))
            await anyio.wait_all_tasks_blocked()
            queued_before.append(len(changes))
            callers.start_soon(partial(support.accept, kernel, message("A", 1), source="carrier"))
            await anyio.wait_all_tasks_blocked()
            held.go()
            while not any("carrier" in change for change in changes[queued_before[-1] :]):
                await anyio.lowlevel.checkpoint()
    waited = [next(n for n, change in enumerate(changes[at:]) if "carrier" in change) for at in queued_before]
    assert waited == [0] * 5
    assert sum(len(change) for change in changes) == 5 * 61


async def test_senders_that_pause_keep_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept_module, "CALLERS_MANY", 1)
    async with support.region(tmp_path) as kernel:
        assert not kernel.acceptance.saturated
        for number in range(20):
            await support.accept(kernel, message("A", number))
        now = clock.monotonic()
        monkeypatch.setattr(clock, "monotonic", lambda: now)
        kernel.acceptance._committed_at = now
        assert kernel.acceptance.saturated
        monkeypatch.setattr(clock, "monotonic", lambda: now + 2 * accept_module.CALM_SECONDS)
        assert not kernel.acceptance.saturated
