"""Turns the rules of one rendering into functions that build plain values: objects, lists, texts, numbers.

A value is looked up, converted, and checked as the rule says; what is wrong is `Permanent` with the key of the rule,
and never repeats the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from msgspec import Struct

from runtime.errors import Permanent
from runtime.mapping.faults import Bad, Spot, kind_of
from runtime.mapping.tables import Table
from runtime.mapping.values import first
from runtime.rendering.converters import PLAIN, Change, by_form, instants, looked_up, looked_up_backwards, within
from runtime.rendering.converters import with_digits as digits_of
from runtime.rendering.converters import with_places as places_of
from runtime.rendering.getters import Get, expression_getter, path_getter
from runtime.rendering.template import Template

LEVELS_MAX = 6
"""Lists inside lists."""
ROWS_MAX = 10_000
"""Elements of one list, as in a mapping."""
ABSENT = object()
"""There is no value, so there is no key, column or element; None is JSON's null."""

SOURCES = ("path", "first", "const", "text", "value")
RULE_KEYS = (
    *SOURCES, "convert", "format", "zone", "places", "digits", "characters_max", "table", "reverse", "unknown", "default",
    "missing", "each", "where", "fields",
)  # fmt: skip
MISSING = ("omit", "letter", "null", "empty")
UNKNOWN = ("letter", "keep", "omit")

Compose = Callable[..., Any]
"""Called with the event and the elements around; gives a plain value or ABSENT. Raises `Permanent`."""


class Part(Struct, frozen=True):
    """One compiled rule."""

    compose: Compose
    shape: str
    """leaf, object or list: what the formats that cannot nest must know."""
    fixed: bool = False
    """Says the same whatever the event: alone it makes no object worth writing."""
    inner: Mapping[str, Part] = {}


class Frame(Struct, frozen=True):
    """What all rules of one rendering share."""

    title: str
    tables: Mapping[str, Table]
    zone: ZoneInfo | None


def compile_rule(tree: Any, spot: Spot, frame: Frame, depth: int = 0) -> Part:
    """A path, or a table of keys. Raises `ConfigError`."""
    if isinstance(tree, str):
        return _leaf({"path": tree}, spot, frame, depth)
    if not isinstance(tree, dict):
        spot.fail("expected a path or a rule; a fixed value is written { const = … }")
    known(tree, RULE_KEYS, spot)
    if "where" in tree and "each" not in tree:
        spot.child("where").fail("where filters the elements of each; there is no each")
    if "each" in tree:
        return _list(tree, spot, frame, depth)
    if "fields" in tree:
        return _object(tree, spot, frame, depth)
    return _leaf(tree, spot, frame, depth)


def compile_fields(tree: Any, spot: Spot, frame: Frame, depth: int = 0) -> dict[str, Part]:
    """Field → rule, in the order of the file. Raises `ConfigError`."""
    if not isinstance(tree, dict) or not tree:
        spot.fail("expected the fields, each with a path or a rule")
    return {name: compile_rule(rule, spot.child(name), frame, depth) for name, rule in tree.items()}


# ---------------------------------------------------------------- objects and lists


def _object(tree: dict[str, Any], spot: Spot, frame: Frame, depth: int) -> Part:
    for name in tree:
        if name != "fields":
            spot.child(name).fail("means nothing for an object; put it on one of its fields")
    members = compile_fields(tree["fields"], spot.child("fields"), frame, depth)
    telling = [name for name, part in members.items() if not part.fixed]

    def compose(*scopes: Any) -> Any:
        found = built(members, scopes)
        return found if not telling or any(name in found for name in telling) else ABSENT

    return Part(compose, "object", fixed=not telling, inner=members)


def built(members: Mapping[str, Part], scopes: tuple[Any, ...]) -> dict[str, Any]:
    """The fields that have a value."""
    found = {name: part.compose(*scopes) for name, part in members.items()}
    return {name: value for name, value in found.items() if value is not ABSENT}


def _list(tree: dict[str, Any], spot: Spot, frame: Frame, depth: int) -> Part:
    walk = elements(tree, spot, frame, depth)
    rest = {name: rule for name, rule in tree.items() if name not in ("each", "where")}
    if not rest:
        spot.fail("say what one element is: fields = { … }, or path for one value")
    inner = compile_rule(rest, spot, frame, depth + 1)

    def compose(*scopes: Any) -> Any:
        rows = walk(scopes)
        if rows is None:
            return ABSENT
        found = [inner.compose(*row) for row in rows]
        return [value for value in found if value is not ABSENT]

    return Part(compose, "list", inner=inner.inner)


def elements(
    tree: dict[str, Any], spot: Spot, frame: Frame, depth: int
) -> Callable[[tuple[Any, ...]], Iterator[tuple[Any, ...]] | None]:
    """`each` and `where` as a function: the scopes of each element, or None where there is no list."""
    if depth >= LEVELS_MAX:
        spot.child("each").fail(f"at most {LEVELS_MAX} lists inside lists")
    here, title = spot.child("each"), frame.title
    source = path_getter(tree["each"], depth, here)
    where = tree.get("where", "true")
    if not isinstance(where, str):
        spot.child("where").fail("expected an expression")
    keeps = expression_getter(where, depth + 1, frame.tables, spot.child("where"))

    def walk(scopes: tuple[Any, ...]) -> Iterator[tuple[Any, ...]] | None:
        rows = source(*scopes)
        if rows is None:
            return None
        if not isinstance(rows, list) or len(rows) > ROWS_MAX:
            problem = f"has more than {ROWS_MAX} elements" if isinstance(rows, list) else "is no list"
            raise Permanent(f"{here.key}: {kind_of(rows)} {problem} (rendering {title})")
        return ((*scopes, row) for row in rows if keeps(*scopes, row))

    return walk


# ---------------------------------------------------------------- one value


def _leaf(tree: dict[str, Any], spot: Spot, frame: Frame, depth: int) -> Part:
    source, fixed = _source(tree, spot, frame, depth)
    changes = _changes(tree, spot, frame)
    absent = _absence(tree, spot)
    title, key = frame.title, spot.key

    def compose(*scopes: Any) -> Any:
        try:
            value = source(*scopes)
            for change in changes:
                if value is None or value == "":
                    break
                value = change(value)
            if value is None or value == "":
                return absent()
            if isinstance(value, dict | list):
                raise Bad(f"is {kind_of(value)} instead of one value")
        except Bad as error:
            raise Permanent(f"{key}: {error} (rendering {title})") from None
        except (ArithmeticError, ValueError) as error:
            raise Permanent(f"{key}: cannot be written ({type(error).__name__}, rendering {title})") from None
        return value

    return Part(compose, "leaf", fixed=fixed)


def _source(tree: dict[str, Any], spot: Spot, frame: Frame, depth: int) -> tuple[Get, bool]:
    """Where the value comes from, and whether it is always the same."""
    given = [name for name in SOURCES if name in tree]
    if len(given) != 1:
        spot.fail(
            "expected one of path, first, const, text, value, each or fields"
            if not given
            else f"{given[0]} and {given[1]} exclude each other"
        )
    kind, here, content = given[0], spot.child(given[0]), tree[given[0]]
    if kind == "path":
        return path_getter(content, depth, here), False
    if kind == "first":
        if not isinstance(content, list) or not content:
            here.fail("expected a list of paths")
        getters = [path_getter(entry, depth, here.item(at)) for at, entry in enumerate(content)]
        return lambda *scopes: first(tuple(get(*scopes) for get in getters)), False
    if kind == "const":
        if isinstance(content, dict | list):
            here.fail("expected one plain value")
        value = content if isinstance(content, str | int | bool) else str(content)
        return lambda *_scopes: value, True
    if not isinstance(content, str):
        here.fail("expected a text")
    if kind == "value":
        return expression_getter(content, depth, frame.tables, here), False
    template = Template(content, here, depth=depth, tables=frame.tables)
    return template.fill, not template.holes


def _changes(tree: dict[str, Any], spot: Spot, frame: Frame) -> list[Change]:
    """Conversions in the order in which they are done: named ones, decimals, form of a time, table, width."""
    zone = read_zone(tree, spot) or frame.zone
    choices = {**PLAIN, **instants(zone)}
    changes: list[Change] = []
    given = tree.get("convert", [])
    for name in given if isinstance(given, list) else [given]:
        if name not in choices:
            spot.child("convert").fail(f'"{name}" is no converter on the way out', given=name, choices=choices)
        changes.append(choices[name])
    places = _number(tree, "places", spot, 0, 20)
    if places is not None:
        # Before the mark is changed, or the implied decimals are dropped.
        changes.insert(0, places_of(places))
    form = _text(tree, "format", spot)
    if form:
        changes.append(by_form(form, zone))
    if "table" in tree:
        changes.append(_table(tree, spot, frame))
    elif "reverse" in tree or "unknown" in tree:
        spot.fail("reverse and unknown say how a table is used; there is no table")
    for name, make in (("digits", digits_of), ("characters_max", within)):
        width = _number(tree, name, spot, 1, 10_000)
        if width is not None:
            changes.append(make(width))
    return changes


def _table(tree: dict[str, Any], spot: Spot, frame: Frame) -> Change:
    name = tree["table"]
    if not isinstance(name, str) or name not in frame.tables:
        spot.child("table").fail(f'there is no table "{name}"', given=name, choices=frame.tables)
    unknown = tree.get("unknown", "letter")
    if unknown not in UNKNOWN:
        spot.child("unknown").fail(f'"{unknown}" is not possible here', given=unknown, choices=UNKNOWN)
    reverse = tree.get("reverse", False)
    if not isinstance(reverse, bool):
        spot.child("reverse").fail("expected true or false")
    return (looked_up_backwards if reverse else looked_up)(frame.tables[name], name, unknown)


def _absence(tree: dict[str, Any], spot: Spot) -> Callable[[], Any]:
    """What stands there when there is no value. Raises `Bad` where that must be a letter."""
    if "default" in tree:
        if "missing" in tree:
            spot.child("missing").fail("missing and default exclude each other")
        if isinstance(tree["default"], dict | list):
            spot.child("default").fail("expected one plain value")
        default = tree["default"]
        return lambda: default
    missing = tree.get("missing", "omit")
    if missing not in MISSING:
        spot.child("missing").fail(f'"{missing}" is not possible here', given=missing, choices=MISSING)
    if missing == "letter":
        return _is_missing
    return {"omit": lambda: ABSENT, "null": lambda: None, "empty": lambda: ""}[missing]


def _is_missing() -> Any:
    raise Bad("has no value")


# ---------------------------------------------------------------- keys


def known(tree: Mapping[str, Any], names: tuple[str, ...], spot: Spot) -> None:
    """Raises `ConfigError` for a key that means nothing."""
    for name in tree:
        if name not in names:
            spot.child(name).fail("there is no such key", given=name, choices=names)


def read_zone(tree: Mapping[str, Any], spot: Spot) -> ZoneInfo | None:
    """`zone = "Europe/Berlin"`. Raises `ConfigError`."""
    name = _text(tree, "zone", spot)
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        spot.child("zone").fail(f'"{name}" is no time zone', given=name, choices=available_timezones())


def _text(tree: Mapping[str, Any], name: str, spot: Spot) -> str:
    value = tree.get(name, "")
    if not isinstance(value, str) or (name in tree and not value):
        spot.child(name).fail("expected a text")
    return value


def _number(tree: Mapping[str, Any], name: str, spot: Spot, low: int, high: int) -> int | None:
    value = tree.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        spot.child(name).fail(f"expected a whole number from {low} to {high}")
    return value
