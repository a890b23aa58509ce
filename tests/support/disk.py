"""Stands between SQLite and its files: records every write and flush, and answers one of them with an error.

SQLite's default VFS is altered in place: each file it opens gets a copy of its method table with three entries
replaced. Reads, locks and everything else stay what they were.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

OK, FULL, IOERR_WRITE, IOERR_FSYNC = 0, 13, 778, 1034

_Open = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, c_int, c_void_p)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)


class _Methods(ctypes.Structure):
    """sqlite3_io_methods."""

    _fields_ = [
        ("version", c_int), ("close", c_void_p), ("read", c_void_p), ("write", _Write), ("truncate", _Truncate),
        ("sync", _Sync), *((f"more{n}", c_void_p) for n in range(13)),
    ]  # fmt: skip


class _Vfs(ctypes.Structure):
    """The head of sqlite3_vfs."""

    _fields_ = [
        ("version", c_int), ("file_bytes", c_int), ("path_bytes_max", c_int), ("next", c_void_p), ("name", c_char_p),
        ("data", c_void_p), ("open", _Open),
    ]  # fmt: skip


class _File(ctypes.Structure):
    """sqlite3_file."""

    _fields_ = [("methods", POINTER(_Methods))]


class Step(NamedTuple):
    """One thing that reached the operating system; `mark` is a note of the test between two of them."""

    kind: str
    """write, truncate, sync or mark."""
    name: str
    at: int = 0
    content: bytes = b""


class Disk:
    """What SQLite did to its files, and what the disk will answer."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.fault: int = OK
        self.faults_left = 0
        self.fault_on: tuple[str, ...] = ()
        self.calls_before_fault = 0
        self.failed: list[Step] = []

    def mark(self, note: str) -> None:
        self.steps.append(Step("mark", note))

    def fail(self, code: int, *on: str, after: int = 0, times: int = 10**9) -> None:
        """Answer `code` to the next calls of these kinds, once `after` of them have passed."""
        self.fault, self.fault_on, self.calls_before_fault, self.faults_left = code, on, after, times

    def heal(self) -> None:
        self.faults_left = 0

    def answer(self, step: Step) -> int:
        """OK if the call may go on; what passes is recorded."""
        if self.faults_left and step.kind in self.fault_on:
            if self.calls_before_fault == 0:
                self.faults_left -= 1
                self.failed.append(step)
                return self.fault
            self.calls_before_fault -= 1
        self.steps.append(step)
        return OK


@contextmanager
def watched_disk() -> Iterator[Disk]:
    """Every SQLite file that is opened inside, and closed inside, is watched."""
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None).contents
    disk = Disk()
    alive: list[Any] = []  # SQLite keeps pointers to these
    names: dict[int, str] = {}
    original_open = _Open(ctypes.cast(vfs.open, c_void_p).value)

    def opened(vfs_pointer: int, name: bytes | None, file: int, flags: int, out: int) -> int:
        code = int(original_open(vfs_pointer, name, file, flags, out))
        handle = ctypes.cast(file, POINTER(_File)).contents
        if code == OK and handle.methods and name is not None:
            names[file] = Path(name.decode()).name
            handle.methods = ctypes.pointer(_watching(handle.methods.contents, names, disk, alive))
        return code

    replacement = _Open(opened)
    vfs.open = replacement
    try:
        yield disk
    finally:
        vfs.open = original_open


def _watching(methods: _Methods, names: dict[int, str], disk: Disk, alive: list[Any]) -> _Methods:
    # A method table says by its version how long it is; all of it lies in static memory, so copying more is safe.
    copy = _Methods.from_buffer_copy(methods)
    write, truncate, sync = (
        kind(ctypes.cast(original, c_void_p).value)
        for kind, original in ((_Write, methods.write), (_Truncate, methods.truncate), (_Sync, methods.sync))
    )

    def on_write(file: int, content: int, size: int, at: int) -> int:
        code = disk.answer(Step("write", names[file], at, ctypes.string_at(content, size)))
        return code or int(write(file, content, size, at))

    def on_truncate(file: int, size: int) -> int:
        code = disk.answer(Step("truncate", names[file], size))
        return code or int(truncate(file, size))

    def on_sync(file: int, flags: int) -> int:
        code = disk.answer(Step("sync", names[file]))
        return code or int(sync(file, flags))

    copy.write, copy.truncate, copy.sync = _Write(on_write), _Truncate(on_truncate), _Sync(on_sync)
    alive.extend((copy, copy.write, copy.truncate, copy.sync, write, truncate, sync))
    return copy
