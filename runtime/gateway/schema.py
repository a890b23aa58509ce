"""What the messages of one source must look like: a JSON Schema (2020-12) of the region, compiled once.

Says where a message breaks which rule, and never what stands there.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from runtime.errors import ConfigError, Untranslatable
from runtime.gateway.problems import Flaw
from runtime.mapping.decode import ANY, Form, decode
from runtime.mapping.paths import pointer

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FLAWS_MAX = 20
"""Of one request: enough to mend it."""
LISTED_VALUES_MAX = 500
"""The validator makes all errors at once, 14 µs and 1.5 kB each: of a message with more values the first alone is told."""
POINTER_CHARS_MAX = 200
"""Beyond it the place around is named: names of members are the sender's, and may be as long as a message."""


class MessageSchema:
    """A compiled schema. Safe for threads; the same message gets the same answer."""

    def __init__(self, text: str, where: str, form: Form = ANY) -> None:
        """`where`: the file's name for a sentence; `form`: how bytes become the values that are looked at.

        Raises `ConfigError`.
        """
        self.sha256 = sha256(text.encode()).hexdigest()
        self._form = form
        self._validator = _compile(_read(text, where), where)

    def flaws(self, body: bytes, content_type: str, before: str = "") -> list[Flaw]:
        """Where the message breaks the rules, at most `FLAWS_MAX` places; `before` is put before each pointer."""
        try:
            message = decode(body, content_type, self._form)
        except Untranslatable as error:
            return [Flaw(pointer=before, detail=f"{error} ({error.position})")]
        try:
            if self._validator.is_valid(message):
                return []
            if body.count(b",") + body.count(b"<") > LISTED_VALUES_MAX:
                return [_flaw(self._first(message), before)]
            return [_flaw(error, before) for error in islice(self._validator.iter_errors(message), FLAWS_MAX)]
        except ValueError:
            return [Flaw(pointer=before, detail="is nested too deeply to be looked at")]

    def _first(self, message: Any) -> ValidationError:
        from jsonschema_rs import ValidationError

        try:
            self._validator.validate(message)
        except ValidationError as error:
            return error
        raise AssertionError("it was not valid a moment ago")


def _read(text: str, where: str) -> dict[str, Any]:
    try:
        schema = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{where} is no valid JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ConfigError(f"{where} is no JSON Schema: an object was expected")
    dialect = schema.get("$schema", DIALECT)
    if str(dialect).rstrip("#") != DIALECT:
        raise ConfigError(f"{where}: $schema is {dialect!r}", hint=f"schemas are read as {DIALECT}: write it for that")
    return schema


def _compile(schema: dict[str, Any], where: str) -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator, ReferencingError, RegexOptions, ValidationError

    asked: list[str] = []

    def refuse(uri: str) -> Any:
        """Nothing is fetched: what a message must look like stands in one file, under the configuration's digest."""
        asked.append(uri)
        raise LookupError(uri)

    try:
        # Patterns run in linear time, so that no message can make one take long.
        return Draft202012Validator(
            schema,
            validate_formats=True,
            ignore_unknown_formats=False,
            retriever=refuse,
            pattern_options=RegexOptions(),
        )
    except (ValidationError, ReferencingError, ValueError) as error:
        if asked:
            raise ConfigError(
                f"{where}: $ref to {asked[0]!r} leads out of the file",
                hint='put what it names into "$defs" of this file: nothing is fetched',
            ) from None
        raise ConfigError(f"{where} is no JSON Schema that can be used: {str(error).splitlines()[0]}") from None


def _flaw(error: ValidationError, before: str) -> Flaw:
    path = list(error.instance_path)
    while len(pointer(tuple(path))) > POINTER_CHARS_MAX:
        path.pop()
    return Flaw(pointer=before + pointer(tuple(path)), detail=_rule(error))


def _rule(error: ValidationError) -> str:
    """The rule in words that stand in the schema. What the message says is left out: it may be about a person."""
    rule = error.kind.name
    said = error.kind.as_dict()
    if rule == "required":
        return f"lacks the member {said['property']} (required)"
    if rule == "type":
        return f"is not of the type {' or '.join(said['types'])} (type)"
    if "limit" in said:
        return f"breaks the rule {rule}: {said['limit']}"
    return f"breaks the rule {rule}"
