"""Makes a backup: a folder with the journal's copy, its signed manifest and, only if asked for, the region's keys.

It appears under its name when it is complete, proven and flushed; until then, and after any failure, not at all.
"""

from __future__ import annotations

import os
import shutil
from importlib.metadata import version
from pathlib import Path

import anyio.to_thread
from msgspec import Struct

from runtime import clock
from runtime.backup import manifest as manifests
from runtime.backup.manifest import FORMAT, JOURNAL, KEYS, Manifest
from runtime.envelope import LaneStatement
from runtime.errors import Permanent, Refused, Retryable
from runtime.identity import Identity
from runtime.journal import copy, file, retention
from runtime.journal.copy import SlicedCopy
from runtime.journal.file import Standing
from runtime.journal.journal import Journal
from runtime.journal.store import SQLITE_VERSION

SPARE_BYTES = 64 * 1024 * 1024
"""Must stay free beside the copy: the journal may lie on the same disk."""


class Progress(Struct):
    """What people see while it is made. `part`: copying, proving, flushing."""

    part: str = "copying"
    done: int = 0
    total: int = 0


class Backup(Struct, frozen=True, kw_only=True):
    """A finished backup."""

    path: str
    manifest: Manifest


class Archive:
    """One backup under way; `progress` may be read at any time."""

    def __init__(self, journal: Journal, identity: Identity, keys: Path | None) -> None:
        """`keys`: the identity folder, if the private keys are to be in it."""
        self._journal = journal
        self._identity = identity
        self._keys = keys
        self._work: SlicedCopy | None = None
        self._part = "copying"

    @property
    def progress(self) -> Progress:
        """How far it is, in pages while it copies."""
        work = self._work
        if work is None:
            return Progress()
        return Progress(self._part, work.pages - work.pages_left, work.pages)

    async def make(self, place: Path) -> Backup:
        """Write it to `place`, or into it when that is a folder. Raises `Refused`, `Retryable`, `Permanent`."""
        target = _named(place, self._journal.region)
        usage = await self._journal.read(retention.usage)
        unfinished = target.with_name(f".{target.name}.part")
        try:
            await anyio.to_thread.run_sync(_begin, unfinished, usage.used + usage.free)
            manifest = await self._fill(unfinished)
            self._part = "flushing"
            await anyio.to_thread.run_sync(_finish, unfinished, target)
        except BaseException as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            if isinstance(error, OSError):
                raise _refusal(target, error) from error
            raise
        return Backup(path=str(target), manifest=manifest)

    async def _fill(self, folder: Path) -> Manifest:
        path = folder / JOURNAL
        self._work = SlicedCopy(path)
        await copy.copy(self._journal, path, self._work)
        self._part = "proving"
        standing = await anyio.to_thread.run_sync(file.standing, path)
        if standing.problems or not standing.books.balanced:
            raise Permanent(
                f"the copy is damaged, so the journal is: {(standing.problems or ['the books do not balance'])[0]}",
                hint="`entrepot journal verify` says more; keep the last backup, and see the runbook for a disk error",
            )
        digest = await anyio.to_thread.run_sync(manifests.digest, path)
        manifest = _manifest(standing, path.stat().st_size, digest, keys=self._keys is not None)
        await anyio.to_thread.run_sync(self._add, folder, manifest)
        return manifest

    def _add(self, folder: Path, manifest: Manifest) -> None:
        if self._keys is not None:
            (folder / KEYS).mkdir(mode=0o700)
            for path in sorted(self._keys.iterdir()):
                shutil.copyfile(path, folder / KEYS / path.name)
        manifests.write(folder, manifest, self._identity)


def _named(place: Path, region: str) -> Path:
    try:
        return _target(place, region, clock.now_us())
    except OSError as error:  # a folder above it is closed to the agent
        raise _refusal(place, error) from error


def _target(place: Path, region: str, now_us: int) -> Path:
    if place.is_dir():
        return file.unused(place / f"{region}-{file.stamp(now_us)}.backup")
    if place.exists():
        raise Refused(f"{place} is there already", hint="a backup never overwrites anything; name another place")
    return place


def _begin(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder.parent).free
    if free < needed + SPARE_BYTES:
        raise Retryable(
            f"there is no room for a backup of {needed:,} bytes in {folder.parent}: {free:,} are free",
            hint="name a place on another disk, or make room",
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


def _finish(folder: Path, target: Path) -> None:
    """Flush every file, then give the whole its name."""
    for path in sorted(folder.rglob("*")):
        os.chmod(path, 0o700 if path.is_dir() else 0o600)
        file.flush(path)
    file.flush(folder)
    folder.rename(target)
    file.flush(target.parent)


def _manifest(standing: Standing, size: int, digest: str, *, keys: bool) -> Manifest:
    return Manifest(
        format=FORMAT,
        region=standing.region,
        environment=standing.environment,
        made_at=clock.rfc3339(clock.now_us()),
        entrepot=version("entrepot"),
        sqlite=SQLITE_VERSION,
        schema=standing.schema,
        epoch=standing.epoch,
        facts=standing.books.facts,
        checkpoint=standing.checkpoint,
        lanes={
            lane.name: LaneStatement(sealed=lane.sealed, acked=lane.acked, chain=lane.acked_chain.hex())
            for lane in standing.lanes
        },
        books=standing.books.account(),
        bytes=size,
        sha256=digest,
        keys=keys,
    )


def _refusal(target: Path, error: OSError) -> Refused:
    return Refused(
        f"a backup cannot be written to {target} ({error.strerror}): it is written by the agent, as the agent's user",
        hint="name a folder that exists and that the agent may write to, for example one in its data folder",
    )
