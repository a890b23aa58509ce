"""Tasks that are replaced while the process lives: each ends when nothing is half done, then the next one begins."""

from __future__ import annotations

from contextlib import nullcontext

import anyio
import pytest

from runtime.crew import Crew, Worker

pytestmark = pytest.mark.anyio


def silent(step: str, error: Exception) -> None:
    raise AssertionError(f"{step}: {error!r}")


class Job:
    """Takes a piece of work in hand, and notes what it has begun and ended."""

    def __init__(self, notes: list[str], name: str) -> None:
        self.notes, self.name = notes, name
        self.in_hand = anyio.Lock()
        self.busy, self.go_on = anyio.Event(), anyio.Event()

    @property
    def worker(self) -> Worker:
        return Worker(self.run, lambda: self.in_hand)

    async def run(self) -> None:
        async with self.in_hand:
            self.notes.append(f"{self.name} begins")
            self.busy.set()
            await self.go_on.wait()
            self.notes.append(f"{self.name} is done")
        async with self.in_hand:
            self.notes.append(f"{self.name} takes more")
            await anyio.sleep_forever()


async def test_a_worker_finishes_what_it_has_in_hand_and_takes_nothing_more() -> None:
    notes: list[str] = []
    old, new = Job(notes, "old"), Job(notes, "new")
    async with anyio.create_task_group() as tasks:
        crew = Crew(tasks, silent)
        await crew.change((), {"a": old.worker})
        await old.busy.wait()
        crew.change_soon(["a"], {"a": new.worker})
        await anyio.wait_all_tasks_blocked()
        assert notes == ["old begins"], "the old one was cut off, or the new one did not wait for it"
        old.go_on.set()
        await new.busy.wait()
        tasks.cancel_scope.cancel()
    assert notes == ["old begins", "old is done", "new begins"]


async def test_whoever_joins_waits_for_everybody_who_leaves() -> None:
    """A new source may look at the folder that an old one is about to finish."""
    notes: list[str] = []
    one, two, new = Job(notes, "one"), Job(notes, "two"), Job(notes, "new")
    two.go_on.set()
    async with anyio.create_task_group() as tasks:
        crew = Crew(tasks, silent)
        await crew.change((), {"one": one.worker})
        await one.busy.wait()
        crew.change_soon(["one"], {"new": new.worker})
        crew.change_soon(["new"], {"two": two.worker})
        await anyio.wait_all_tasks_blocked()
        assert notes == ["one begins"]
        one.go_on.set()
        await new.busy.wait()
        new.go_on.set()
        await two.busy.wait()
        tasks.cancel_scope.cancel()
    assert notes[:5] == ["one begins", "one is done", "new begins", "new is done", "two begins"]


async def test_a_worker_that_returned_by_itself_can_be_replaced() -> None:
    notes: list[str] = []

    async def short() -> None:
        notes.append("short")

    job = Job(notes, "next")
    async with anyio.create_task_group() as tasks:
        crew = Crew(tasks, silent)
        await crew.change((), {"a": Worker(short, nullcontext)})
        await anyio.wait_all_tasks_blocked()
        await crew.change(["a", "never there"], {"a": job.worker})
        await job.busy.wait()
        tasks.cancel_scope.cancel()
    assert notes == ["short", "next begins"]
