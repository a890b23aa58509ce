"""What lies where the journal should be, read before SQLite may touch it: even opening changes a foreign file.

Call it with the journal's lock held: closing this file drops SQLite's own lock on it (7-faults).
"""

from __future__ import annotations

import stat
from pathlib import Path

from runtime.errors import Refused
from runtime.journal.migrate import APPLICATION_ID, foreign

_MAGIC = b"SQLite format 3\x00"
_BYTES = 108
"""The file's header (100 bytes) and the head of the schema's first page; SQLite's file format, 1.3 and 1.6."""
_LEAF = 13


def check(path: Path) -> None:
    """Return if this is a journal or may become one. Raises `Refused` for anything else; changes nothing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device or a socket"
        raise Refused(
            f"{path} is {what}, but the journal is a file of that name",
            hint="point data_dir to this region's own folder, or to an empty one; nothing was changed",
        )
    with path.open("rb") as file:
        head = file.read(_BYTES)
    if not head:
        return  # a first start was killed here; it begins again
    if head[:16] != _MAGIC or len(head) < _BYTES:
        if _has_log(path):
            return  # SQLite may have a good copy of the first page in it
        raise Refused(
            f"{path} is not a database, so it is no journal",
            hint="if it was this region's journal, its disk has damaged it: keep it and restore the newest backup;"
            " otherwise point data_dir to an empty folder; nothing was changed",
        )
    version, application = int.from_bytes(head[60:64], "big"), int.from_bytes(head[68:72], "big")
    has_tables = head[100] != _LEAF or head[103:105] != b"\x00\x00"
    # Without a mark, version and tables it may be our own: the first migration stands in the log alone for a while.
    if application != APPLICATION_ID and (application or version or has_tables):
        raise foreign(path)


def is_cut_off(path: Path) -> bool:
    """Whether the file is there and holds nothing at all."""
    try:
        return path.stat().st_size == 0 and not _has_log(path)
    except FileNotFoundError:
        return False


def _has_log(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0
