"""A folder that files appear in whole or not at all, each once, whatever is cut off in between. Blocking.

Everything goes through directory descriptors and links are never followed. `.entrepot/` holds what is being prepared,
`.entrepot/done/` a mark for each of the youngest deliveries: a second try finds it, even when the file was fetched.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from runtime.errors import Retryable

STATE = ".entrepot"
MARKS_MAX = 20_000
"""Deliveries whose second try is recognised; the oldest are forgotten first."""
MARKS = "done"
READY, UNFINISHED = ".ready", ".tmp"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_WORDS = {
    errno.ENOENT: "is not there",
    errno.ENOTDIR: "is no folder",
    errno.ELOOP: "is a symbolic link where none may be",
    errno.EACCES: "may not be written in",
    errno.EPERM: "may not be written in",
    errno.EROFS: "is read-only",
    errno.ENOSPC: "is on a disk that is full",
    errno.EDQUOT: "has reached its quota",
    errno.ESTALE: "is on a server that is away",
}
_HINTS = {
    errno.ENOENT: "make it, or mount it; it is not made by itself, so that nothing is written under an empty mount point",
    errno.ENOSPC: "make room; what waits is kept",
    errno.EDQUOT: "make room; what waits is kept",
}


class OutFolder:
    """One target folder, opened for one piece of work. Use it in `with`."""

    def __init__(self, path: str, file_mode: int) -> None:
        """Raises `OSError` when the folder is not there."""
        self._mode = file_mode
        self._fds = [os.open(path, _FOLDER)]
        try:
            self._fds.append(_inner(self._fds[0], STATE))
            self._fds.append(_inner(self._fds[1], MARKS))
        except OSError:
            self._close()
            raise
        self._folder, self._state, self._marks = self._fds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for fd in self._fds:
            os.close(fd)

    def names(self, ending: str) -> list[str]:
        """What lies in `.entrepot/` with this ending, sorted."""
        with os.scandir(self._state) as entries:
            return sorted(entry.name for entry in entries if entry.name.endswith(ending))

    def has(self, name: str) -> bool:
        """Whether `.entrepot/` holds it."""
        return _exists(self._state, name)

    def is_marked(self, digest: str) -> bool:
        """Whether this delivery has appeared, or is about to."""
        return _exists(self._marks, digest)

    def prepare(self, name: str, content: bytes) -> None:
        """Write a file into `.entrepot/`: whole and flushed, or not there."""
        unfinished = f"{name}{UNFINISHED}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(unfinished, flags, 0o600, dir_fd=self._state)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), self._mode)
                os.fsync(file.fileno())
        except OSError:
            self.drop([unfinished])
            raise
        os.rename(unfinished, name, src_dir_fd=self._state, dst_dir_fd=self._state)
        os.fsync(self._state)

    def read(self, name: str) -> bytes:
        """A file of `.entrepot/`."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=self._state), "rb") as file:
            return file.read()

    def mark(self, digests: Iterable[str]) -> None:
        """Remember, flushed, that these deliveries are about to appear."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        for digest in digests:
            os.close(os.open(digest, flags, 0o600, dir_fd=self._marks))
        os.fsync(self._marks)

    def publish(self, prepared: str, name: str) -> None:
        """The one moment: from `.entrepot/` to where others look. A link of that name is replaced, not followed."""
        os.rename(prepared, name, src_dir_fd=self._state, dst_dir_fd=self._folder)
        os.fsync(self._folder)
        os.fsync(self._state)

    def drop(self, names: Iterable[str]) -> None:
        """Remove files of `.entrepot/`."""
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._state)

    def put(self, digest: str, name: str, content: bytes) -> bool:
        """One delivery as one file; False when an earlier try has done it. Any step may be the last one before a crash."""
        prepared = f"{digest}{READY}"
        if not self.has(prepared):
            if self.is_marked(digest):
                return False
            self.prepare(prepared, content)
        self.mark([digest])
        self.publish(prepared, name)
        return True

    def forget_old(self) -> None:
        """Keep the youngest marks."""
        with os.scandir(self._marks) as entries:
            marks = sorted((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name) for entry in entries)
        for _, name in marks[: max(0, len(marks) - MARKS_MAX)]:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._marks)


def _inner(parent: int, name: str) -> int:
    """A folder of ours inside another, made if it is not there."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
        os.fsync(parent)
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def away(path: str, error: OSError) -> Retryable:
    """The error of a folder that cannot be used now, as a sentence."""
    code = error.errno or 0
    words = _WORDS.get(code) or f"cannot be used ({error.strerror or type(error).__name__})"
    return Retryable(
        f"the folder {path} {words}", hint=_HINTS.get(code, "the agent must be able to write and rename in it")
    )
