"""What comes from the hub as a revision: whose signature it bears, and whether each file is what was signed."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TypeVar

from anyio.to_thread import run_sync

from runtime.config.assemble import Configuration
from runtime.errors import Permanent, Refused, Retryable
from runtime.fleet.documents import Revision
from runtime.fleet.post import FleetPost
from runtime.fleet.settings import raw_keys
from runtime.fleet.signing import read
from runtime.fleet.slots import Slots
from runtime.fleet.steering import FILES_BYTES_MAX

Kind = TypeVar("Kind", bound=Revision)


class Missing(Retryable):
    """The hub does not have all of it yet."""


def open_revision(document: bytes, kind: str, type_: type[Kind], running: Configuration) -> tuple[Kind, bool]:
    """The statement, and whether a key of the region has signed it, so that it may loosen. Raises `Refused`."""
    settings, model = running.model.fleet, running.model
    assert settings is not None, "only a region with [fleet] is sent revisions"
    look = partial(read, document, kind, type_, environment=model.environment, region=model.region)
    try:
        return look(keys=raw_keys(settings.region_keys)), True
    except Refused:
        return look(keys=raw_keys(settings.release_keys)), False


async def collect_files(post: FleetPost, slots: Slots, revision: Revision) -> dict[str, bytes]:
    """Every file by its name; those that are here already are not asked for again.

    Raises `Missing`: not all of them yet. `Refused`: one was changed. `Permanent`: too much. `Retryable`: no hub.
    """
    files: dict[str, bytes] = {}
    here = await run_sync(slots.contents, set(revision.files.values()))
    for name, wanted in revision.files.items():
        content = here.get(wanted) or await post.file(wanted)
        if content is None:
            raise Missing(f"waits: the file {name} is not at the hub yet")
        if sha256(content).hexdigest() != wanted:
            raise Refused(f"the file {name} at the hub was changed, or forged")
        files[name] = content
        if sum(map(len, files.values())) > FILES_BYTES_MAX:
            raise Permanent(f"its files have more than {FILES_BYTES_MAX} bytes")
    return files
