"""Files that others drop into a folder: found when complete, claimed, read safely, archived, never lost.

Everything goes through directory descriptors, so nobody can swap a folder under us, and links are never followed.
Blocking; call it in a worker thread. `processing/` is ours: what lies there after a crash is taken again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from hashlib import sha256

import msgspec
from msgspec import Struct

PROCESSING = "processing"
DONE = "done"
FAILED = "failed"
RESULT = ".result.json"

SCAN_FILES_MAX = 10_000
"""Looked at in one scan; the others get their turn when these have been taken."""
NAME_BYTES_MAX = 255 - len(RESULT) - len("~99999")
"""ext4, XFS and Btrfs allow 255; the result file beside and a number against collisions must fit."""
_RESULT_BYTES_MAX = 65_536
_UNFINISHED = (".part", ".tmp", ".filepart", ".crdownload", "~")


class Sighting(Struct, frozen=True, kw_only=True):
    """How a file looked at one moment."""

    inode: int
    size: int
    mtime_ns: int


def is_unfinished(name: str) -> bool:
    """Names that mean "still being written": hidden files, and the endings that transfer programs use."""
    return name.startswith(".") or name.lower().endswith(_UNFINISHED)


def printable(name: str) -> str:
    """A file name that can stand in JSON and in logs, whatever bytes it has."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class StableWatch:
    """Pure: which files are complete. Told the listing and the seconds waited so far, so no clock can mislead it."""

    def __init__(self, stable_seconds: float) -> None:
        self._stable_seconds = stable_seconds
        self._since: dict[str, tuple[Sighting, float]] = {}
        self._unfinished: dict[int, int] = {}

    def observe(self, listing: Mapping[str, Sighting], waited_seconds: float) -> list[str]:
        """Names to take now, oldest first: unchanged for `stable_seconds`, or seen under an unfinished name before."""
        unfinished = {seen.inode: seen.size for name, seen in listing.items() if is_unfinished(name)}
        since: dict[str, tuple[Sighting, float]] = {}
        ready: list[str] = []
        for name, seen in listing.items():
            if is_unfinished(name):
                continue
            before = self._since.get(name)
            first = before[1] if before is not None and before[0] == seen else waited_seconds
            renamed_in = before is None and self._renamed(seen, unfinished)
            if renamed_in or waited_seconds - first >= self._stable_seconds:
                ready.append(name)
            since[name] = (seen, first)
        self._since, self._unfinished = since, unfinished
        return sorted(ready, key=lambda name: (listing[name].mtime_ns, name))

    def _renamed(self, seen: Sighting, unfinished: Mapping[int, int]) -> bool:
        # Smaller than before means that the inode number was given to another file.
        before = self._unfinished.get(seen.inode)
        return before is not None and seen.inode not in unfinished and seen.size >= before


class DropFolder:
    """One drop folder and its three subfolders. The only user of `processing/`, `done/` and `failed/`."""

    def __init__(self, path: str) -> None:
        """Makes what is missing. Raises `OSError`, also when a subfolder is a symbolic link."""
        os.makedirs(path, exist_ok=True)
        self._fds: dict[str, int] = {"": os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)}
        try:
            for folder in (PROCESSING, DONE, FAILED):
                self._fds[folder] = self._subfolder(folder)
        except OSError:
            self.close()
            raise

    def _subfolder(self, folder: str) -> int:
        with suppress(FileExistsError):
            os.mkdir(folder, 0o750, dir_fd=self._fds[""])
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(folder, flags, dir_fd=self._fds[""])

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def scan(self, pattern: str) -> dict[str, Sighting]:
        """Files that match, unfinished ones included, folders not. Links are reported as themselves."""
        found: dict[str, Sighting] = {}
        with os.scandir(self._fds[""]) as entries:
            for entry in entries:
                if len(found) >= SCAN_FILES_MAX:
                    break
                if not fnmatchcase(entry.name, pattern) and not is_unfinished(entry.name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if not stat.S_ISDIR(status.st_mode):
                    found[entry.name] = sighting(status)
        return found

    def claimed(self) -> list[str]:
        """Names in `processing/`, oldest first: interrupted earlier, or not readable for the moment."""
        with os.scandir(self._fds[PROCESSING]) as entries:
            found = [(entry.stat(follow_symlinks=False).st_mtime_ns, entry.name) for entry in entries]
        return [name for _, name in sorted(found)]

    def claim(self, name: str) -> str | None:
        """Move a file into `processing/` and return its name there; None when its owner took it away."""
        target = self._free_name(PROCESSING, name)
        try:
            os.rename(name, target, src_dir_fd=self._fds[""], dst_dir_fd=self._fds[PROCESSING])
        except FileNotFoundError:
            return None
        return target

    def open(self, name: str) -> int:
        """A descriptor of a claimed file. Raises `OSError`; ELOOP for a symbolic link. Never waits for a pipe."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=self._fds[PROCESSING])

    def finish(self, name: str, folder: str, result: Mapping[str, object]) -> str:
        """Archive a claimed file in `done/` or `failed/` with its result beside; returns its name there.

        The result is written first, so a file in the archive always has one. Nothing is ever overwritten.
        """
        target = self._free_name(folder, name, str(result.get("sha256") or ""))
        if not self._exists(folder, target + RESULT):
            self._write_result(folder, target + RESULT, result)
        # Missing: taken away by hand. What it said is committed, and the result stands.
        with suppress(FileNotFoundError):
            os.rename(name, target, src_dir_fd=self._fds[PROCESSING], dst_dir_fd=self._fds[folder])
        return target

    def _free_name(self, folder: str, name: str, digest: str = "") -> str:
        stem, dot, ending = _shortened(name).rpartition(".")
        if not stem:
            stem, dot, ending = ending, "", ""
        number = 1
        candidate = f"{stem}{dot}{ending}"
        while not self._is_free(folder, candidate, digest):
            number += 1
            candidate = f"{stem}~{number}{dot}{ending}"
        return candidate

    def _is_free(self, folder: str, name: str, digest: str) -> bool:
        if self._exists(folder, name):
            return False
        if not self._exists(folder, name + RESULT):
            return True
        # A crash between the two steps of `finish` leaves a result without its file: same digest, same file.
        return bool(digest) and self._digest_of(folder, name + RESULT) == digest

    def _exists(self, folder: str, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._fds[folder], follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _digest_of(self, folder: str, name: str) -> str | None:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fds[folder])
            with os.fdopen(fd, "rb") as file:
                result = msgspec.json.decode(file.read(_RESULT_BYTES_MAX))
        except (OSError, msgspec.DecodeError):
            return None
        digest = result.get("sha256") if isinstance(result, dict) else None
        return digest if isinstance(digest, str) else None

    def _write_result(self, folder: str, name: str, result: Mapping[str, object]) -> None:
        unfinished = f".{sha256(os.fsencode(name)).hexdigest()[:16]}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(unfinished, flags, 0o640, dir_fd=self._fds[folder])
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        os.rename(unfinished, name, src_dir_fd=self._fds[folder], dst_dir_fd=self._fds[folder])


def sighting(status: os.stat_result) -> Sighting:
    """What of a file must stay the same while it is being read."""
    return Sighting(inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _shortened(name: str) -> str:
    raw = os.fsencode(name)
    if len(raw) <= NAME_BYTES_MAX:
        return name
    mark = f"~{sha256(raw).hexdigest()[:8]}".encode()
    stem, dot, ending = raw.rpartition(b".")
    tail = mark + dot + ending if stem and len(ending) <= 16 else mark
    return os.fsdecode(raw[: NAME_BYTES_MAX - len(tail)] + tail)
