"""Reads TOML files into structs and says in one sentence what is wrong: file, key, and the nearest valid choice."""

from __future__ import annotations

import codecs
import re
import tomllib
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from runtime.errors import ConfigError
from runtime.nearest import nearest

T = TypeVar("T")
FILE_BYTES_MAX = 4_000_000
FILES_MAX = 200
"""Files of a folder that are looked at for the nearest name."""
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CLOSED = "the agent's user must be able to read it; run commands as root or as that user"
_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at (?P<name>`key` in )?`(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_PATTERNS = {
    "^[a-z0-9-]{1,40}$": "use only a-z, 0-9 and - (at most 40)",
    "^[A-Z]{2}$": 'write the country as ISO 3166 has it, two capital letters, for example "DE"',
    r"^(nats|tls|wss?)://[^\s@]+$": 'write "tls://HOST:PORT", "wss://HOST" or "nats://HOST:PORT"; user and password have own keys',
    "^secret://[A-Za-z0-9._-]{1,100}$": 'write "secret://NAME", where NAME is a file in the [secrets] dir (never the secret)',
    r"^https?://[^\s]+$": 'write an address, for example "https://alerts.example/entrepot"',
    "^[A-Za-z0-9+/]{43}=$": "write a public key: 32 bytes as Base64, 44 signs with = at the end",
    "^[A-Za-z0-9._-]{1,60}$": "use only letters, digits, . - and _ (at most 60)",
    "^[A-Za-z0-9!#$%&'*+.^_|~-]{1,64}$": 'write the name of a header, for example "Idempotency-Key"',
    "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$": 'write the name of a header, for example "X-Signature"',
    "^[a-z0-9.+*-]{1,60}/[a-z0-9.+*-]{1,60}$": 'write a media type in small letters, for example "application/json"',
    r"^https?://[^\s'?#]{1,200}$": 'write an address without query, for example "https://gateway.example"',
    "^(/.*)?$": 'write where it stands as a JSON pointer, for example "/order/number"',
    "^0?[0-7]{3}$": 'write it in octal, for example "0640"',
    "^(secret://[A-Za-z0-9._-]{1,100})?$": 'write "secret://NAME", where NAME is a file in the [secrets] dir (never the secret)',
}
"""What people are told instead of a regular expression."""
_KINDS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "array": "a list",
          "object": "a table", "null": "nothing", "date": "a date",
          "datetime": "a time, for example 2026-01-01T00:00:00Z"}  # fmt: skip
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_KIND = re.compile(r"`(int|float|str|bool|array|object|null|datetime|date)`")
_BOUND = re.compile(r"(text|list|table|number)( of length)? (>=|<=|>|<) (-?[0-9.]+)")
_COUNTED = {"text": "characters", "list": "entries", "table": "keys", "number": ""}
_SEGMENT = re.compile(r"\.([^.\[]+)|\[([^\]]*)\]")


def read_toml(path: Path) -> dict[str, Any]:
    """Raises `ConfigError` when the file is missing, unreadable, too large, or no TOML."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise ConfigError(f"{path} does not exist", hint=_siblings(path)) from None
        hint = _CLOSED if isinstance(error, PermissionError) else ""
        raise ConfigError(f"{path} cannot be read ({error.strerror})", hint=hint) from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes")
    if content.startswith(_MARKS):
        raise ConfigError(f"{path} begins with a byte order mark", hint="save it as UTF-8 without BOM")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from None


def _siblings(path: Path) -> str:
    if not path.parent.is_dir():
        return _around(path)
    known = sorted(p.name for p in path.parent.glob("*.toml"))
    return f"looked in {path.parent}{nearest(path.name, known)}" if known else f"{path.parent} has no .toml file at all"


def _around(path: Path) -> str:
    """The folder is wrong: look in the last one that is right, and in those that it holds."""
    right = next(folder for folder in path.absolute().parents if folder.is_dir())
    found = [p for pattern in ("*.toml", "*/*.toml") for p in islice(right.glob(pattern), FILES_MAX)]
    known = sorted(str(p.relative_to(right)) for p in found)
    there = f"; looked in {right}{nearest(str(path.absolute().relative_to(right)), known)}" if known else ""
    return f"the folder {path.parent} does not exist either{there}"


def convert(raw: Any, model: type[T], *, where: str, at: str = "", ignore: frozenset[str] = frozenset()) -> T:
    """`raw` as a struct. `where` names the file and `at` the table for the sentence. Raises `ConfigError`.

    `ignore`: keys at the top that belong to somebody else.
    """
    if ignore and isinstance(raw, dict):
        raw = {key: value for key, value in raw.items() if key not in ignore}
    try:
        return msgspec.convert(raw, model)
    except msgspec.ValidationError as error:
        raise ConfigError(explain(error, model, raw, where=where, at=at)) from None


def explain(error: msgspec.ValidationError, model: Any, raw: Any, *, where: str, at: str) -> str:
    """A sentence for people from msgspec's message."""
    match = _MESSAGE.match(str(error))
    what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
    segments = [key or index for key, index in _SEGMENT.findall(path)]
    place = _place(at, _named(segments, raw))
    kind = _type_at(inspect.type_info(model), segments)
    unknown, missing = _UNKNOWN.match(what), _MISSING.match(what)
    if unknown:
        fields = [f.encode_name for f in kind.fields] if isinstance(kind, inspect.StructType) else []
        return f"{where}: there is no key {_place(place, [unknown[1]])!r}{nearest(unknown[1], fields)}"
    if missing:
        return f"{where}: the key {_place(place, [missing[1]])!r} is missing"
    choices = _choices(kind)
    if choices:
        value = _value_at(raw, _named(segments, raw))
        return f"{where}: {place} is {value!r}{nearest(str(value), choices)}"
    inside = "a name in it: " if match and match["name"] else ""
    return f"{where}: {place or 'the file'}: {inside}{_plain(what)}"


def _plain(what: str) -> str:
    for pattern, sentence in _PATTERNS.items():
        what = what.replace(f"Expected `str` matching regex {pattern!r}", sentence)
    what = _KIND.sub(lambda found: _KINDS[found[1]], what.replace(" | null", ""))
    what = what.replace("Invalid enum value", "there is nothing of the name")
    return _BOUND.sub(_bound, what).replace("`", "").replace("Expected", "expected")


def _bound(found: re.Match[str]) -> str:
    bounds = f"{_BOUNDS[found[3]]} {found[4].removesuffix('.0')}"
    return f"{found[1]} of {bounds} {_COUNTED[found[1]]}".rstrip()


def _place(at: str, segments: list[str]) -> str:
    text = at
    for segment in segments:
        text += f"[{segment}]" if segment.isdigit() else f".{segment}" if text else segment
    return text


def _named(segments: list[str], raw: Any) -> list[str]:
    """msgspec writes `[...]` for a table's value: find which one it was by looking for the only candidate."""
    named: list[str] = []
    for segment in segments:
        if segment == "..." and isinstance(raw, dict):
            segment = next(iter(raw)) if len(raw) == 1 else "*"
        raw = raw.get(segment) if isinstance(raw, dict) else None
        named.append(segment)
    return named


def _value_at(raw: Any, segments: list[str]) -> Any:
    for segment in segments:
        if isinstance(raw, dict):
            raw = raw.get(segment)
        elif isinstance(raw, list) and segment.isdigit():
            raw = raw[int(segment)]
    return raw


def _type_at(kind: inspect.Type, segments: list[str]) -> inspect.Type:
    for segment in segments:
        kind = _bare(kind)
        if isinstance(kind, inspect.StructType):
            found = [f.type for f in kind.fields if f.encode_name == segment]
            kind = found[0] if found else kind
        elif isinstance(kind, inspect.DictType):
            kind = kind.value_type
        elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
            kind = kind.item_type
    return _bare(kind)


def _bare(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        kinds = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
        return _bare(kinds[0])
    return kind


def _choices(kind: inspect.Type) -> list[str]:
    return [str(v) for v in kind.values] if isinstance(kind, inspect.LiteralType) else []
