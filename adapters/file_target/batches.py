"""Several deliveries in one file: each is kept, flushed, in `.entrepot/` until its file is complete.

One of them, the keeper, waits for that and so keeps the time; the others are done as soon as they are kept. A batch
that a stop or a crash leaves open is found again. Blocking, but for `Batches`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import anyio
from anyio.to_thread import run_sync
from msgspec import Struct

from adapters.file_target.folder import READY, OutFolder
from adapters.file_target.settings import Batch

PART = ".part"
_NUMBER_DIGITS = 9


class Part(Struct, frozen=True, order=True):
    """One kept delivery, as its file in `.entrepot/` is called."""

    number: int
    digest: str

    @property
    def file(self) -> str:
        return f"{self.number:0{_NUMBER_DIGITS}d}-{self.digest}{PART}"


def parts(folder: OutFolder) -> list[Part]:
    """What is kept and in no complete file yet, in order of arrival."""
    found: list[Part] = []
    for name in folder.names(PART):
        number, _, digest = name.removesuffix(PART).partition("-")
        if number.isdigit():
            found.append(Part(int(number), digest))
    return sorted(found)


def keep(folder: OutFolder, digest: str, content: bytes) -> int:
    """Keep one delivery; the number of those that wait. 0: it stands in a complete file already."""
    kept = parts(folder)
    if any(part.digest == digest for part in kept):
        return len(kept)
    if folder.is_marked(digest):
        return 0
    number = kept[-1].number + 1 if kept else 1
    folder.prepare(Part(number, digest).file, content)
    return len(kept) + 1


def complete(folder: OutFolder, head: bytes, name: Callable[[str, str], str], now_us: int) -> str:
    """Put what waits into one file and let it appear; its name, or nothing. `name(time, id)` calls it.

    The prepared file's own name says which parts are in it, so whatever is cut off is finished by `recover`.
    """
    kept = parts(folder)
    if not kept:
        return ""
    content = head + b"".join(folder.read(part.file) for part in kept)
    moment = datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    called = name(moment, kept[0].digest[:12])
    folder.prepare(f"{kept[-1].number:0{_NUMBER_DIGITS}d}~{called}{READY}", content)
    recover(folder)
    return called


def recover(folder: OutFolder) -> None:
    """Finish the files that were prepared: mark and drop their parts, then let them appear."""
    for prepared in folder.names(READY):
        number, tilde, name = prepared.removesuffix(READY).partition("~")
        if not tilde or not number.isdigit():
            continue
        included = [part for part in parts(folder) if part.number <= int(number)]
        folder.mark(part.digest for part in included)
        folder.drop(part.file for part in included)
        folder.publish(prepared, name)


class Batches:
    """The open batch of one target, for deliveries that come side by side."""

    def __init__(
        self,
        rules: Batch,
        head: bytes,
        open_folder: Callable[[], OutFolder],
        name: Callable[[str, str], str],
        now_us: Callable[[], int],
    ) -> None:
        self._rules = rules
        self._head = head
        self._open = open_folder
        self._name = name
        self._now_us = now_us
        self._turn = anyio.Lock()
        self._full: anyio.Event | None = None
        """Of the open batch, while somebody keeps its time."""

    async def take(self, digest: str, content: bytes) -> None:
        """Return when the delivery is kept for good; the keeper of an open batch when its file has appeared."""
        async with self._turn:
            waiting = await run_sync(partial(self._keep, digest, content))
            if waiting >= self._rules.deliveries_max:
                await self._complete()
            if not waiting or waiting >= self._rules.deliveries_max or self._full is not None:
                return
            full = self._full = anyio.Event()
        try:
            with anyio.move_on_after(self._rules.seconds_max):
                await full.wait()
                return
            async with self._turn:
                if not full.is_set():
                    await self._complete()
        finally:
            if self._full is full:
                self._full = None

    async def close(self) -> None:
        """Let what waits appear."""
        async with self._turn:
            await self._complete()

    async def _complete(self) -> None:
        await run_sync(self._write)
        if self._full is not None:
            self._full.set()
            self._full = None

    def _keep(self, digest: str, content: bytes) -> int:
        with self._open() as folder:
            recover(folder)
            return keep(folder, digest, content)

    def _write(self) -> None:
        with self._open() as folder:
            recover(folder)
            complete(folder, self._head, self._name, self._now_us())
            folder.forget_old()
