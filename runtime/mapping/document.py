"""The text of a mapping as checked rules: every key known, every name resolved, every expression parsed.

Promises: what passes here can be compiled; what does not is one `ConfigError` sentence with the key path.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from msgspec import Struct

from runtime.canonical.registry import TYPES, CanonicalType
from runtime.mapping import instants
from runtime.mapping.converters import CONVERTERS
from runtime.mapping.decode import FORMATS
from runtime.mapping.faults import Spot
from runtime.mapping.options import fill_in
from runtime.mapping.paths import HEADER, BadPath, Path, parse_path
from runtime.mapping.tables import Read, Table, load_tables

TEXT_CHARACTERS_MAX = 1_000_000
OUTPUTS_MAX = 200
LEVELS_MAX = 6
"""Lists inside lists; keeps generated code within Python's limit of nested blocks (20)."""
CONVERTER_NAMES = frozenset({*CONVERTERS, "instant"})
HEADERS_MAX = 8
"""Of those that a source keeps with each fact; each costs disk in every row."""
TOP_KEYS = frozenset(
    {
        "mapping",
        "version",
        "format",
        "xml",
        "zone",
        "key",
        "headers",
        "tables",
        "outputs",
        "ignore",
        "unmatched",
        "description",
    }
)
OUTPUT_KEYS = frozenset(
    {"type", "messages", "when", "each", "where", "only_first", "partition_key", "once", "fields", "description"}
)
IGNORE_KEYS = frozenset({"messages", "when", "reason"})
MISSING = ("letter", "omit", "received")
UNKNOWN = ("letter", "omit", "keep")
UNMATCHED = ("letter", "ignore")
_SOURCES = ("path", "first", "join", "const", "jmespath")
FIELD_KEYS = frozenset(
    {
        *_SOURCES,
        "with",
        "convert",
        "format",
        "zone",
        "table",
        "default",
        "missing",
        "unknown",
        "each",
        "where",
        "fields",
    }
)


class Query(Struct, frozen=True):
    """A compiled jmespath expression, for odd shapes."""

    text: str
    compiled: Any


class FieldRule(Struct, frozen=True, kw_only=True):
    """How one field gets its value. At most one of paths, query and const is the source."""

    spot: Spot
    kind: str
    """path, first, join, const, jmespath, or none (an object gathered from several places)."""
    paths: tuple[Path, ...] = ()
    joined: tuple[int, ...] = ()
    """In `first`: how many of the paths make one value; a list inside the list is joined with a blank."""
    query: Query | None = None
    const: Any = None
    separator: str = " "
    convert: tuple[str, ...] = ()
    format: str | None = None
    zone: ZoneInfo | None = None
    table: str | None = None
    default: Any = None
    missing: str = ""
    unknown: str = ""
    each: tuple[Path | Query, ...] = ()
    where: str | None = None
    fields: dict[str, FieldRule] | None = None


class OutputRule(Struct, frozen=True, kw_only=True):
    """One `[[outputs]]`."""

    spot: Spot
    type: CanonicalType
    messages: frozenset[str]
    """Kinds of message that it is for; empty: all."""
    when: str | None
    each: tuple[Path | Query, ...]
    where: str | None
    only_first: bool
    """One event, for the first element that passes `where`: "if any of them …"."""
    partition_key: tuple[Path, ...]
    once: tuple[Path, ...] | None
    fields: dict[str, FieldRule]


class IgnoreRule(Struct, frozen=True, kw_only=True):
    """One `[[ignore]]`."""

    spot: Spot
    messages: frozenset[str]
    when: str
    reason: str


class Document(Struct, frozen=True, kw_only=True):
    """A whole mapping."""

    spot: Spot
    name: str
    version: str
    format: str
    xml: XmlRules
    zone: ZoneInfo | None
    key: tuple[Path, ...]
    headers: tuple[str, ...]
    unmatched: str
    tables: dict[str, Table]
    files: dict[str, str]
    ignores: list[IgnoreRule]
    outputs: list[OutputRule]


class XmlRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[xml]`: what the platform's XML means beyond the general rule."""

    keyed: dict[str, str] = {}
    """Element → the child that tells its repetitions apart; paths then go through its text: `dates.006.day`."""
    blank: list[str] = []
    """Texts that stand for "no value", such as `00000000`."""


def read_xml_rules(tree: Any, spot: Spot) -> XmlRules:
    """Raises `ConfigError`."""
    try:
        return msgspec.convert(tree, XmlRules)
    except msgspec.ValidationError as error:
        spot.fail(str(error))


class Frame(Struct, frozen=True, kw_only=True):
    """What a pack gives to each of its mappings; a mapping on its own has none of it."""

    headers: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    """Kinds of message that are given to this mapping."""
    options: Mapping[str, str | None] = {}
    """Values that stand for `${name}`; None: not set, so the rule that names it is left out."""


NO_FRAME = Frame()


def read_document(text: str, file: str, read_text: Read, frame: Frame = NO_FRAME) -> Document:
    """Parse and check. `read_text(name)` gives the text of a table file. Raises `ConfigError`."""
    spot = Spot(file)
    if len(text) > TEXT_CHARACTERS_MAX:
        spot.fail(f"a mapping has at most {TEXT_CHARACTERS_MAX} characters")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        spot.fail(f"not valid TOML: {error}")
    except RecursionError:
        spot.fail("not valid TOML: nested too deeply")
    spot = Spot(file, text=text)
    tree = fill_in(tree, frame.options, spot)
    _known(tree, TOP_KEYS, spot)
    tables, files = load_tables(tree.get("tables", {}), spot.child("tables"), read_text)
    outputs = _list_of_tables(tree, "outputs", spot)
    if len(outputs) > OUTPUTS_MAX:
        spot.child("outputs").fail(f"a mapping has at most {OUTPUTS_MAX} outputs")
    ignores = _list_of_tables(tree, "ignore", spot)
    if not outputs and not ignores:
        spot.child("outputs").fail("a mapping needs at least one [[outputs]]")
    name = _text(tree, "mapping", spot, required=True)
    version = tree.get("version")
    if not isinstance(version, int | str) or isinstance(version, bool) or not str(version).strip():
        spot.child("version").fail("expected a number or a text that you raise with each change")
    return Document(
        spot=spot,
        name=str(name),
        version=str(version),
        format=_choice(tree, "format", spot, FORMATS, "json"),
        xml=read_xml_rules(tree.get("xml", {}), spot.child("xml")),
        zone=_zone(tree, spot),
        key=read_paths(tree, "key", spot),
        headers=frame.headers + read_headers(tree, spot),
        unmatched=_choice(tree, "unmatched", spot, UNMATCHED, "letter"),
        tables=tables,
        files=files,
        ignores=[_ignore(entry, spot.child("ignore").item(at), frame) for at, entry in enumerate(ignores)],
        outputs=[_output(entry, spot.child("outputs").item(at), tables, frame) for at, entry in enumerate(outputs)],
    )


def read_headers(tree: dict[str, Any], spot: Spot) -> tuple[str, ...]:
    """`headers = [...]`: names in lower case. Raises `ConfigError`."""
    given, here = tree.get("headers", []), spot.child("headers")
    if not isinstance(given, list) or len(given) > HEADERS_MAX:
        here.fail(f"expected a list of at most {HEADERS_MAX} names of headers")
    return tuple(_path(HEADER + str(name), here.item(at)).header for at, name in enumerate(given))


def _messages(tree: dict[str, Any], spot: Spot, frame: Frame) -> frozenset[str]:
    given, here = tree.get("messages", []), spot.child("messages")
    if "messages" in tree and not frame.messages:
        here.fail("only a mapping of a pack tells messages apart by name; write when")
    if not isinstance(given, list) or ("messages" in tree and not given):
        here.fail("expected a list of messages of the pack")
    for at, name in enumerate(given):
        if name not in frame.messages:
            here.item(at).fail(f'no message "{name}" is given to this mapping', given=name, choices=frame.messages)
    return frozenset(given)


def _ignore(tree: dict[str, Any], spot: Spot, frame: Frame) -> IgnoreRule:
    _known(tree, IGNORE_KEYS, spot)
    when = _text(tree, "when", spot, required="messages" not in tree)
    reason = _text(tree, "reason", spot, required=True)
    return IgnoreRule(spot=spot, messages=_messages(tree, spot, frame), when=str(when or "true"), reason=str(reason))


def _output(tree: dict[str, Any], spot: Spot, tables: dict[str, Table], frame: Frame) -> OutputRule:
    _known(tree, OUTPUT_KEYS, spot)
    name = _text(tree, "type", spot, required=True)
    kind = TYPES.get(str(name))
    if kind is None:
        spot.child("type").fail(f'"{name}" is no canonical type', given=name, choices=TYPES)
    if "where" in tree and "each" not in tree:
        spot.child("where").fail("where filters the elements of each; for the whole message write when")
    return OutputRule(
        spot=spot,
        type=kind,
        messages=_messages(tree, spot, frame),
        when=_text(tree, "when", spot),
        each=_each(tree, spot),
        where=_text(tree, "where", spot),
        only_first=_only_first(tree, spot),
        partition_key=read_paths(tree, "partition_key", spot),
        once=read_paths(tree, "once", spot) if "once" in tree else None,
        fields=_fields(tree.get("fields"), spot.child("fields"), tables),
    )


def _only_first(tree: dict[str, Any], spot: Spot) -> bool:
    given = tree.get("only_first", False)
    if not isinstance(given, bool) or (given and not isinstance(tree.get("each"), str | dict)):
        spot.child("only_first").fail("expected true, beside an each over one list")
    return given


def _fields(tree: Any, spot: Spot, tables: dict[str, Table]) -> dict[str, FieldRule]:
    if not isinstance(tree, dict):
        spot.fail("expected the fields of the type, each with a path or a rule")
    return {name: _field(rule, spot.child(name), tables) for name, rule in tree.items()}


def _field(tree: Any, spot: Spot, tables: dict[str, Table]) -> FieldRule:
    if isinstance(tree, str):
        return FieldRule(spot=spot, kind="path", paths=(_path(tree, spot),))
    if not isinstance(tree, dict):
        spot.fail(f"expected a path or a rule; a fixed value is written {{ const = {_toml(tree)} }}")
    _known(tree, FIELD_KEYS, spot)
    given = [name for name in _SOURCES if name in tree]
    if len(given) > 1:
        spot.fail(f"{given[0]} and {given[1]} exclude each other")
    if not given and "fields" not in tree and "each" not in tree and tree.get("missing") != "received":
        spot.fail("expected one of path, first, join, const, jmespath, each or fields")
    kind = given[0] if given else "none"
    if "with" in tree and kind != "join":
        spot.child("with").fail("with says what stands between the values of join")
    if kind == "const" and isinstance(tree["const"], dict | list):
        spot.child("const").fail("expected one plain value; objects are written with fields")
    if "fields" in tree and kind not in ("path", "none"):
        spot.child(kind).fail("an object with fields takes path, each or nothing beside it")
    return FieldRule(
        spot=spot,
        kind=kind,
        paths=_source_paths(tree, kind, spot),
        joined=tuple(len(e) if isinstance(e, list) else 1 for e in tree["first"]) if kind == "first" else (),
        query=_query(tree["jmespath"], spot.child("jmespath")) if kind == "jmespath" else None,
        const=tree.get("const"),
        separator=_text(tree, "with", spot, blank=True) or ("" if "with" in tree else " "),
        convert=_converters(tree, spot),
        format=_format(tree, spot),
        zone=_zone(tree, spot),
        table=_table(tree, spot, tables),
        default=_default(tree, spot),
        missing=_choice(tree, "missing", spot, MISSING, ""),
        unknown=_choice(tree, "unknown", spot, UNKNOWN, ""),
        each=_each(tree, spot),
        where=_text(tree, "where", spot),
        fields=_fields(tree["fields"], spot.child("fields"), tables) if "fields" in tree else None,
    )


def _source_paths(tree: dict[str, Any], kind: str, spot: Spot) -> tuple[Path, ...]:
    if kind == "path":
        return (_path(tree["path"], spot.child("path")),)
    if kind in ("first", "join"):
        if not isinstance(tree[kind], list) or not tree[kind]:
            spot.child(kind).fail("expected a list of paths")
        entries = [(at, one) for at, entry in enumerate(tree[kind]) for one in _alternative(entry, kind)]
        return tuple(_path(entry, spot.child(kind).item(at)) for at, entry in entries)
    return ()


def _alternative(entry: Any, kind: str) -> list[Any]:
    """The paths of one entry: in `first` a list of paths is one value."""
    return entry if kind == "first" and isinstance(entry, list) and entry else [entry]


def _converters(tree: dict[str, Any], spot: Spot) -> tuple[str, ...]:
    names = tree.get("convert", [])
    for name in names if isinstance(names, list) else [names]:
        if not isinstance(name, str) or name not in CONVERTER_NAMES:
            spot.child("convert").fail(f'"{name}" is no converter', given=name, choices=CONVERTER_NAMES)
    chosen = tuple(names) if isinstance(names, list) else (names,)
    if "instant" in chosen[:-1]:
        spot.child("convert").fail("instant comes last")
    return chosen


def _format(tree: dict[str, Any], spot: Spot) -> str | None:
    form = _text(tree, "format", spot)
    problem = instants.format_problem(form) if form is not None else None
    if problem is not None:
        spot.child("format").fail(problem)
    return form


def _zone(tree: dict[str, Any], spot: Spot) -> ZoneInfo | None:
    name = _text(tree, "zone", spot)
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        spot.child("zone").fail(f'"{name}" is no time zone', given=name, choices=available_timezones())


def _table(tree: dict[str, Any], spot: Spot, tables: dict[str, Table]) -> str | None:
    name = _text(tree, "table", spot)
    if name is not None and name not in tables:
        spot.child("table").fail(f'there is no table "{name}"', given=name, choices=tables)
    return name


def _default(tree: dict[str, Any], spot: Spot) -> Any:
    if isinstance(tree.get("default"), dict | list):
        spot.child("default").fail("expected one plain value")
    if "default" in tree and "missing" in tree:
        spot.child("missing").fail("missing and default exclude each other")
    return tree.get("default")


def _each(tree: dict[str, Any], spot: Spot) -> tuple[Path | Query, ...]:
    if "each" not in tree:
        return ()
    given, here = tree["each"], spot.child("each")
    if isinstance(given, dict):
        _known(given, frozenset({"jmespath"}), here)
        return (_query(given.get("jmespath"), here.child("jmespath")),)
    if not isinstance(given, list):
        return (_path(given, here),)
    if not 1 <= len(given) <= LEVELS_MAX:
        here.fail(f"expected one path, or up to {LEVELS_MAX} for lists inside lists")
    return tuple(_path(entry, here.item(at)) for at, entry in enumerate(given))


def _query(given: Any, spot: Spot) -> Query:
    if not isinstance(given, str) or len(given) > 2000:
        spot.fail("expected a jmespath expression of at most 2000 characters")
    try:
        compiled = jmespath.compile(given)
    except (JMESPathError, RecursionError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        spot.fail("not a jmespath expression: " + (str(error) or type(error).__name__).splitlines()[0])
    for name in _functions(compiled.parsed):
        if name not in Functions.FUNCTION_TABLE:
            spot.fail(f'jmespath has no function "{name}"', given=name, choices=Functions.FUNCTION_TABLE)
    return Query(given, compiled)


def _functions(node: Any) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield str(node["value"])
    for child in node["children"]:
        if isinstance(child, dict) and "children" in child:
            yield from _functions(child)


def read_paths(tree: dict[str, Any], name: str, spot: Spot) -> tuple[Path, ...]:
    """One path or a list of them. Raises `ConfigError`."""
    given, here = tree.get(name, []), spot.child(name)
    if isinstance(given, str):
        return (_path(given, here),)
    if not isinstance(given, list) or (name in tree and not given):
        here.fail("expected a path or a list of paths")
    return tuple(_path(entry, here.item(at)) for at, entry in enumerate(given))


def _path(given: Any, spot: Spot) -> Path:
    if not isinstance(given, str):
        spot.fail('expected a path such as "order.no"')
    try:
        return parse_path(given)
    except BadPath as error:
        spot.fail(f'"{given[:100]}" is no path: {error}')


def _text(tree: dict[str, Any], name: str, spot: Spot, *, required: bool = False, blank: bool = False) -> str | None:
    value = tree.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not (blank or value.strip()):
        spot.child(name).fail("expected a text" if value is not None else "is missing")
    return value


def _choice(tree: dict[str, Any], name: str, spot: Spot, choices: tuple[str, ...], default: str) -> str:
    value = tree.get(name, default)
    if value != default and value not in choices:
        spot.child(name).fail(f"{_toml(value)} is not possible here", given=value, choices=choices)
    return str(value)


def _known(tree: dict[str, Any], names: frozenset[str], spot: Spot) -> None:
    for name in tree:
        if name not in names:
            spot.child(name).fail("there is no such key", given=name, choices=names)


def _list_of_tables(tree: dict[str, Any], name: str, spot: Spot) -> list[dict[str, Any]]:
    value = tree.get(name, [])
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        spot.child(name).fail(f"expected entries that are each headed [[{name}]]")
    return value


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
