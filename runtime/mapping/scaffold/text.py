"""The draft as a mapping file: each guess on a line of its own, with a comment that says how sure it is and why."""

from __future__ import annotations

import json
import re

from runtime.canonical.registry import TYPES
from runtime.mapping.paths import Segment, dotted
from runtime.mapping.scaffold.place import Draft, Guess, choice_of
from runtime.mapping.scaffold.sample import Seen
from runtime.mapping.targets import FieldTarget, Target, fields_of

LEFT_MAX = 200
"""Fields that could not be placed, named in comments."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS_OF_THE_LANGUAGE = frozenset(
    "and or not in is null true false len startswith endswith contains lower upper exists first path header".split()
)
_HEAD = """\
# A first mapping, written from real messages by `entrepot map new`. Every line that says guess is one: check it, mend it, and
# remove the comment. `entrepot map test` tries it; `entrepot map coverage` counts the guesses that are left.
"""


def write(draft: Draft, name: str, sample: str) -> str:
    """The text of the mapping `name`; it compiles, and says nothing of the values that the messages have."""
    return _Text(draft).whole(name, sample)


class _Text:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.by_path = {guess.slot.path: guess for guess in draft.guesses}
        self.tables: list[str] = []

    def whole(self, name: str, sample: str) -> str:
        draft = self.draft
        head = [f"mapping = {quoted(name)}", "version = 1"]
        if any(guess.seen.zoneless and not guess.seen.format.startswith("%z") for guess in draft.guesses):
            head.append('zone = "UTC"' + _says(0.2, "some times have no offset; name the zone of the sender"))
        if draft.key is not None:
            head.append(f"key = {quoted(draft.key.shown)}" + _says(0.7, "it names the message itself"))
        else:
            head.append(
                '# key = "…"   no field of the sample looks like an id of the message; a retry is known by the whole body'
            )
        output = ["", "[[outputs]]", f"type = {quoted(draft.type)}" + _says(draft.confidence, self._why_type())]
        output += self._when()
        if draft.each is not None:
            output.append(f"each = {quoted(dotted(draft.each))}" + _says(0.7, "one event for each element"))
        fields = self._table("outputs.fields", fields_of(TYPES[draft.type].struct), ())
        return "\n".join(
            [_HEAD + f"# The sample: {_comment(sample)}", *head, *self.tables, *output, *fields, *self._left(), ""]
        )

    def _why_type(self) -> str:
        return "given by --type" if self.draft.confidence == 1.0 else "the names of its fields go best with it"

    def _when(self) -> list[str]:
        seen = self.draft.discriminator
        if seen is None:
            return ['# when = "…"   nothing in the sample tells kinds of message apart']
        values = [f"'{value}'" for value in seen.values if re.fullmatch(r"[A-Za-z0-9_.:/ -]{1,60}", str(value))]
        if not values or len(values) < len(seen.values):
            return []
        path = _expression(seen.path)
        rule = f"{path} == {values[0]}" if len(values) == 1 else f"{path} in ({', '.join(values)})"
        return [f"when = {quoted(rule)}" + _says(0.7, "this field seems to name the kind of message")]

    # ------------------------------------------------------------ fields

    def _table(self, key: str, fields: dict[str, FieldTarget], path: tuple[str, ...]) -> list[str]:
        """[key] with its plain fields, then the tables inside it. `path`: names of fields on the way."""
        lines, after = [f"[{key}]"], []
        for name, field in fields.items():
            here, target = (*path, name), field.target
            if target.kind == "object" and target.struct is not None:
                if self._inside(here):
                    after += self._table(f"{key}.{name}.fields", fields_of(target.struct), here)
            elif target.kind == "list" and target.element is not None:
                after += self._list(f"{key}.{name}", field, here)
            elif here in self.by_path:
                lines.append(self._line(name, self.by_path[here]))
            elif field.required:
                lines.append(self._lacking(here, field.target))
            elif name == "unit" and (code := self._unit(here)):
                lines.append(f'unit = {{ const = "{code}" }}' + _says(0.6, "the name of the value says its unit"))
        return lines + after

    def _inside(self, path: tuple[str, ...]) -> bool:
        return any(placed[: len(path)] == path for placed in self.by_path)

    def _list(self, key: str, field: FieldTarget, path: tuple[str, ...]) -> list[str]:
        source, element = self.draft.lists.get(field.name), field.target.element
        if (source is None and not field.required) or element is None or element.struct is None:
            return []
        each = quoted(dotted(source)) if source is not None else quoted(field.name)
        why = _says(0.8, "its elements go best with it") if source is not None else _NOTHING
        return [f"[{key}]", f"each = {each}{why}", *self._table(f"{key}.fields", fields_of(element.struct), path)]

    def _line(self, name: str, guess: Guess) -> str:
        seen, target = guess.seen, guess.slot.target
        path = seen.within
        shown = ("root." if self.draft.each is not None and seen.list is None else "") + dotted(path)
        rule = [f"path = {quoted(shown)}", *self._conversions(name, seen, target)]
        text = quoted(shown) if len(rule) == 1 else f"{{ {', '.join(rule)} }}"
        return f"{name} = {text}" + _says(guess.confidence, _why(guess))

    def _conversions(self, name: str, seen: Seen, target: Target) -> list[str]:
        if target.kind == "choice":
            return [f"table = {quoted(self._codes(name, seen, target))}"]
        if target.kind in ("instant", "date") and seen.format:
            return [f"format = {quoted(seen.format)}"]
        if target.kind == "decimal" and "decimal" not in seen.kinds:
            return ['convert = "decimal_comma"']
        if target.kind == "boolean" and not isinstance(seen.values[0], bool):
            return ['convert = "boolean"']
        converters = {"gtin": "gtin14", "sscc": "sscc18", "gln": "gln13", "unit": "unit"}
        if name in converters:
            return [f'convert = "{converters[name]}"']
        if name in ("country", "currency") and str(seen.values[0]).islower():
            return ['convert = "upper"']
        return ['convert = "string"'] if target.kind == "text" and "number-text" in seen.kinds else []

    def _codes(self, name: str, seen: Seen, target: Target) -> str:
        """A table for the codes of the sample; a code that says nothing to us is `unknown`, or left for a person."""
        rows = ["", f"[tables.{name}]"]
        for code in dict.fromkeys(str(value) for value in seen.values):
            choice = choice_of(code, target.choices)
            if choice is None and "unknown" in target.choices:
                choice = "unknown"
            if choice is None:
                rows.append(f'# {quoted(_comment(code))} = "…"   one of {", ".join(target.choices)}')
            else:
                rows.append(
                    f"{quoted(code)} = {quoted(choice)}" + _says(0.7 if choice != "unknown" else 0.1, "by its name")
                )
        self.tables += rows
        return name

    def _lacking(self, path: tuple[str, ...], target: Target) -> str:
        name, article = path[-1], self.by_path.get((*path[:-1], "sku"))
        if name == "line_id" and article is not None:
            rule = self._line(name, article).partition("  # ")[0]
            return rule + _says(0.3, "the lines have no number; the article stands for it")
        if name == "occurred_at":
            return 'occurred_at = { missing = "received" }' + _says(
                0.1, "no time in the sample; the time of acceptance"
            )
        if target.kind == "choice":
            return f"{name} = {{ const = {quoted(_default(target))} }}" + _NOTHING
        return f"{name} = {quoted(name)}" + _NOTHING

    def _unit(self, path: tuple[str, ...]) -> str:
        value = self.by_path.get((*path[:-1], "value"))
        codes = {"kg": "KGM", "g": "GRM", "lb": "LBR", "cm": "CMT", "mm": "MMT"}
        return next((codes[word] for word in value.seen.words if word in codes), "") if value else ""

    def _left(self) -> list[str]:
        left = self.draft.left
        if not left:
            return []
        shown = [f"#   {_comment(seen.shown)} ({seen.described})" for seen in left[:LEFT_MAX]]
        more = [f"#   and {len(left) - LEFT_MAX} more"] if len(left) > LEFT_MAX else []
        return ["", "# Not placed; add what matters:", *shown, *more]


_NOTHING = "  # guess 0 %: required, and nothing in the sample looks like it"


def quoted(text: str) -> str:
    """A TOML text."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c for c in plain) + '"'


def _says(confidence: float, why: str) -> str:
    return f"  # guess {round(confidence * 100)} %: {why}"


def _why(guess: Guess) -> str:
    if guess.confidence < 0.6:
        return "little speaks for it"
    times = guess.slot.target.kind in ("instant", "date")
    return "its name, and the value is a time" if times else "its name and the shape of its value"


def _default(target: Target) -> str:
    return "unknown" if "unknown" in target.choices else target.choices[0]


def _comment(text: str) -> str:
    """Fit for a comment: one line, no control characters."""
    return json.dumps(text)[1:-1].replace("\x7f", "\\u007f")


def _expression(path: tuple[Segment, ...]) -> str:
    plain = all(isinstance(p, str) and _NAME.fullmatch(p) and p not in _WORDS_OF_THE_LANGUAGE for p in path)
    if plain:
        return dotted(path)
    text = dotted(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"path('{text}')"
