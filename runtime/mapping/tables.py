"""Lookup tables of a mapping: inline (`[tables.units]`), or a data file beside it (`file = "units.toml"` or `.csv`).

Cross-reference tables (SKU, customer, location) are the same thing: files of the region, also where a pack asks for them.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any

from runtime.mapping.faults import Spot

ENTRIES_MAX = 100_000
"""Of one table: a carrier's full code list is a few thousand."""

REGION = "region:"
"""Before the name of a file that lies beside entrepot.toml, not in the pack; alone: the region gives none."""
_FILE_KEYS = frozenset({"file", "key", "value"})

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
        file = str(content.get("file", "")) if set(content) <= _FILE_KEYS else ""
        if file == REGION:
            content = {}
        elif file.endswith((".toml", ".csv")):
            files[file] = _read(file, here.child("file"), read_text)
            content = _parse(file, files[file], content, here)
        tables[name] = _checked(content, here)
    return tables, files


def _read(file: str, spot: Spot, read_text: Read) -> str:
    name = file.removeprefix(REGION)
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name:
        beside = "the mapping" if name == file else "entrepot.toml"
        spot.fail(f"a table file lies beside {beside}: a relative name without ..")
    try:
        return read_text(file)
    except (OSError, UnicodeError, LookupError) as error:
        spot.fail(f"cannot read {name} ({type(error).__name__})")


def _parse(file: str, text: str, said: Mapping[str, Any], spot: Spot) -> Table:
    file = file.removeprefix(REGION)
    if file.endswith(".csv"):
        return _parse_csv(file, text, said, spot)
    if len(said) > 1:
        spot.fail("key and value name columns of a CSV file")
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        spot.fail(f"{file} is not TOML: {error}")


def _parse_csv(file: str, text: str, said: Mapping[str, Any], spot: Spot) -> Table:
    """A header line, then code and value, or the columns that the mapping names; `;` where the header has one."""
    lines = text.removeprefix("\ufeff").splitlines()
    delimiter = ";" if lines and ";" in lines[0] else ","
    table: Table = {}
    try:
        head = next(csv.reader(lines[:1], delimiter=delimiter, strict=True), [])
        key, value = (_column(file, head, said, name, at, spot) for at, name in enumerate(("key", "value")))
        for number, row in enumerate(csv.reader(lines[1:], delimiter=delimiter, strict=True), start=2):
            if not row:
                continue
            if len(row) <= max(key, value):
                wanted = f"{max(key, value) + 1} columns" if len(said) > 1 else f"code{delimiter}value"
                spot.fail(f"{file}, line {number}: expected {wanted}")
            if row[key] in table:
                spot.fail(f"{file}, line {number}: the code {row[key]} stands there twice")
            table[row[key]] = row[value]
    except csv.Error as error:
        spot.fail(f"{file} is not CSV: {error}")
    return table


def _column(file: str, head: list[str], said: Mapping[str, Any], name: str, usual: int, spot: Spot) -> int:
    if name not in said:
        return usual
    if said[name] not in head:
        spot.child(name).fail(f'{file} has no column "{said[name]}"', given=said[name], choices=head)
    return head.index(said[name])


def _checked(content: Mapping[str, Any], spot: Spot) -> Table:
    if len(content) > ENTRIES_MAX:
        spot.fail(f"a table has at most {ENTRIES_MAX} entries")
    for code, value in content.items():
        if isinstance(value, dict | list | time) or (isinstance(value, float) and value != value):
            spot.child(code).fail("expected one plain value (text, number, true, false or a date)")
        assert isinstance(value, str | int | float | bool | date)
    return dict(content)
