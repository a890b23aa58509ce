"""Named tasks that come and go while the process lives: each ends at a safe point before another takes its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from runtime.supervise import supervise


class Worker(Struct, frozen=True):
    """A task, and when it may be ended."""

    run: Callable[[], Awaitable[None]]
    at_rest: Callable[[], AbstractAsyncContextManager[None]]
    """Entered once nothing is half done; while it is held nothing new begins."""


class _Post(Struct, frozen=True):
    worker: Worker
    scope: anyio.CancelScope
    ended: anyio.Event


class Crew:
    """The workers of one task group. Every one is started again when it fails; `failed` is told."""

    def __init__(self, tasks: TaskGroup, failed: Callable[[str, Exception], None]) -> None:
        self._tasks = tasks
        self._failed = failed
        self._posts: dict[str, _Post] = {}
        self._turn = anyio.Lock()

    async def change(self, leaving: Iterable[str], joining: Mapping[str, Worker]) -> None:
        """End some, each at its own safe point, then begin others: they may need what those held. One change at a time."""
        async with self._turn:
            async with anyio.create_task_group() as endings:
                for name in leaving:
                    endings.start_soon(self._end, name)
            for name, worker in joining.items():
                self._posts[name] = post = _Post(worker, anyio.CancelScope(), anyio.Event())
                self._tasks.start_soon(self._work, name, post)

    def change_soon(self, leaving: Iterable[str], joining: Mapping[str, Worker]) -> None:
        """`change`, without waiting for what is in hand: a large file may take minutes."""
        if leaving or joining:
            self._tasks.start_soon(self.change, leaving, joining)

    async def _work(self, name: str, post: _Post) -> None:
        with post.scope:
            await supervise(name, post.worker.run, self._failed)
        post.ended.set()

    async def _end(self, name: str) -> None:
        post = self._posts.pop(name, None)
        if post is None:
            return
        async with post.worker.at_rest():
            post.scope.cancel()
            await post.ended.wait()
