"""What a rendered configuration changes for one region: keys, files, and the next version. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import unified_diff
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from runtime.errors import Refused
from runtime.fleet.documents import Revision
from runtime.fleet.layers import Rendered, leaves

DIFF_LINES_MAX = 200
"""Of one file; more say only that much has changed."""
VALUE_CHARACTERS_MAX = 200


class KeyChange(Struct, frozen=True, kw_only=True):
    """One dotted key. None: it is not steered."""

    key: str
    before: str | None
    after: str | None
    layer: str = ""


class FileChange(Struct, frozen=True, kw_only=True):
    """One file. Digests are SHA-256 (hex); None: it is not there."""

    path: str
    before: str | None
    after: str | None
    diff: list[str] = []


class RegionPlan(Struct, frozen=True, kw_only=True):
    """What would be sent to one region, and what that changes."""

    region: str
    version: int
    base: int
    """The version that it is compared with; 0: the local file alone."""
    keys: list[KeyChange] = []
    files: list[FileChange] = []

    @property
    def empty(self) -> bool:
        """Nothing to send."""
        return not (self.keys or self.files)


def make_plan(
    region: str, rendered: Rendered, last: Revision | None, old_files: Mapping[str, bytes], *, highest: int
) -> RegionPlan:
    """`last`: what is newest for this region; `highest`: the largest version that anybody has heard of."""
    before = {} if last is None else last.settings
    digests = {} if last is None else last.files
    return RegionPlan(
        region=region,
        version=next_version([highest, 0 if last is None else last.version]),
        base=0 if last is None else last.version,
        keys=_keys(before, rendered),
        files=_files(digests, old_files, rendered.files),
    )


def next_version(known: Iterable[int]) -> int:
    """Higher than everything that was ever seen: versions never fall, not even after the hub lost some."""
    return max(known, default=0) + 1


def make_revision(
    rendered: Rendered, *, region: str, environment: str, version: int, at: str, by: str, ticket: str, note: str
) -> Revision:
    """The statement to sign."""
    return Revision(
        environment=environment,
        region=region,
        issued_at=at,
        version=version,
        settings=rendered.settings,
        files={path: file_digest(content) for path, content in rendered.files.items()},
        provenance=rendered.provenance,
        by=by,
        ticket=ticket,
        note=note,
    )


def go_back(
    old: Revision | None, *, region: str, environment: str, version: int, at: str, by: str, ticket: str, note: str
) -> Revision:
    """A new, higher version with the old content; None: nothing is steered any more. Raises `Refused`."""
    if old is not None and old.version >= version:
        raise Refused(f"version {version} of {region} would not be higher than {old.version}")
    empty = Revision(environment=environment, region=region, issued_at=at, version=version, settings={}, by=by)
    content = empty if old is None else old
    return msgspec.structs.replace(
        content,
        environment=environment,
        region=region,
        issued_at=at,
        version=version,
        by=by,
        ticket=ticket,
        note=note,
    )


def file_digest(content: bytes) -> str:
    """SHA-256 (hex): the name of a file at the hub."""
    return sha256(content).hexdigest()


def _keys(before: Mapping[str, Any], rendered: Rendered) -> list[KeyChange]:
    old, new = dict(leaves(before)), dict(leaves(rendered.settings))
    return [
        KeyChange(key=key, before=_shown(old, key), after=_shown(new, key), layer=rendered.provenance.get(key, ""))
        for key in sorted({*old, *new})
        if (key in old, old.get(key)) != (key in new, new.get(key))
    ]


def _shown(values: Mapping[str, Any], key: str) -> str | None:
    if key not in values:
        return None
    text = msgspec.json.encode(values[key]).decode()
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"


def _files(digests: Mapping[str, str], old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[FileChange]:
    after = {path: file_digest(content) for path, content in new.items()}
    return [
        FileChange(
            path=path,
            before=digests.get(path),
            after=after.get(path),
            diff=_diff(path, old.get(path, b""), new.get(path, b"")),
        )
        for path in sorted({*digests, *after})
        if digests.get(path) != after.get(path)
    ]


def _diff(path: str, old: bytes, new: bytes) -> list[str]:
    try:
        before, after = old.decode("utf-8").splitlines(), new.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return ["(no text)"]
    lines = list(unified_diff(before, after, f"{path} before", f"{path} after", lineterm="", n=1))
    more = len(lines) - DIFF_LINES_MAX
    return lines if more <= 0 else [*lines[:DIFF_LINES_MAX], f"… and {more} more lines"]
