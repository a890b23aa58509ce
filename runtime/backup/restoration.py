"""Puts a backup in the journal's place: proven first, the former journal kept aside, every lane fenced.

A restored journal is an older copy of itself by definition. What the hub received since is unknown to it, so it
sends nothing until a person runs `adopt` (3-uplink: stale self).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from runtime import clock
from runtime.backup import manifest as manifests
from runtime.backup.manifest import JOURNAL, KEYS, Manifest
from runtime.errors import Permanent, Refused
from runtime.identity import PUBLIC_FILE, SIGNING_FILE, parse_public_key
from runtime.journal import file, migrate
from runtime.ports import Fence

ADOPT = "Make sure that no second agent runs for this region, then run `entrepot adopt`."


class Restored(Struct, frozen=True, kw_only=True):
    """What was done."""

    made_at: str
    facts: int
    lanes: dict[str, int]
    """Sealed position of each lane."""
    aside: str | None
    """Where the former journal lies now."""
    keys: str
    """kept or restored."""


def restore(
    backup: Path, data_dir: Path, identity: Path, *, region: str, environment: str, say: Callable[[str], None]
) -> Restored:
    """`identity`: the folder of the region's keys. Raises `Refused`, `Permanent`; then nothing has been changed."""
    manifest, signed = manifests.read(backup)
    if (manifest.region, manifest.environment) != (region, environment):
        raise Refused(
            f"this backup is of region {manifest.region!r} ({manifest.environment}), not {region!r} ({environment})",
            hint="use a backup of this region, or name its own configuration with --config",
        )
    if manifest.schema > migrate.steps()[-1][0]:
        raise Refused(
            f"the backup has schema {manifest.schema}, this program knows up to {migrate.steps()[-1][0]}",
            hint=f"install entrepot {manifest.entrepot} or newer, then restore",
        )
    keys = _keys(backup, identity)
    manifests.check_signature(signed, parse_public_key((keys / PUBLIC_FILE).read_text("utf-8")))
    data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    with file.held(data_dir):
        say("checking the backup")
        new = data_dir / "journal.restored"
        try:
            _take(backup / JOURNAL, new, manifest)
            file.fence_all(new, _fence(manifest), incident="restored", now_us=clock.now_us())
            if keys != identity:
                _restore_keys(keys, identity, data_dir)
            say("exchanging the journals")
            aside = file.exchange(data_dir, new, why="restore", now_us=clock.now_us())
        finally:
            new.unlink(missing_ok=True)
    return Restored(
        made_at=manifest.made_at,
        facts=manifest.facts,
        lanes={name: lane.sealed for name, lane in manifest.lanes.items()},
        aside=None if aside is None else str(aside),
        keys="kept" if keys == identity else "restored",
    )


def _keys(backup: Path, identity: Path) -> Path:
    """The folder whose keys the restored region will use."""
    if (identity / SIGNING_FILE).exists():
        return identity
    if (backup / KEYS / SIGNING_FILE).exists():
        return backup / KEYS
    raise Refused(
        f"the region's keys are neither in {identity} nor in this backup",
        hint="put the saved identity folder there first; without its keys a journal cannot go on in the region's name",
    )


def _take(source: Path, new: Path, manifest: Manifest) -> None:
    """Copy the journal and prove the copy: its bytes, then what SQLite and the books say of them."""
    shutil.copyfile(source, new)
    hint = "use another backup; the journal in the data folder was not touched"
    if (new.stat().st_size, manifests.digest(new)) != (manifest.bytes, manifest.sha256):
        raise Permanent(f"{source} is damaged: it is not what its manifest says", hint=hint)
    standing = file.standing(new)
    if standing.problems or not standing.books.balanced:
        raise Permanent(f"{source} is damaged: {(standing.problems or ['the books do not balance'])[0]}", hint=hint)


def _fence(manifest: Manifest) -> Fence:
    return Fence(
        kind="stale_self",
        reason=f"this journal was restored from the backup of {manifest.made_at[:19]}Z; the hub may hold what was sent since",
        action=ADOPT,
        evidence={"made_at": manifest.made_at, "facts": str(manifest.facts), "checkpoint": str(manifest.checkpoint)},
    )


def _restore_keys(keys: Path, identity: Path, data_dir: Path) -> None:
    """The signing key last: as at birth, a half-written folder must not pass for a whole one."""
    identity.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in sorted(keys.iterdir(), key=lambda path: path.name == SIGNING_FILE):
        target = identity / path.name
        shutil.copyfile(path, target)
        os.chmod(target, 0o644 if path.name == PUBLIC_FILE else 0o600)
        file.flush(target)
    file.flush(identity)
    file.give_to_owner_of(data_dir, identity, *identity.iterdir())
