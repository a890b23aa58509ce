"""Stands between SQLite and its files: records every write and flush, or answers in the disk's place. No compiler needed.

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
from typing import Any, NamedTuple, TypeVar

OK = 0

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
    """One thing that reached the operating system; `mark` is a note between two of them."""

    kind: str
    """write, truncate, sync or mark."""
    name: str
    at: int = 0
    content: bytes = b""


class Recorder:
    """Sees every write, truncation and flush before the disk does."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def mark(self, note: str) -> None:
        """Note that something was told to the world."""
        self.steps.append(Step("mark", note))

    def answer(self, step: Step) -> int:
        """OK if the call may go on to the disk, or the error that SQLite hears instead."""
        self.steps.append(step)
        return OK


R = TypeVar("R", bound=Recorder)


@contextmanager
def watched(disk: R) -> Iterator[R]:
    """Every SQLite file that is opened inside, and closed inside, is watched. Raises `AttributeError`, `OSError` where
    SQLite's own functions cannot be reached.
    """
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None).contents
    alive: list[Any] = []  # SQLite keeps pointers to these
    names: dict[int, str] = {}
    original_open = _Open(_address(vfs.open))

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


def _watching(methods: _Methods, names: dict[int, str], disk: Recorder, alive: list[Any]) -> _Methods:
    # A method table says by its version how long it is; all of it lies in static memory, so copying more is safe.
    copy = _Methods.from_buffer_copy(methods)
    write, truncate, sync = (
        kind(_address(original))
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


def _address(function: Any) -> int:
    found = ctypes.cast(function, c_void_p).value
    assert found is not None, "SQLite's own methods are never missing"
    return found
