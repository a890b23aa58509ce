"""What a mapping does with one sample: events, fields that nobody reads, and things worth a second look.

For a person at the desk, not for the pipeline: unlike an error of the pipeline, a trial may show values.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from runtime.canonical.identifiers import Scheme, quality_note
from runtime.canonical.registry import NAMES
from runtime.envelope import Event
from runtime.errors import Untranslatable
from runtime.mapping.compiled import CompiledMapping
from runtime.mapping.decode import decode
from runtime.mapping.generate import ELEMENTS_MAX
from runtime.mapping.json_places import find_place
from runtime.mapping.paths import EACH, Segment, dotted, pointer
from runtime.ports import NO_HEADERS

CONTENT_TYPES = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".xml": "application/xml",
    ".jws": "application/jose",
    ".csv": "text/csv",
    ".txt": "text/csv",
    ".tsv": "text/csv",
}
"""By the ending of a sample's name."""
LEAVES_MAX = 100_000
"""Of one sample; more would only make the list of unread fields useless."""
_NOTES = {
    "digits": "should have digits only",
    "length": "has an unusual number of digits",
    "check": "has a wrong check digit",
}
_QUALITIES = {
    "assumed_zone": "the time has no offset; the zone of the mapping was assumed",
    "date_only": "only a date was given; midnight in the zone of the mapping stands for it",
    "received": "the message has no time; the time of acceptance stands in",
}


class Problem(Struct, frozen=True, kw_only=True):
    """Why a sample cannot be translated. `value` is what lies at the position, as JSON text, cut to 200 characters."""

    message: str
    position: str
    hint: str = ""
    value: str | None = None


class PlacedProblem(Problem, frozen=True, kw_only=True):
    """A problem with line and column of its value in the sample, both from 1."""

    line: int
    column: int


class Trial(Struct, frozen=True, kw_only=True):
    """The result for one message."""

    mapping: str
    """Name, version and digest, as a letter would carry it."""
    key: str | None
    message: str = ""
    """What a pack calls this message; empty for a mapping on its own."""
    known_by: str = ""
    """What a pack knew it by: type or shape."""
    position: str = ""
    """JSON pointer of the message, if a wrapper of the platform lies around it."""
    outputs: list[dict[str, Any]] = []
    """Each as plain JSON values: type, output, partition_key, once_key, data; or ignored with the reason."""
    read: list[str] = []
    """Paths with a value that some rule of the outputs that applied reads."""
    guessed: list[str] = []
    """Those of them that are read only by guesses of `entrepot map new`."""
    unread: list[str] = []
    """Paths with a value that no rule of the outputs that applied reads; `[]` stands for each element."""
    warnings: list[str] = []
    errors: Sequence[Problem] = []


def try_mapping(
    mapping: CompiledMapping,
    body: bytes,
    content_type: str = "application/json",
    headers: Mapping[str, str] = NO_HEADERS,
    *,
    received_us: int = 0,
) -> Trial:
    """Translate one message and look at it closely. Never raises on a message. `received_us`: time of acceptance."""
    key = mapping.key(body, content_type, headers)
    warnings = ["the mapping's key is not in this message"] if mapping.has_key and key is None else []
    try:
        message = decode(body, content_type, mapping.form)
    except Untranslatable as error:
        problem = Problem(message=str(error), position=error.position, hint=error.hint)
        return Trial(mapping=mapping.version, key=key, errors=[problem], warnings=warnings)
    trial = try_message(mapping, message, key, headers=headers, received_us=received_us)
    return msgspec.structs.replace(trial, warnings=warnings + trial.warnings)


def try_message(
    mapping: CompiledMapping,
    message: Any,
    key: str | None,
    *,
    headers: Mapping[str, str],
    kind: str = "",
    received_us: int = 0,
) -> Trial:
    """Translate what is decoded already; `kind` is what a pack calls it."""
    warnings: list[str] = []
    try:
        results = mapping.run(message, received_us, headers, kind)
    except Untranslatable as error:
        problem = Problem(
            message=str(error), position=error.position, hint=error.hint, value=shown(message, error.position)
        )
        uses = _uses(message, mapping, range(len(mapping.read_paths)))
        return Trial(
            mapping=mapping.version,
            key=key,
            errors=[problem],
            warnings=warnings,
            read=uses["read"],
            guessed=uses["guessed"],
            unread=uses["unread"],
        )
    uses = _uses(message, mapping, {result.output // ELEMENTS_MAX for result in results})
    for result in results:
        if isinstance(result, Event):
            warnings += [f"{NAMES[type(result.data)]} {result.output}: {note}" for note in _look(result.data)]
    return Trial(
        mapping=mapping.version,
        key=key,
        outputs=[_plain(result) for result in results],
        warnings=warnings,
        read=uses["read"],
        guessed=uses["guessed"],
        unread=uses["unread"],
    )


def placed(trial: Trial, body: bytes) -> Trial:
    """The trial with line and column of each problem in the text of the sample."""
    errors = [_placed(problem, body) for problem in trial.errors]
    return msgspec.structs.replace(trial, errors=errors)


def _placed(problem: Problem, body: bytes) -> Problem:
    place = find_place(body, problem.position)
    if place is None:
        return problem
    known = {name: getattr(problem, name) for name in problem.__struct_fields__}
    return PlacedProblem(**known, line=place[0], column=place[1])


def split_sample(body: bytes, content_type: str) -> list[bytes]:
    """The facts in a sample file: lines of CSV (as JSON objects) and NDJSON, or the whole. Raises `Untranslatable`."""
    if content_type.startswith("application/x-ndjson"):
        return [line for line in body.splitlines() if line.strip()]
    if not content_type.startswith("text/csv"):
        return [body]
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("cp1252", errors="replace")
    head = text.split("\n", 1)[0]
    delimiter = max(";,\t|", key=head.count)
    try:
        rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter, restkey="", restval=""))
    except csv.Error as error:
        raise Untranslatable(f"not valid CSV: {error}", position="line 1, column 1") from None
    return [msgspec.json.encode({name: cell for name, cell in row.items() if name}) for row in rows]


def _plain(result: Any) -> dict[str, Any]:
    if not isinstance(result, Event):
        return {"ignored": result.reason, "output": result.output}
    plain = {"type": NAMES[type(result.data)], "output": result.output, "partition_key": result.partition_key}
    if result.once_key is not None:
        plain["once_key"] = result.once_key
    return {**plain, "data": msgspec.to_builtins(result.data)}


# ---------------------------------------------------------------- unread fields


def _uses(message: Any, mapping: CompiledMapping, applied: Any) -> dict[str, list[str]]:
    """Every path with a value, under read and perhaps guessed, or under unread."""
    read: set[tuple[Segment, ...]] = set()
    for index in applied:
        if index < len(mapping.read_paths):
            read |= mapping.read_paths[index]
    found: dict[str, dict[str, None]] = {"read": {}, "guessed": {}, "unread": {}}
    for count, path in enumerate(_leaves(message, ())):
        if count >= LEAVES_MAX:
            break
        shown = dotted(tuple(EACH if isinstance(part, int) else part for part in path))
        found["read" if _is_read(path, read) else "unread"][shown] = None
        if _is_read(path, mapping.guessed & read):
            found["guessed"][shown] = None
    return {use: list(paths) for use, paths in found.items()}


def _leaves(value: Any, path: tuple[Segment, ...]) -> Iterator[tuple[Segment, ...]]:
    """Paths of all plain values that are there; the decoder has bounded the depth already."""
    stack: list[tuple[Any, tuple[Segment, ...]]] = [(value, path)]
    while stack:
        value, path = stack.pop()
        if isinstance(value, dict):
            stack.extend((part, (*path, name)) for name, part in reversed(value.items()))
        elif isinstance(value, list):
            stack.extend((part, (*path, at)) for at, part in reversed(list(enumerate(value))))
        elif value is not None and value != "":
            yield path


def _is_read(path: tuple[Segment, ...], read: AbstractSet[tuple[Segment, ...]]) -> bool:
    """Whether a rule reads this value, or something that it is a part of."""
    spellings: set[tuple[Segment, ...]] = {()}
    for part in path:
        if spellings & read:
            return True
        options = (
            (part, EACH)
            if isinstance(part, int)
            else (part, int(part))
            if re.fullmatch("[0-9]{1,6}", part)
            else (part,)
        )
        spellings = {(*start, option) for start in spellings for option in options}
        if len(spellings) > 256:
            return True
    return bool(spellings & read)


# ---------------------------------------------------------------- a second look


def _look(data: Any) -> Iterator[str]:
    quality = getattr(data, "time_quality", "exact")
    if quality in _QUALITIES:
        yield _QUALITIES[quality]
    yield from _identifiers(data, "")


def _identifiers(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, tuple | list):
        for at, part in enumerate(value):
            yield from _identifiers(part, f"{path}[{at}]")
        return
    if not isinstance(value, Struct):
        return
    for field in msgspec.structs.fields(value):
        inner, here = getattr(value, field.name), f"{path}.{field.name}" if path else field.name
        if inner is None:
            continue
        scheme = _scheme(field.type)
        if scheme is not None and isinstance(inner, str):
            note = quality_note(scheme, inner)
            if note is not None:
                yield f"{here} {_NOTES[note.rsplit('-', 1)[1]]} (kept as it is)"
        elif field.name == "unit_raw":
            yield f"{here}: the unit is no known code; kept as the source wrote it"
        else:
            yield from _identifiers(inner, here)


def _scheme(annotation: Any) -> str | None:
    if isinstance(annotation, Scheme):
        return str(annotation)
    if get_origin(annotation) is Literal:
        return None
    metadata = getattr(annotation, "__metadata__", ())
    for part in (*metadata, *get_args(annotation)):
        if (found := _scheme(part)) is not None:
            return found
    return None


def shown(message: Any, position: str) -> str | None:
    """The value at a JSON pointer, as JSON text of at most 200 characters; None if there is none."""
    if position and not position.startswith("/"):
        return None
    value = message
    for part in position.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            index = int(name) if re.fullmatch("-?[0-9]{1,6}", name) else len(value)
            value = value[index] if -len(value) <= index < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return None
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else text[:199] + "…"


__all__ = ["Problem", "Trial", "pointer", "split_sample", "try_mapping"]
