"""Sources that ask by themselves under SIGKILL between answer and commit, and between commit and next request."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from runtime.journal import books, inspect
from runtime.kernel import Kernel
from tests.crash import poller, runs
from tests.support import kernel as support
from tests.support.kernel import body, message
from tests.support.partner import Partner, answer, item, partner

pytestmark = pytest.mark.anyio
POINTS = {"before_begin": (12, 5, 6), "before_commit": (12, 5, 6), "in_accept": (1, 2, 4)}
POLLING = POINTS | {"in_poll": (1, 2, 4), "after_poll": (1, 2, 4)}
FOLLOWING = POINTS | {"in_follow": (1, 2, 4), "after_follow": (1, 2, 4)}
"""Point → which passage kills each of the children that run one after another. The first commits of a start are its own."""


async def kill(kind: str, directory: Path, served: Partner, point: str, nth: int) -> None:
    command = [sys.executable, "-m", "tests.crash.poller", kind, str(directory), served.url, point, str(nth)]
    with anyio.fail_after(runs.SECONDS_MAX):
        ended = await anyio.run_process(command, cwd=runs.ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-500:]


async def finish(kernel: Kernel, work: Callable[[Kernel, str], Awaitable[Any]], served: Partner, done: str) -> None:
    """Work until a question to the journal says 1, and a moment longer: more would be wrong."""
    with anyio.fail_after(runs.SECONDS_MAX):
        async with anyio.create_task_group() as group:
            group.start_soon(work, kernel, served.url)
            while not await kernel.journal.read(lambda c: c.execute(done).fetchone()[0]):
                with anyio.move_on_after(0.2):
                    await kernel.acceptance.arrived.wait()
            if work is poller.poll:
                await served.asks(len(served.asked) + 2)
            group.cancel_scope.cancel()
    assert await inspect.verify(kernel.journal, whole_file=True) == []
    assert (await kernel.journal.read(books.read)).balanced


async def bodies(kernel: Kernel, where: str = "true") -> list[bytes]:
    query = f"SELECT body FROM bodies JOIN intake USING (seq) WHERE {where} ORDER BY seq"
    return [row[0] for row in await kernel.journal.read(lambda c: c.execute(query).fetchall())]


@pytest.mark.parametrize("point", POLLING)
async def test_kills_around_every_commit_of_a_poll_lose_and_double_nothing(point: str, tmp_path: Path) -> None:
    async with partner() as served:
        served.items = [item(number) for number in range(1, 15)]
        # Every answer brings something new, so that each child comes to its commit.
        served.before_page = lambda: served.items.append(item(len(served.items) + 1))
        for nth in POLLING[point]:
            await kill("poll", tmp_path, served, point, nth)
        served.before_page = lambda: None
        expected = [json.dumps(each).encode() for each in served.items]
        async with support.region(tmp_path) as kernel:
            await finish(kernel, poller.poll, served, f"SELECT count(*) >= {len(expected)} FROM bodies")
            assert sorted(await bodies(kernel)) == sorted(expected)


@pytest.mark.parametrize("point", FOLLOWING)
async def test_kills_around_every_commit_of_following_leave_each_notice_one_document(
    point: str, tmp_path: Path
) -> None:
    skus = [f"S{number}" for number in range(40)]
    async with partner() as served:
        served.documents = {f"/doc/{sku}": answer(body=body(sku, 1)) for sku in skus}
        async with support.region(tmp_path) as kernel:
            await support.accept(kernel, *(message(sku, 0, thin=True) for sku in skus))
        for nth in FOLLOWING[point]:
            await kill("follow", tmp_path, served, point, nth)
        async with support.region(tmp_path) as kernel:
            await finish(kernel, poller.follow, served, "SELECT translated = facts AND facts = 80 FROM books")
            assert sorted(await bodies(kernel, "key LIKE 'document of %'")) == sorted(body(sku, 1) for sku in skus)
            account = await kernel.journal.read(books.read)
            assert (account.accepted, account.ignored, account.dead_lettered) == (80, 40, 0)
            assert account.pending == 40
            pairs = "SELECT count(*) FROM (SELECT correlation FROM intake GROUP BY correlation HAVING count(*) = 2)"
            assert await kernel.journal.read(lambda c: c.execute(pairs).fetchone()[0]) == 40
