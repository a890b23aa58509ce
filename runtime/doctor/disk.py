"""Where the journal lies: a kind of file system that keeps promises, room, and what a flush costs."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runtime import clock
from runtime.ports import Finding

FSYNC_TRIES = 16
FSYNC_SECONDS_SLOW = 0.05
FSYNC_SECONDS_FAST = 0.00005
"""No disk flushes in 50 µs: something between says that it did."""
FREE_SHARE_SMALL = 0.10
MOUNTS = Path("/proc/self/mountinfo")
LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs"})
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "ocfs2", "gfs2", "afs", "virtiofs"}
)
MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
LAYERED = frozenset({"overlay", "aufs", "unionfs"})
WEAK_OPTIONS = frozenset({"nobarrier", "barrier=0"})


class Mount(NamedTuple):
    """One line of proc(5) mountinfo."""

    point: str
    kind: str
    options: frozenset[str]


def mounts(text: str) -> list[Mount]:
    """All mounted file systems, in order."""
    found = []
    for line in text.splitlines():
        first, _, second = line.partition(" - ")
        left, right = first.split(" "), second.split(" ")
        if len(left) < 6 or len(right) < 3:
            continue
        options = frozenset(left[5].split(",")) | frozenset(right[2].split(","))
        found.append(Mount(_unescaped(left[4]), right[0], options))
    return found


def _unescaped(text: str) -> str:
    """Blanks in paths are written as octal digits."""
    return text.encode("latin-1", "replace").decode("unicode_escape") if "\\" in text else text


def mount_of(path: Path, known: list[Mount]) -> Mount | None:
    """The file system that a path lies on; of several on one point the last one counts."""
    holding = [(len(mount.point), at, mount) for at, mount in enumerate(known) if path.is_relative_to(mount.point)]
    return max(holding)[2] if holding else None


def judge(folder: Path, mount: Mount | None) -> Finding:
    """Whether SQLite's log and its locks can be trusted there."""
    subject, step = "file system", "let data_dir lie on a local disk (ext4, xfs)"
    if mount is None:
        return Finding(subject, "warning", f"which one {folder} lies on cannot be seen", step)
    kind = mount.kind
    if kind in NETWORK or (kind.startswith("fuse.") and kind not in {"fuse.ext4", "fuseblk"}):
        return Finding(subject, "critical", f"{kind}: locks and flushes over a network cannot be trusted", step)
    if kind in MEMORY:
        return Finding(subject, "critical", f"{kind}: accepted messages are gone after a restart of this machine", step)
    if kind in LAYERED:
        step = "mount a volume for data_dir: the layer goes with its container"
        return Finding(subject, "warning", f"{kind}: what is written may not outlive the container", step)
    if mount.options & WEAK_OPTIONS:
        step = f"remount {mount.point} without {', '.join(sorted(mount.options & WEAK_OPTIONS))}"
        return Finding(
            subject, "critical", f"{kind} with flushes switched off: a power cut loses accepted messages", step
        )
    if kind not in LOCAL:
        return Finding(subject, "warning", f"{kind}: not one that the journal was tried on", step)
    return Finding(subject, "ok", f"{kind} at {mount.point}")


def file_system(folder: Path) -> Iterator[Finding]:
    """The kind of file system that the journal lies on."""
    known = mounts(MOUNTS.read_text("utf-8", "replace")) if MOUNTS.exists() else []
    yield judge(folder, mount_of(existing(folder).resolve(), known))


def room(data_dir: Path, budget: int) -> Iterator[Finding]:
    """Whether the disk is full before the journal's budget is."""
    folder = existing(data_dir)
    usage = shutil.disk_usage(folder)
    gib = 1024**3
    found = f"{usage.free / gib:.1f} GiB of {usage.total / gib:.1f} GiB are free; the journal's budget is {budget / gib:.1f} GiB"
    if usage.free < usage.total * FREE_SHARE_SMALL:
        yield Finding("free disk", "critical", found, f"free space on the file system of {folder}")
    elif usage.free < budget - _used(data_dir):
        step = "the journal will fill the disk before its budget: lower [journal] disk_bytes_max, or add disk"
        yield Finding("free disk", "warning", found, step)
    else:
        yield Finding("free disk", "ok", found)


def _used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("journal.db*")) if folder.is_dir() else 0


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder


def flush(data_dir: Path) -> Iterator[Finding]:
    """Median time of write + fsync of 4 KiB, in a small file that is removed again."""
    folder = existing(data_dir)
    if not os.access(folder, os.W_OK):
        return
    path = folder / f".doctor-{os.getpid()}"
    times: list[float] = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for number in range(FSYNC_TRIES):
            before = clock.monotonic()
            os.pwrite(handle, b"\0" * 4_096, number * 4_096)
            os.fsync(handle)
            times.append(clock.monotonic() - before)
    finally:
        os.close(handle)
        path.unlink()
    yield judge_flush(times)


def judge_flush(times: list[float]) -> Finding:
    """Too fast is as telling as too slow."""
    middle, slowest = statistics.median(times), max(times)
    found = f"a flush takes {middle * 1_000:.2f} ms (slowest of {len(times)}: {slowest * 1_000:.2f} ms)"
    if middle < FSYNC_SECONDS_FAST:
        step = "this disk or its controller seems to confirm before it writes: a power cut may lose accepted messages"
        return Finding("flush", "warning", found, step)
    if middle > FSYNC_SECONDS_SLOW:
        return Finding("flush", "warning", found, "senders wait for this; use a faster disk for data_dir")
    return Finding("flush", "ok", found)
