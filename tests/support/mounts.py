"""A real ext4 file system on a loop device, whose disk can be made to fail at a chosen moment.

The disk is a file in memory. Sealed against writing, it answers each one with EIO, as a dying disk does; what it
held then can be carried to a healthy one. Mounting needs root: see `needs` in tests/README.md.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

DISK_BYTES = 96 * 1024 * 1024


class LoopDisk:
    """One file system, mounted at `place` while entered."""

    def __init__(self, place: Path, *options: str) -> None:
        """`options`: of the mount; with `sync` a write itself meets the disk, without it the flush does."""
        self.place = place
        self._options = options
        self._memory = -1
        self._device = ""

    def __enter__(self) -> Self:
        self.place.mkdir(parents=True, exist_ok=True)
        self._attach()
        _run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", "-m", "0", self._device)
        self._mount()
        return self

    def __exit__(self, *_: object) -> None:
        self._detach()

    def fail(self) -> None:
        """From now on each write to the disk is answered with EIO; for good."""
        fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)

    def remount_read_only(self) -> None:
        """What the kernel does by itself at a damaged file system (`errors=remount-ro`), open files or not."""
        _run("mount", "-o", "remount,errors=remount-ro", str(self.place))
        Path("/sys/fs/ext4", Path(self._device).name, "trigger_fs_error").write_text("1")

    def freeze(self) -> None:
        """Writes and flushes wait from now on, as on a disk that has stalled."""
        _run("fsfreeze", "--freeze", str(self.place))

    def thaw(self) -> None:
        """The end of `freeze`."""
        _run("fsfreeze", "--unfreeze", str(self.place))

    def replace(self) -> None:
        """Carry what reached the disk to a healthy one, as after a power cut, and mount that."""
        dying = os.dup(self._memory)
        try:
            self._detach()
            self._attach(dying)
        finally:
            os.close(dying)
        self._options = ()
        self._mount()

    def _attach(self, content: int | None = None) -> None:
        self._memory = os.memfd_create("disk", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        if content is None:
            os.truncate(self._memory, DISK_BYTES)
        else:
            with open(content, "rb", closefd=False) as old, open(self._memory, "wb", closefd=False) as new:
                old.seek(0)
                shutil.copyfileobj(old, new, 1024 * 1024)
        self._device = _run("losetup", "--find", "--show", f"/proc/{os.getpid()}/fd/{self._memory}")

    def _mount(self) -> None:
        options = ["-o", ",".join(self._options)] if self._options else []
        _run("mount", "-t", "ext4", *options, self._device, str(self.place))

    def _detach(self) -> None:
        _run("umount", "--lazy", str(self.place))
        _run("losetup", "--detach", self._device)
        os.close(self._memory)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()
