"""The idempotency key that a message brings along: read at intake, so only the key itself is decoded."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from runtime.errors import Untranslatable
from runtime.mapping.decode import ANY, JSON, Form, decode, format_of
from runtime.mapping.document import OutputRule
from runtime.mapping.faults import Bad
from runtime.mapping.paths import Path
from runtime.mapping.values import bounded_key, item, join_key, key_text
from runtime.ports import NO_HEADERS

Tree = dict[str, Any]
"""Keys of one object; None stands for a value, a Tree for an object on the way."""


class Reader(Protocol):
    """Never raises on foreign data."""

    def __call__(self, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None: ...


def key_reader(paths: tuple[Path, ...], form: Form = ANY) -> Reader:
    """A function of body, content type and headers that never raises on foreign data; values are joined by `|`."""
    if all(path.header for path in paths):
        return _header_reader(paths)
    as_json = form.format not in ("xml", "jws")
    quick = _quick_decoder(paths) if as_json and not any(path.header for path in paths) else None

    def read(body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None:
        try:
            plain = content_type == JSON or ("charset" not in content_type and format_of(content_type, form) == "json")
            if quick is None or not plain or body[:3] == codecs.BOM_UTF8:
                message = decode(body, content_type, form)
                found = [headers.get(p.header) if p.header else walk(message, p) for p in paths]
            else:
                found = quick(body)
            return bounded_key(key_text(found[0])) if len(found) == 1 else join_key(tuple(map(key_text, found)))
        except (Untranslatable, Bad, msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
            return None

    return read


def _header_reader(paths: tuple[Path, ...]) -> Reader:
    """A body of any kind will do: nothing of it is read."""

    def read(body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None:
        found = [headers.get(path.header) for path in paths]
        if not all(found):
            return None
        return bounded_key(str(found[0])) if len(found) == 1 else join_key(tuple(found))

    return read


def plain_key(output: OutputRule) -> tuple[Path, ...]:
    """Where an output's partition key stands in the message; empty if it is converted or taken from list elements."""
    paths = output.partition_key
    if not paths:
        rule = output.fields[output.type.key_field]
        paths = rule.paths if rule.kind == "path" and not (rule.convert or rule.table or rule.format) else ()
    outside = all(path.root if output.each else not path.up for path in paths)
    return paths if outside else ()


def walk(value: Any, path: Path) -> Any:
    """What stands at a path of a decoded message, or None."""
    for part in path.segments:
        by_name = isinstance(part, str) and isinstance(value, dict)
        value = value.get(part) if by_name else item(value, part) if isinstance(part, int) else None
    return value


def _quick_decoder(paths: tuple[Path, ...]) -> Callable[[bytes], list[Any]] | None:
    """A decoder that skips all but the keys; None for paths through lists, or through one another."""
    tree: Tree = {}
    for path in paths:
        level = tree
        for part in path.segments[:-1]:
            inner = level.setdefault(str(part), {})
            if isinstance(part, int) or inner is None:
                return None
            level = inner
        if not path.segments or isinstance(path.segments[-1], int) or level.get(path.segments[-1]) is not None:
            return None
        level[path.segments[-1]] = None
    decode = msgspec.json.Decoder(_struct(tree), float_hook=Decimal).decode
    routes = [[f"f{index}" for index in _indexes(tree, path)] for path in paths]

    def read(body: bytes) -> list[Any]:
        message, found = decode(body), []
        for route in routes:
            value = message
            for name in route:
                value = getattr(value, name, None)
            found.append(value)
        return found

    return read


def _struct(tree: Tree) -> Any:
    fields = [
        (f"f{index}", Any if inner is None else _struct(inner) | None, None)
        for index, inner in enumerate(tree.values())
    ]
    return msgspec.defstruct("Keys", fields, rename={f"f{index}": name for index, name in enumerate(tree)})


def _indexes(tree: Tree, path: Path) -> list[int]:
    found: list[int] = []
    for part in path.segments:
        found.append(list(tree).index(str(part)))
        tree = tree[str(part)] or {}
    return found
