"""Lookup tables of a mapping: inline (`[tables.units]`), or a data file beside it (`file = "units.toml"` or `.csv`)."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any

from runtime.mapping.faults import Spot

ENTRIES_MAX = 100_000
"""Of one table: a carrier's full code list is a few thousand."""

Table = dict[str, Any]
Read = Callable[[str], str]


def load_tables(tree: Any, spot: Spot, read_text: Read) -> tuple[dict[str, Table], dict[str, str]]:
    """All tables by name, and the texts of the files that were read. Raises `ConfigError`."""
    if not isinstance(tree, dict):
        spot.fail("expected tables, written [tables.NAME]")
    tables: dict[str, Table] = {}
    files: dict[str, str] = {}
    for name, content in tree.items():
        here = spot.child(name)
        if not isinstance(content, dict):
            here.fail('expected a table of code = "value" lines')
        if set(content) == {"file"} and str(content["file"]).endswith((".toml", ".csv")):
            file = str(content["file"])
            files[file] = _read(file, here.child("file"), read_text)
            content = _parse(file, files[file], here)
        tables[name] = _checked(content, here)
    return tables, files


def _read(file: str, spot: Spot, read_text: Read) -> str:
    if file.startswith("/") or ".." in file.split("/") or "\\" in file or "\0" in file:
        spot.fail("a table file lies beside the mapping: a relative name without ..")
    try:
        return read_text(file)
    except (OSError, UnicodeError, LookupError) as error:
        spot.fail(f"cannot read {file} ({type(error).__name__})")


def _parse(file: str, text: str, spot: Spot) -> Table:
    if file.endswith(".csv"):
        return _parse_csv(file, text, spot)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        spot.fail(f"{file} is not TOML: {error}")


def _parse_csv(file: str, text: str, spot: Spot) -> Table:
    """A header line, then code and value; `;` where the header has one."""
    lines = text.removeprefix("\ufeff").splitlines()
    delimiter = ";" if lines and ";" in lines[0] else ","
    table: Table = {}
    try:
        for number, row in enumerate(csv.reader(lines[1:], delimiter=delimiter, strict=True), start=2):
            if not row:
                continue
            if len(row) < 2:
                spot.fail(f"{file}, line {number}: expected code{delimiter}value")
            if row[0] in table:
                spot.fail(f"{file}, line {number}: the code {row[0]} stands there twice")
            table[row[0]] = row[1]
    except csv.Error as error:
        spot.fail(f"{file} is not CSV: {error}")
    return table


def _checked(content: Mapping[str, Any], spot: Spot) -> Table:
    if len(content) > ENTRIES_MAX:
        spot.fail(f"a table has at most {ENTRIES_MAX} entries")
    for code, value in content.items():
        if isinstance(value, dict | list | time) or (isinstance(value, float) and value != value):
            spot.child(code).fail("expected one plain value (text, number, true, false or a date)")
        assert isinstance(value, str | int | float | bool | date)
    return dict(content)
