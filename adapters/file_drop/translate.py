"""Splits the lines of a file into messages. Pure: bytes in, messages out, and no line is ever dropped.

A line that cannot be read as the others is handed over raw with the reason, so it becomes a letter.
Its key is `<file sha256>#<line>`, 1-based over all lines of the file, so a retry repeats it exactly.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from adapters.file_drop.settings import Delimiter, Format, TextEncoding
from runtime.envelope import Message

RECORD_LINES_MAX = 100
"""A quoted CSV field may hold line breaks. Further than this, the opening quote is a mistake."""
BOM = b"\xef\xbb\xbf"
_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".tsv": "csv",
    ".txt": "csv",
    ".xml": "xml",
}
WHOLE: dict[Format, str] = {"json": "application/json", "xml": "application/xml"}
"""Formats of which one file is one message, and the content type that it gets."""
_DELIMITERS: tuple[Delimiter, ...] = (";", "\t", ",", "|")

_OPEN_QUOTE = "unexpected end of data"
"""How the csv module says that a quoted field has no end."""

_encode = msgspec.json.Encoder().encode


class CsvForm(Struct, frozen=True, kw_only=True):
    """How a CSV file is written."""

    delimiter: Delimiter
    encoding: TextEncoding
    header: bool


def format_of(name: str) -> Format | None:
    """The format that a file name promises; None when its ending says nothing."""
    _, dot, ending = name.lower().rpartition(".")
    return _FORMATS.get(dot + ending)


def delimiter_of(first_line: bytes) -> Delimiter:
    """What the first line has most of outside quotes; a semicolon when it has one column only."""
    outside = b"".join(first_line.split(b'"')[::2])
    return max(_DELIMITERS, key=lambda mark: outside.count(mark.encode()))


def split_ndjson(lines: Iterable[bytes], digest: str) -> Iterator[Message]:
    """One message per line that is not blank, exactly as it stands in the file."""
    for number, line in enumerate(lines, 1):
        body = line.rstrip(b"\r\n")
        if body and not body.isspace():
            yield Message(body=body, key=f"{digest}#{number}")


def split_csv(lines: Iterable[bytes], form: CsvForm, digest: str) -> Iterator[Message]:
    """One message per row: a compact JSON object of column and value, all values text."""
    names: list[str] | None = None
    header_due = form.header
    header_flaw: str | None = None
    for number, row, raw, flaw in _Rows(lines, form):
        if header_due:
            header_due = False
            if flaw is None:
                names = _columns(row)
                continue
            header_flaw = "the line with the column names could not be read"
        problem = flaw or header_flaw
        if problem is None and names is not None and len(row) != len(names):
            problem = f"the line has {len(row)} columns, the header {len(names)}"
        if problem is None:
            body = _encode(dict(zip(names or _numbered(len(row)), row, strict=True)))
        else:
            body = _encode({"_raw": raw, "_problem": problem})
        yield Message(body=body, key=f"{digest}#{number}")


class _Rows:
    """Rows of a CSV file as (line number, fields, raw text, problem). Looks ahead only inside open quotes."""

    def __init__(self, lines: Iterable[bytes], form: CsvForm) -> None:
        self._lines = iter(lines)
        self._form = form
        self._ahead: deque[bytes] = deque()
        self._width = 0
        """Columns of the first row; a row over several lines must have as many, or its quote was a mistake."""

    def __iter__(self) -> Iterator[tuple[int, list[str], str, str | None]]:
        number = 0
        while (line := self._next()) is not None:
            number += 1
            if number == 1 and self._form.encoding == "utf-8":
                line = line.removeprefix(BOM)
            if not line or line.isspace():
                continue
            text, problem = self._decode(line)
            row, raw, used, flaw = self._parse(text) if problem is None else ([], text, 1, problem)
            if flaw is None:
                self._width = self._width or len(row)
            yield number, row, raw, flaw
            number += used - 1

    def _next(self) -> bytes | None:
        line = self._ahead.popleft() if self._ahead else next(self._lines, None)
        return None if line is None else line.rstrip(b"\r\n")

    def _decode(self, line: bytes) -> tuple[str, str | None]:
        try:
            return line.decode(self._form.encoding), None
        except UnicodeDecodeError:
            return line.decode("latin-1"), "the line is not UTF-8 (shown as Latin-1)"

    def _parse(self, text: str) -> tuple[list[str], str, int, str | None]:
        """Fields, the text they come from, how many lines that is, and what is wrong."""
        delimiter = self._form.delimiter
        if '"' not in text:
            flaw = "a carriage return stands inside the line" if "\r" in text else None
            return text.split(delimiter), text, 1, flaw
        try:
            return next(csv.reader([text], delimiter=delimiter, strict=True)), text, 1, None
        except csv.Error as error:
            if _OPEN_QUOTE not in str(error):
                return [], text, 1, f"the quotes do not fit ({error})"
        return self._parse_on(text)

    def _parse_on(self, text: str) -> tuple[list[str], str, int, str | None]:
        """An open quote: try with the following lines, and give them back if that makes no sense."""
        taken: list[bytes] = []
        joined = text
        while len(taken) < RECORD_LINES_MAX and (line := self._next()) is not None:
            taken.append(line)
            more, flaw = self._decode(line)
            joined = f"{joined}\n{more}"
            if flaw is not None:
                break
            row = self._closed(joined) if '"' in more else None
            if row is None:
                continue
            if row and self._width in {0, len(row)}:
                return row, joined, 1 + len(taken), None
            break
        self._ahead.extendleft(reversed(taken))
        return [], text, 1, "a quote opens and is not closed where the row should end"

    def _closed(self, joined: str) -> list[str] | None:
        """The row if its quotes are closed; an empty one, which fits no header, if they can never be."""
        try:
            return next(csv.reader([joined], delimiter=self._form.delimiter, strict=True))
        except csv.Error as error:
            return None if _OPEN_QUOTE in str(error) else []


def _columns(row: list[str]) -> list[str]:
    """Column names, each once: empty ones get their number, repeated ones a count."""
    names: list[str] = []
    for number, cell in enumerate(row, 1):
        name = cell.strip() or f"c{number}"
        repeated, count = name, 1
        while name in names:
            count += 1
            name = f"{repeated}_{count}"
        names.append(name)
    return names


def _numbered(count: int) -> list[str]:
    return [f"c{number}" for number in range(1, count + 1)]
