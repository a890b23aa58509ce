"""Plain values as bytes: JSON, NDJSON, CSV (RFC 4180), XML 1.0 and forms. What a format cannot carry is `Permanent`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta, Struct

from runtime.errors import Permanent
from runtime.mapping.faults import Bad
from runtime.rendering.template import plain_text

FORMATS: Mapping[str, tuple[str, str]] = {
    "json": ("application/json", "json"),
    "ndjson": ("application/x-ndjson", "ndjson"),
    "csv": ("text/csv", "csv"),
    "xml": ("application/xml", "xml"),
    "form": ("application/x-www-form-urlencoded", "txt"),
}
"""Format → media type, ending of a file."""
Encoding = Literal["utf-8", "iso-8859-1", "iso-8859-15", "windows-1252"]
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,100}(?::[A-Za-z_][A-Za-z0-9_.-]{0,100})?")
"""An element or attribute of XML, with its prefix; the names of business documents are ASCII."""
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_json = msgspec.json.Encoder(decimal_format="number").encode


class CsvShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[csv]`: how the lines are written."""

    delimiter: Literal[",", ";", "\t", "|"] = ","
    header: bool = True
    """Whether the first line names the columns."""
    quote: Literal["needed", "all"] = "needed"
    line_end: Literal["crlf", "lf"] = "crlf"
    encoding: Encoding = "utf-8"
    bom: bool = False
    """A byte order mark, for spreadsheets that take UTF-8 for something else."""
    unencodable: Literal["letter", "replace"] = "letter"
    """A character that the encoding does not have: a letter, or a question mark."""


class XmlShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[xml]`: the element around everything."""

    root: Annotated[str, Meta(pattern=f"^{NAME.pattern}$")]
    encoding: Encoding = "utf-8"
    declaration: bool = True


def write_json(value: Any) -> bytes:
    """One document."""
    return _json(value)


def write_ndjson(rows: Sequence[Any]) -> bytes:
    """A line each."""
    return b"".join(_json(row) + b"\n" for row in rows)


def write_form(value: Mapping[str, Any]) -> bytes:
    """`a=1&b=x`; a list gives its key several times."""
    pairs = [(name, one) for name, found in value.items() for one in (found if isinstance(found, list) else [found])]
    return urlencode([(name, _cell(one)) for name, one in pairs]).encode()


# ---------------------------------------------------------------- CSV


def write_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], shape: CsvShape) -> bytes:
    """The lines; a missing value is an empty field. Raises `Permanent` for what the encoding does not have."""
    return csv_head(columns, shape) + csv_lines(rows, columns, shape)


def csv_head(columns: Sequence[str], shape: CsvShape) -> bytes:
    """What stands before the first row."""
    mark = "\ufeff" if shape.bom and shape.encoding == "utf-8" else ""
    return _encoded(mark + (_line(columns, shape) if shape.header else ""), shape)


def csv_lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], shape: CsvShape) -> bytes:
    """The rows alone."""
    return _encoded("".join(_line([_cell(row.get(name)) for name in columns], shape) for row in rows), shape)


def _line(cells: Sequence[str], shape: CsvShape) -> str:
    special = {'"', "\r", "\n", shape.delimiter}
    quoted = [_quoted(cell) if shape.quote == "all" or special & set(cell) else cell for cell in cells]
    # A line of one empty field would be an empty line, which readers skip.
    text = shape.delimiter.join(quoted) or '""'
    return text + ("\r\n" if shape.line_end == "crlf" else "\n")


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _cell(value: Any) -> str:
    return "" if value is None or value == "" else plain_text(value)


def _encoded(text: str, shape: CsvShape) -> bytes:
    try:
        return text.encode(shape.encoding, "strict" if shape.unencodable == "letter" else "replace")
    except UnicodeEncodeError as error:
        column = text.count(shape.delimiter, text.rfind("\n", 0, error.start) + 1, error.start) + 1
        raise Permanent(
            f"a value (about column {column}) holds a character that {shape.encoding} does not have",
            hint='write UTF-8, or let it be replaced: unencodable = "replace"',
        ) from None


# ---------------------------------------------------------------- XML


def write_xml(value: Mapping[str, Any], shape: XmlShape) -> bytes:
    """One document: `@name` is an attribute, `#text` the text, a list the same element several times. Raises `Permanent`."""
    head = f'<?xml version="1.0" encoding="{shape.encoding.upper()}"?>\n' if shape.declaration else ""
    parts = [head]
    try:
        _element(shape.root, value, parts)
    except Bad as error:
        raise Permanent(str(error)) from None
    return "".join([*parts, "\n"]).encode(shape.encoding, "xmlcharrefreplace")


def _element(name: str, value: Any, parts: list[str]) -> None:
    if isinstance(value, list):
        for one in value:
            _element(name, one, parts)
        return
    if not isinstance(value, dict):
        text = _cell(value)
        parts.append(f"<{name}>{_escaped(text, name)}</{name}>" if text else f"<{name}/>")
        return
    attributes = [
        f' {key[1:]}="{_escaped_attribute(_cell(one), name)}"' for key, one in value.items() if key.startswith("@")
    ]
    children = [(key, one) for key, one in value.items() if not key.startswith("@")]
    parts.append(f"<{name}{''.join(attributes)}" + (">" if children else "/>"))
    for key, one in children:
        if key == "#text":
            parts.append(_escaped(_cell(one), name))
        else:
            _element(key, one, parts)
    if children:
        parts.append(f"</{name}>")


def _escaped(text: str, name: str) -> str:
    if _NOT_XML.search(text):
        raise Bad(f"the element {name} would hold a character that XML cannot carry")
    # A carriage return as such would come back as a line feed (XML 1.0, section 2.11).
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _escaped_attribute(text: str, name: str) -> str:
    escaped = _escaped(text, name).replace('"', "&quot;")
    return escaped.replace("\n", "&#10;").replace("\t", "&#9;")
