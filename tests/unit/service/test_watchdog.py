"""The watchdog is fed by commits that were really made, not by the mere turning of a loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from runtime import clock, watchdog
from runtime.errors import StorageFailed, StorageFull
from runtime.journal import meta
from runtime.watchdog import Pulse
from tests.support.kernel import region

pytestmark = pytest.mark.anyio
LIMIT_SECONDS = 60.0


class SlowWriter:
    """Takes changes and answers when the test says so."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[None]] = []

    def submit(self, _change: Any) -> asyncio.Future[None]:
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [1_000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: at[0])
    return at


async def test_an_idle_writer_is_asked_for_a_commit_and_its_silence_ends_the_feeding(now: list[float]) -> None:
    writer = SlowWriter()
    pulse = Pulse(writer)  # type: ignore[arg-type]
    assert pulse.beats(LIMIT_SECONDS)
    assert not writer.futures
    now[0] += LIMIT_SECONDS / 3
    assert pulse.beats(LIMIT_SECONDS)
    assert pulse.beats(LIMIT_SECONDS)
    assert len(writer.futures) == 1, "one question at a time"
    now[0] += LIMIT_SECONDS / 2
    assert not pulse.beats(LIMIT_SECONDS)
    writer.futures[0].set_result(None)
    await anyio.lowlevel.checkpoint()
    assert pulse.beats(LIMIT_SECONDS)


@pytest.mark.parametrize(("error", "alive"), [(StorageFull("full"), True), (StorageFailed("broken"), False)])
async def test_a_full_disk_is_an_answer_and_a_broken_one_is_not(
    now: list[float], error: Exception, alive: bool
) -> None:
    writer = SlowWriter()
    pulse = Pulse(writer)  # type: ignore[arg-type]
    now[0] += LIMIT_SECONDS
    pulse.beats(LIMIT_SECONDS)
    writer.futures[0].set_exception(error)
    await anyio.lowlevel.checkpoint()
    assert pulse.beats(LIMIT_SECONDS) is alive


async def test_the_sign_of_life_is_written_and_flushed_like_any_other_change(tmp_path: Path, now: list[float]) -> None:
    async with region(tmp_path) as kernel:
        before = await kernel.journal.read(lambda c: (meta.get(c, "alive_us"), c.total_changes))
        pulse = Pulse(kernel.journal.writer)
        now[0] += LIMIT_SECONDS / 3
        pulse.beats(LIMIT_SECONDS)
        await kernel.journal.write(lambda _connection: None)
        after = await kernel.journal.read(lambda c: (meta.get(c, "alive_us"), c.total_changes))
    assert before[0] is None
    assert isinstance(after[0], int)
    assert after[1] == before[1] + 1


async def test_the_timer_is_set_to_what_the_configuration_says_now(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, fed = [LIMIT_SECONDS, 7.0], list[float]()

    def later(seconds: float, **_: Any) -> None:
        fed.append(seconds)
        if len(fed) == 2:
            tasks.cancel_scope.cancel()

    monkeypatch.setattr(watchdog, "FEED_SECONDS", 0.0)
    monkeypatch.setattr(watchdog.faulthandler, "dump_traceback_later", later)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watchdog.watch, SlowWriter(), lambda: wanted[min(len(fed), 1)])
    assert fed == wanted
