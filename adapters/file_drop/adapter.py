"""Takes complete files from a folder, hands them over, archives them with a result beside.

A file leaves `processing/` only after the journal has committed all of it. Taking it again repeats the same keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
from anyio.to_thread import run_sync
from msgspec.structs import asdict

from adapters.file_drop.handover import Handover
from adapters.file_drop.settings import FileDropSettings
from adapters.sdk.drops import DONE, FAILED, PROCESSING, DropFolder, StableWatch
from runtime.errors import ConfigError, Permanent, Refused, Retryable
from runtime.ports import Request, SourceContext


class FileDropSource:
    """One watched folder."""

    def __init__(self, settings: FileDropSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._path = str(Path(context.directory) / settings.path)
        self._handover = Handover(settings, context)

    def authenticate(self, request: Request) -> None:
        """Raises `Refused`: nothing comes in by HTTP."""
        raise Refused("This source takes files, not requests.")

    async def run(self) -> None:
        """Take files until cancelled. Raises `Retryable` when the folder is away, `StorageFailed` from the journal."""
        try:
            folder = await run_sync(DropFolder, self._path)
            try:
                await self._watch(folder)
            finally:
                folder.close()
        except OSError as error:
            raise Retryable(
                f"the drop folder {self._path} cannot be used: {error.strerror}",
                hint="check that it is mounted and that the agent may write in it",
            ) from error

    async def _watch(self, folder: DropFolder) -> None:
        watch = StableWatch(self._settings.stable_seconds)
        waited = 0.0
        while True:
            for name in await run_sync(folder.claimed):
                await self._take(folder, name)
            listing = await run_sync(folder.scan, self._settings.pattern)
            for name in watch.observe(listing, waited):
                claimed = await run_sync(folder.claim, name)
                if claimed is not None:
                    await self._take(folder, claimed)
            await anyio.sleep(self._settings.poll_seconds)
            waited += self._settings.poll_seconds

    async def _take(self, folder: DropFolder, name: str) -> None:
        """Bring one claimed file to its end. What only fails for now leaves it claimed."""
        async with self._context.in_hand():
            await self._finish(folder, name)

    async def _finish(self, folder: DropFolder, name: str) -> None:
        result = self._handover.begin(name)
        log = partial(self._context.log, source=self._context.name, file=result.file)
        try:
            await self._handover.read(folder, name, result)
        except (Refused, Permanent) as error:
            result.error, result.hint = str(error), error.hint or None
        except Retryable as error:
            log("drop_postponed", reason=str(error))
            return
        result.finished_at = self._handover.now()
        await run_sync(folder.finish, name, DONE if result.error is None else FAILED, asdict(result))
        if result.error is None:
            log("drop_taken", facts=result.facts, duplicates=result.duplicates)
        else:
            log("drop_failed", error=result.error, hint=result.hint)


class FileDropAdapter:
    """The entry object `file_drop`."""

    name = "file_drop"
    settings = FileDropSettings
    accepts_http = False

    def source(self, settings: FileDropSettings, context: SourceContext) -> FileDropSource:
        return FileDropSource(settings, context)

    def examine(self, settings: FileDropSettings, directory: Path) -> None:
        """Raises `ConfigError` when something lies where a folder should be."""
        folder = directory / settings.path
        for path in (folder, *(folder / name for name in (PROCESSING, DONE, FAILED))):
            if path.exists() and not path.is_dir():
                raise ConfigError(
                    f"path: {path} is no folder", hint="move it away, or name a folder; it is made if need be"
                )

    def folders(self, settings: FileDropSettings) -> Sequence[str]:
        """Which nobody else may use."""
        return [settings.path]

    def check(self, settings: FileDropSettings, *, loopback: bool) -> Sequence[str]:
        """Warnings for a person before the start."""
        if settings.poll_seconds <= settings.stable_seconds:
            return []
        warning = (
            f"poll_seconds ({settings.poll_seconds:g}) is above stable_seconds ({settings.stable_seconds:g}): "
            "a file is looked at twice before it is taken, so it waits for poll_seconds"
        )
        return [warning]
