"""What goes wrong, in words: with one value of a message (`Bad`), or in the text of a mapping (`Spot.fail`).

What is said about a message never repeats its values: the words end up in letters, logs and alerts.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NoReturn

from msgspec import Struct

from runtime.errors import ConfigError
from runtime.mapping.toml_places import child_key, nearest_place
from runtime.nearest import nearest


class Bad(ValueError):
    """One value cannot be used; caught by the compiled mapping, which adds the position."""


def kind_of(value: object) -> str:
    """JSON's own word for the kind of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text" if value else "an empty text"
    if isinstance(value, int | float | Decimal):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"


class Spot(Struct, frozen=True):
    """A place in a mapping file: `outputs[1].fields.occurred_at.convert`."""

    file: str
    key: str = ""
    text: str = ""
    """What the file says, so that a sentence can name line and column."""

    def child(self, name: str) -> Spot:
        return Spot(self.file, child_key(self.key, name), self.text)

    def item(self, index: int) -> Spot:
        return Spot(self.file, f"{self.key}[{index}]", self.text)

    def top(self, *names: str) -> Spot:
        """Another place of the same file, from its top."""
        spot = Spot(self.file, "", self.text)
        for name in names:
            spot = spot.child(name)
        return spot

    def fail(self, problem: str, *, given: object = None, choices: Iterable[str] = ()) -> NoReturn:
        """Raise `ConfigError`: one sentence with file, key, problem, the nearest choice, line and column."""
        where = f"{self.file}: {self.key}: " if self.key else f"{self.file}: "
        hint = nearest(str(given)[:100], sorted(choices)) if given is not None else ""
        place = nearest_place(self.text, self.key) if self.text and self.key else None
        at = f" (at line {place[0]}, column {place[1]})" if place else ""
        raise ConfigError(where + problem + hint + at)
