"""A whole rendering: its text is checked once, then it writes events as bytes. Immutable; same event, same bytes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from runtime.errors import Permanent
from runtime.mapping.faults import Bad, Spot
from runtime.mapping.tables import Read, load_tables
from runtime.rendering import shapes
from runtime.rendering.compose import Frame, Part, built, compile_fields, elements, known, read_zone

TEXT_CHARACTERS_MAX = 1_000_000
BYTES_MAX = 16 * 1024 * 1024
"""Of what one event becomes."""
TOP_KEYS = (
    "rendering", "version", "format", "zone", "tables", "each", "where", "fields", "csv", "xml", "description",
)  # fmt: skip
_FLAT = frozenset({"csv", "form"})
_ROWS = frozenset({"csv", "ndjson", "json"})


class Rendering(Struct, frozen=True, kw_only=True):
    """What `load` gives."""

    name: str
    version: str
    """Names the exact rules: `acme-orders 2 (1f2e3d4c)`."""
    format: str
    content_type: str
    ending: str
    """Of a file's name."""
    columns: tuple[str, ...]
    rows: bool
    """Whether one event becomes a list."""
    csv: shapes.CsvShape
    xml: shapes.XmlShape | None
    values: Callable[[Mapping[str, Any]], list[Any]]

    def render(self, tree: Mapping[str, Any]) -> bytes:
        """The bytes of one event; see `event_tree`. Raises `Permanent`."""
        return self.write(self.values(tree))

    def write(self, values: Sequence[Any]) -> bytes:
        """Rows, perhaps of several events, in the format. Raises `Permanent`."""
        try:
            found = self._write(values)
        except (Bad, msgspec.MsgspecError, UnicodeError, OverflowError) as error:
            raise Permanent(f"the rendering {self.version} cannot be written: {type(error).__name__}") from None
        if len(found) > BYTES_MAX:
            raise Permanent(f"the rendering {self.version} gives more than {BYTES_MAX} bytes")
        return found

    def lines(self, tree: Mapping[str, Any]) -> bytes:
        """The rows of one event, to stand behind those of others; `write([])` is what stands before all. Raises `Permanent`."""
        assert self.joins
        found = self.write(self.values(tree))
        return found.removeprefix(self.write([]))

    def _write(self, values: Sequence[Any]) -> bytes:
        if self.format == "csv":
            return shapes.write_csv(values, self.columns, self.csv)
        if self.format == "ndjson":
            return shapes.write_ndjson(values)
        if self.format == "xml":
            assert self.xml is not None
            return shapes.write_xml(values[0], self.xml)
        if self.format == "form":
            return shapes.write_form(values[0])
        return shapes.write_json(values if self.rows else values[0])

    @property
    def joins(self) -> bool:
        """Whether several events can stand in one document."""
        return self.format in ("csv", "ndjson")


def load(text: str, file: str, read_text: Read) -> Rendering:
    """Compile. `file` is its name in messages; `read_text(name)` gives the text of a table file beside it.

    Raises `ConfigError`: one sentence with the file, the key, what is wrong and the nearest choice.
    """
    tree, spot = _parse(text, file)
    form = tree.get("format", "json")
    if form not in shapes.FORMATS:
        spot.child("format").fail(f'"{form}" is not possible here', given=form, choices=shapes.FORMATS)
    name = tree.get("rendering")
    if not isinstance(name, str) or not name.strip():
        spot.child("rendering").fail("is missing: a name for these rules")
    tables, files = load_tables(tree.get("tables", {}), spot.child("tables"), read_text)
    version = _version(name, tree, text, files, spot)
    frame = Frame(version, tables, read_zone(tree, spot))
    rows = "each" in tree
    if "where" in tree and not rows:
        spot.child("where").fail("where filters the elements of each; there is no each")
    if rows and form not in _ROWS:
        spot.child("each").fail(f"{form} is one document; lists stand in its fields")
    fields = compile_fields(tree.get("fields"), spot.child("fields"), frame, 1 if rows else 0)
    media, ending = shapes.FORMATS[form]
    csv = _shape(tree, "csv", shapes.CsvShape, form, spot)
    xml = _shape(tree, "xml", shapes.XmlShape, form, spot)
    _check_flat(form, fields, spot.child("fields"))
    if xml is not None:
        _check_xml(xml.root, fields, spot)
    charset = csv.encoding if csv is not None else xml.encoding if xml is not None else ""
    return Rendering(
        name=name,
        version=version,
        format=form,
        content_type=f"{media}; charset={charset}" if charset else media,
        ending=ending,
        columns=tuple(fields),
        rows=rows,
        csv=csv or shapes.CsvShape(),
        xml=xml,
        values=_values(tree, fields, spot, frame),
    )


def _parse(text: str, file: str) -> tuple[dict[str, Any], Spot]:
    spot = Spot(file)
    if len(text) > TEXT_CHARACTERS_MAX:
        spot.fail(f"a rendering has at most {TEXT_CHARACTERS_MAX} characters")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        spot.fail(f"not valid TOML: {error}")
    except RecursionError:
        spot.fail("not valid TOML: nested too deeply")
    spot = Spot(file, text=text)
    known(tree, TOP_KEYS, spot)
    return tree, spot


def _version(name: str, tree: Mapping[str, Any], text: str, files: Mapping[str, str], spot: Spot) -> str:
    given = tree.get("version")
    if not isinstance(given, int | str) or isinstance(given, bool) or not str(given).strip():
        spot.child("version").fail("expected a number or a text that you raise with each change")
    digest = sha256(text.encode())
    for file in sorted(files):
        digest.update(f"\0{file}\0{files[file]}".encode())
    return f"{name} {given} ({digest.hexdigest()[:8]})"


def _shape(tree: Mapping[str, Any], name: str, kind: type[Any], form: str, spot: Spot) -> Any:
    """`[csv]` or `[xml]`; None where the format is another one."""
    if form != name:
        if name in tree:
            spot.child(name).fail(f'means nothing with format = "{form}"')
        return None
    try:
        return msgspec.convert(tree.get(name, {}), kind)
    except msgspec.ValidationError as error:
        spot.child(name).fail(str(error))


def _check_flat(form: str, fields: Mapping[str, Part], spot: Spot) -> None:
    """Lines and forms have one value a field; a form may repeat a field."""
    for name, part in fields.items() if form in _FLAT else ():
        if part.shape != "leaf" and not (form == "form" and part.shape == "list" and not part.inner):
            spot.child(name).fail(f"{form} is flat: each field takes one value")


def _check_xml(root: str, fields: Mapping[str, Part], spot: Spot) -> None:
    declared: set[str] = {"xml"}
    used: dict[str, Spot] = {}
    _check_names({root: Part(built, "object", inner=fields)}, spot.child("fields"), declared, used)
    for prefix, place in used.items():
        if prefix not in declared:
            place.fail(f'the prefix {prefix} is not declared: "@xmlns:{prefix}" = {{ const = "urn:…" }}')


def _check_names(fields: Mapping[str, Part], spot: Spot, declared: set[str], used: dict[str, Spot]) -> None:
    for name, part in fields.items():
        here = spot.child(name)
        bare = name.removeprefix("@")
        if name != "#text" and not shapes.NAME.fullmatch(bare):
            here.fail("is no name of an element or, with @ before it, of an attribute")
        if part.shape != "leaf" and name[0] in "@#":
            here.fail("takes one value")
        prefix, colon, local = bare.partition(":")
        if prefix == "xmlns" and colon:
            declared.add(local)
        elif colon:
            used.setdefault(prefix, here)
        _check_names(part.inner, here.child("fields"), declared, used)


def _values(
    tree: dict[str, Any], fields: Mapping[str, Part], spot: Spot, frame: Frame
) -> Callable[[Mapping[str, Any]], list[Any]]:
    """The rows of one event: one for each element of `each`, or one in all."""
    if "each" not in tree:
        return lambda event: [built(fields, (event,))]
    walk = elements(tree, spot, frame, 0)
    return lambda event: [built(fields, scopes) for scopes in walk((event,)) or ()]
