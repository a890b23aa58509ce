"""Writes straight Python source for one mapping: lines, constants by name, and paths as local variables.

Nothing from a mapping becomes source text except as `repr` of a text or number, or as the name of a constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from runtime.mapping.document import Query
from runtime.mapping.faults import Spot
from runtime.mapping.paths import HEADER, Path, Segment
from runtime.mapping.tables import Table


class Slot(Struct, frozen=True):
    """Stands in a position for the index of a loop, known when the message is translated."""

    number: int


class Site(Struct, frozen=True):
    """A place where a value can be wrong: where it lies in the message, and which rule reads it."""

    position: tuple[Segment | Slot, ...]
    label: str
    key: str


class Scope:
    """What paths start from: the message, an element of a list, or an object inside one of them."""

    def __init__(
        self, raw: str, table: str, position: tuple[Segment | Slot, ...], read: tuple[Segment, ...], outer: Scope | None
    ) -> None:
        self.raw = raw
        """Variable of the value as it came."""
        self.table = table
        """Variable that is surely a dict."""
        self.position = position
        self.read = read
        self.outer = outer
        self.known: dict[tuple[Segment, ...], str] = {}
        """Objects on the way that have a variable already, valid in the block that is being written."""

    def enclosing(self, path: Path, spot: Spot) -> Scope:
        """The scope that a path starts from. Raises `ConfigError` for one `^` too many."""
        scope = self
        for _ in range(path.up):
            if scope.outer is None:
                spot.fail("^ leads out of the message")
            scope = scope.outer
        while path.root and scope.outer is not None:
            scope = scope.outer
        return scope


class Code:
    """The source under construction."""

    def __init__(self, headers: tuple[str, ...] = (), tables: Mapping[str, Table] | None = None) -> None:
        self.headers = headers
        self.tables = tables or {}
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self.sites: list[Site] = []
        self.reads: set[tuple[Segment, ...]] = set()
        self.readers: dict[tuple[Segment, ...], set[str]] = {}
        """Path → keys of the rules that read it."""
        self.slots = 0
        self._indent = 2
        self._names = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self._indent + text)

    @contextmanager
    def block(self, head: str, scope: Scope | None = None) -> Iterator[None]:
        """An indented block; variables that `scope` and those around it get inside are forgotten after it."""
        self.line(head)
        self._indent += 1
        before: list[tuple[Scope, dict[tuple[Segment, ...], str]]] = []
        while scope is not None:
            before.append((scope, dict(scope.known)))
            scope = scope.outer
        yield
        self._indent -= 1
        for kept, known in before:
            kept.known = known

    def name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def constant(self, value: Any) -> str:
        """A name, or the literal itself where it is one."""
        if value is None or value.__class__ in (bool, int, str):
            return repr(value)
        name = self.name("C")
        self.constants[name] = value
        return name

    def slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    def site(self, position: tuple[Segment | Slot, ...], label: str, spot: Spot) -> int:
        self.sites.append(Site(position, label, spot.key))
        return len(self.sites) - 1

    # ------------------------------------------------------------ paths

    def value(self, scope: Scope, path: Path, spot: Spot) -> tuple[str, str]:
        """(expression of the value or None, variable of the object that holds it)."""
        if path.header:
            if path.header not in self.headers:
                spot.fail("the header is not among headers = […]", given=path.header, choices=self.headers)
            return f"h.get({path.header!r})", "NOTHING"
        start = scope.enclosing(path, spot)
        self._note(start.read + path.segments, spot)
        return self._raw(start, path.segments)

    def position(self, scope: Scope, path: Path, spot: Spot) -> tuple[Segment | Slot, ...]:
        if path.header:
            return (HEADER + path.header,)
        return scope.enclosing(path, spot).position + path.segments

    def _raw(self, scope: Scope, segments: tuple[Segment, ...]) -> tuple[str, str]:
        if not segments:
            return scope.raw, "NOTHING"
        last = segments[-1]
        if isinstance(last, int):
            whole, parent = self._raw(scope, segments[:-1])
            there = f"{{0}}[{last}] if len({{0}}) > {last} else None" if last >= 0 else f"item({{0}}, {last})"
            name = self.name("w")
            listed = there.format(name)
            return f"(({listed}) if ({name} := {whole}).__class__ is list else item({name}, {last}))", parent
        table = self._table(scope, segments[:-1])
        return f"{table}.get({last!r})", table

    def _table(self, scope: Scope, segments: tuple[Segment, ...]) -> str:
        if not segments:
            return scope.table
        if segments not in scope.known:
            raw, parent = self._raw(scope, segments)
            name = self.name("p")
            self.line(f"{name} = {raw}")
            self.line(f"if {name}.__class__ is not dict:")
            self.line(f"    {name} = NOTHING if {name} is None and {parent} is not WRONG else WRONG")
            scope.known[segments] = name
        return scope.known[segments]

    def read_query(self, scope: Scope, query: Query, spot: Spot) -> None:
        """Notes what a jmespath expression reads: whole branches, from the first keys that it names."""
        for start in _starts(query.compiled.parsed):
            self._note(scope.read + start, spot)

    def _note(self, path: tuple[Segment, ...], spot: Spot) -> None:
        self.reads.add(path)
        self.readers.setdefault(path, set()).add(spot.key)


def _starts(node: dict[str, Any]) -> Iterator[tuple[Segment, ...]]:
    kind = node["type"]
    if kind == "field":
        yield (node["value"],)
    elif kind in ("literal", "current", "identity"):
        if kind != "literal":
            yield ()
    elif kind in (
        "subexpression",
        "index_expression",
        "projection",
        "value_projection",
        "flatten",
        "filter_projection",
        "pipe",
    ):
        yield from _starts(node["children"][0])
    else:
        for child in node["children"]:
            yield from _starts(child)
