"""What a task group wraps is told, and acted upon, as what it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from runtime.errors import Retryable, StorageFailed, StorageFull
from runtime.supervise import supervise

pytestmark = pytest.mark.anyio


def failing_within_groups(error: Exception) -> Callable[[], Awaitable[None]]:
    """A task that fails once, two groups deep, and then returns."""
    left = [error]

    async def task() -> None:
        async with anyio.create_task_group(), anyio.create_task_group():
            if left:
                raise left.pop()

    return task


@pytest.mark.parametrize("error", [StorageFull("the disk is full"), Retryable("nobody answers"), ValueError("ours")])
async def test_the_failure_of_a_task_with_groups_of_its_own_is_told_as_itself(error: Exception) -> None:
    told: list[tuple[str, Exception]] = []
    await supervise("uplink", failing_within_groups(error), lambda name, failure: told.append((name, failure)))
    assert told == [("uplink", error)]


async def test_a_failed_disk_ends_the_agent_from_within_any_group() -> None:
    told: list[Exception] = []
    with pytest.raises(StorageFailed, match="EIO"):
        await supervise("uplink", failing_within_groups(StorageFailed("EIO")), lambda _, failure: told.append(failure))
    assert not told
