"""What a revision may speak of at all, and that its files have names that can do no harm. Pure."""

from __future__ import annotations

import posixpath
import re

from runtime.errors import Refused
from runtime.fleet.documents import Revision

FIXED = {
    "region": "the region",
    "jurisdiction": "the jurisdiction",
    "environment": "the environment",
    "data_dir": "where the journal and the keys lie",
    "secrets": "where the secrets lie",
    "fleet": "whose signatures count",
    "admin": "the admin interface",
}
"""Keys that only the local file may set."""
FILES_MAX = 500
FILES_BYTES_MAX = 32 * 1024 * 1024
"""All files of a revision together: they are held in memory until the slot is written."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ /-]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_steering(revision: Revision) -> None:
    """Raises `Refused` with the reason."""
    for key, meaning in FIXED.items():
        if key in revision.settings:
            raise Refused(f"revision {revision.version} sets `{key}`: {meaning} cannot be steered")
    if len(revision.files) > FILES_MAX:
        raise Refused(f"revision {revision.version} has {len(revision.files)} files; at most {FILES_MAX} are taken")
    for name, digest in revision.files.items():
        if not _is_plain(name):
            raise Refused(f"revision {revision.version} has a file {name[:100]!r}, which is no plain relative path")
        if not _DIGEST.fullmatch(digest):
            raise Refused(f"revision {revision.version} names no SHA-256 for its file {name}")


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return bool(_NAME.fullmatch(name)) and posixpath.normpath(name) == name and ".." not in parts
