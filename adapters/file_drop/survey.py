"""One pass over a file before anything of it is handed over: its digest, its encoding, and whether it can be read.

Blocking; call it in a worker thread. Memory is bounded whatever the file's size.
"""

from __future__ import annotations

import codecs
import os
import stat
from hashlib import sha256

from msgspec import Struct

from adapters.file_drop.settings import FileDropSettings, Format, TextEncoding
from adapters.file_drop.translate import WHOLE, format_of
from adapters.sdk.drops import sighting
from runtime.errors import Permanent, Retryable

_CHUNK_BYTES = 1024 * 1024
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Survey(Struct, frozen=True, kw_only=True):
    """What a complete file turned out to be."""

    digest: str
    size: int
    format: Format
    encoding: TextEncoding
    first_line: bytes


def survey(fd: int, name: str, settings: FileDropSettings) -> Survey:
    """Read the file from its start once.

    Raises `Permanent` when it cannot be read as such at all, `Retryable` when somebody still writes it.
    """
    before = os.fstat(fd)
    if not stat.S_ISREG(before.st_mode):
        raise Permanent("it is not a regular file")
    if before.st_size > settings.file_bytes_max:
        raise Permanent(
            f"it has {before.st_size} bytes, more than file_bytes_max ({settings.file_bytes_max})",
            hint="split the file or raise file_bytes_max",
        )
    form = format_of(name) if settings.format == "auto" else settings.format
    if form is None:
        raise Permanent(
            "its name says nothing about the format",
            hint='set format to "csv", "json", "ndjson" or "xml" for this source',
        )
    scan = _Scan()
    for start in range(0, before.st_size, _CHUNK_BYTES):
        scan.feed(os.pread(fd, _CHUNK_BYTES, start))
    if sighting(os.fstat(fd)) != sighting(before):
        raise Retryable("it changed while it was being read")
    scan.check(form, settings.message_bytes_max, before.st_size)
    return Survey(
        digest=scan.digest.hexdigest(),
        size=before.st_size,
        format=form,
        encoding=scan.encoding if settings.encoding == "auto" else settings.encoding,
        first_line=bytes(scan.first_line),
    )


class _Scan:
    """What one pass finds out."""

    def __init__(self) -> None:
        self.digest = sha256()
        self.first_line = bytearray()
        self.encoding: TextEncoding = "utf-8"
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._first_open = True
        self._line_bytes = 0
        self._longest = 0
        self._binary = False

    def feed(self, chunk: bytes) -> None:
        """Take the next part of the file."""
        self.digest.update(chunk)
        self._binary = self._binary or b"\0" in chunk
        if self.encoding == "utf-8":
            try:
                self._decoder.decode(chunk)
            except UnicodeDecodeError:
                self.encoding = "latin-1"
        if self._first_open:
            line, newline, _ = chunk.partition(b"\n")
            self.first_line += line[: _CHUNK_BYTES - len(self.first_line)]
            self._first_open = not newline
        head, *others = chunk.split(b"\n")
        self._longest = max(self._longest, self._line_bytes + len(head), *map(len, others), 0)
        self._line_bytes = len(others[-1]) if others else self._line_bytes + len(head)

    def check(self, form: Format, message_bytes_max: int, size: int) -> None:
        """Raises `Permanent`."""
        if self._decoder.getstate()[0]:
            self.encoding = "latin-1"  # it ends inside a UTF-8 sequence
        if form != "xml":  # which says its own encoding, and is looked at when it is translated
            self._check_text()
        whole = form in WHOLE
        longest = size if whole else self._longest
        if longest > message_bytes_max:
            what = "it" if whole else "one of its lines"
            raise Permanent(
                f"{what} has {longest} bytes, more than message_bytes_max ({message_bytes_max})",
                hint="split it or raise message_bytes_max",
            )

    def _check_text(self) -> None:
        if self.first_line.startswith(_UTF16):
            raise Permanent("it is UTF-16", hint="save it as UTF-8")
        if self._binary:
            raise Permanent("it has NUL bytes, so it is no text file", hint="check what was dropped here")
