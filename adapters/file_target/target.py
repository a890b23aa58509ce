"""Writes each event as a file, or several as one: whole, flushed, under its final name only when it is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from adapters.file_target.batches import Batches
from adapters.file_target.folder import OutFolder, away
from adapters.file_target.naming import BATCH_OWN, OWN, Naming, usual
from adapters.file_target.settings import FileTargetSettings
from adapters.sdk.filters import Matches, compile_filters
from adapters.sdk.renderings import read_rendering, rendering_files
from runtime.errors import ConfigError
from runtime.ports import Delivered, Delivery, TargetContext
from runtime.rendering import Rendering, event_tree

FORGET_EVERY = 1_000
"""Files between two looks at the marks of old deliveries."""


class FileTarget:
    """One folder."""

    idempotent = True
    """A mark beside the files recognises a second try, see `folder`."""

    def __init__(
        self,
        settings: FileTargetSettings,
        rendering: Rendering | None,
        naming: Naming,
        matches: Matches,
        context: TargetContext,
    ) -> None:
        self._path = str(Path(context.directory) / settings.path)
        self._mode = int(settings.file_mode, 8)
        self._rendering = rendering
        self._naming = naming
        self._matches = matches
        self._region = context.region
        self._turn = anyio.Lock()
        self._written = 0
        self._batches: Batches | None = None
        if settings.batch is not None and rendering is not None:
            head = rendering.write([])
            self._batches = Batches(settings.batch, head, self._open, self._batch_name, context.now_us)

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        """See `runtime.ports.Target`."""
        return self._matches({**attributes, "type": type})

    async def deliver(self, delivery: Delivery) -> Delivered:
        """Raises `Permanent` for an event that cannot be written, `Retryable` when the folder cannot be used now."""
        digest = sha256(delivery.id.encode()).hexdigest()[:32]
        tree = event_tree(delivery, self._region)
        try:
            if self._batches is not None and self._rendering is not None:
                await self._batches.take(digest, self._rendering.lines(tree))
                return Delivered()
            content = delivery.data + b"\n" if self._rendering is None else self._rendering.render(tree)
            name = self._naming.name(tree)
            async with self._turn:
                await run_sync(partial(self._put, digest, name, content))
        except OSError as error:
            raise away(self._path, error) from None
        return Delivered(reference=name if self._naming.tellable else "")

    async def close(self) -> None:
        """Lets an open batch appear; where that fails it waits for the next start."""
        if self._batches is not None:
            try:
                await self._batches.close()
            except OSError:
                return

    def _open(self) -> OutFolder:
        return OutFolder(self._path, self._mode)

    def _put(self, digest: str, name: str, content: bytes) -> None:
        with self._open() as folder:
            folder.put(digest, name, content)
            if self._written % FORGET_EVERY == 0:
                folder.forget_old()
        self._written += 1

    def _batch_name(self, time: str, id: str) -> str:
        return self._naming.name({"batch": {"time": time, "id": id}, "delivery": {"region": self._region}})


class FileTargets:
    """The entry object `file`."""

    name = "file"
    settings = FileTargetSettings

    def target(self, settings: FileTargetSettings, context: TargetContext) -> FileTarget:
        """Raises `ConfigError` for a rendering, a name or filters that cannot be used. The folder may be away."""
        matches = _checked(settings)
        rendering = read_rendering(settings.rendering, context.directory) if settings.rendering else None
        if settings.batch is not None and (rendering is None or not rendering.joins):
            raise ConfigError(
                "batch: only CSV and NDJSON hold several events in one file", hint='a rendering with format = "csv"'
            )
        return FileTarget(settings, rendering, _naming(settings, rendering), matches, context)

    def files(self, settings: FileTargetSettings, directory: str) -> Sequence[str]:
        """What the settings name and `target` reads: a change in one of them changes the target. Blocking; raises `ConfigError`."""
        return rendering_files(settings.rendering, directory)

    def folders(self, settings: FileTargetSettings) -> Sequence[str]:
        """Which nobody else may use."""
        return [settings.path]

    def check(self, settings: FileTargetSettings, *, loopback: bool) -> Sequence[str]:
        """Raises `ConfigError` for what cannot work; the files that it names are read by `target`."""
        _checked(settings)
        if settings.overwrite and not settings.name:
            return ["overwrite says nothing without a name: each event has a file of its own"]
        return []


def _checked(settings: FileTargetSettings) -> Matches:
    if settings.batch is not None and not settings.rendering:
        raise ConfigError("batch: needs a rendering as CSV or NDJSON", hint='rendering = "orders-out.toml"')
    if settings.batch is not None and settings.overwrite:
        raise ConfigError("batch and overwrite exclude each other: a file would replace events that nobody has read")
    _naming(settings, None)
    return compile_filters(settings.filters)


def _naming(settings: FileTargetSettings, rendering: Rendering | None) -> Naming:
    own = OWN if settings.batch is None else BATCH_OWN
    ending = "json" if rendering is None else rendering.ending
    return Naming(settings.name or usual(own, ending), own=own, overwrite=settings.overwrite)
