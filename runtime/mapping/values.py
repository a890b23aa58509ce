"""The functions that generated code calls where straight code would be too long: mostly the unhappy cases."""

from __future__ import annotations

from collections.abc import Callable, Container
from decimal import Decimal
from hashlib import sha256
from typing import Any, NoReturn

from jmespath import Options
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from runtime.mapping.converters import to_text
from runtime.mapping.faults import Bad, kind_of

KEY_CHARACTERS_MAX = 200
"""Longer partition, once and idempotency keys are replaced by their SHA-256."""

NOTHING: dict[str, Any] = {}
"""Stands for an object that is absent: every path into it finds nothing."""
WRONG: dict[str, Any] = {}
"""Stands for something that is there but is no object; told from NOTHING by identity."""


def fail(problem: str) -> NoReturn:
    """Raise `Bad` from inside an expression."""
    raise Bad(problem)


def wrong_kind(value: Any, expected: str, parent: dict[str, Any]) -> NoReturn:
    """Raise `Bad` for a required value that is absent or of another kind."""
    if value is None or value == "":
        raise_absent(parent)
    raise Bad(f"is {kind_of(value)} instead of {expected}{_hint(value, expected)}")


def optional_kind(value: Any, expected: str, parent: dict[str, Any]) -> None:
    """None for an optional value that is absent; raises `Bad` for one of another kind."""
    if value is None or value == "":
        return check_parent(parent)
    raise Bad(f"is {kind_of(value)} instead of {expected}{_hint(value, expected)}")


def _hint(value: Any, expected: str) -> str:
    if expected == "text" and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return ' (convert = "string" accepts both)'
    return ""


def raise_absent(parent: dict[str, Any]) -> NoReturn:
    """Raise `Bad`: missing, or unreachable because something on the way is no object."""
    check_parent(parent)
    raise Bad("is missing")


def check_parent(parent: dict[str, Any]) -> None:
    """Raise `Bad` if the object that should hold the value is something else."""
    if parent is WRONG:
        raise Bad("cannot be reached: something on the way to it is not an object")


def item(value: Any, index: int) -> Any:
    """Element of a list, negative from the end; of an object the key of that name; else None."""
    if value.__class__ is list:
        return value[index] if -len(value) <= index < len(value) else None
    return value.get(str(index)) if value.__class__ is dict else None


def as_list(value: Any, parent: dict[str, Any]) -> list[Any] | None:
    """None for an absent list; raises `Bad` for what is none."""
    if value is None or value == "":
        check_parent(parent)
        return None
    if value.__class__ is list:
        return value
    raise Bad(f"is {kind_of(value)} instead of a list")


def join(values: tuple[Any, ...], separator: str) -> str | None:
    """One text of several values; None if any of them is absent."""
    for value in values:
        if value is None or value == "":
            return None
    return separator.join([(value if value.__class__ is str else to_text(value)).strip() for value in values])


def first(values: tuple[object, ...]) -> object:
    """The first value that is there."""
    for value in values:
        if value is not None and value != "":
            return value
    return None


def first_known(values: tuple[object, ...], codes: Container[str], convert: tuple[Callable[[Any], Any], ...]) -> object:
    """The first code that a table has: a detailed one, else the coarse one. If it has none, the first value."""
    for value in values:
        if value is None or value == "":
            continue
        code = value
        for change in convert:
            code = None if code is None else change(code)
        if code is not None and code_text(code) in codes:
            return value
    return first(values)


def code_text(value: Any) -> str:
    """A code as tables and keys spell it: numbers become their digits."""
    return value if value.__class__ is str else to_text(value)


def key_text(value: Any) -> str:
    """A key from one value; raises `Bad` if it is absent or no plain value."""
    if value is None or value == "":
        raise Bad("is missing, but it is part of a key")
    return bounded_key(to_text(value))


def bounded_key(text: str) -> str:
    """The text itself, or its digest when it is too long to be a key."""
    return (
        text if len(text) <= KEY_CHARACTERS_MAX else "sha256:" + sha256(text.encode(errors="surrogatepass")).hexdigest()
    )


def join_key(values: tuple[Any, ...]) -> str:
    """One key of several values; absent ones leave an empty place, and no two lists of values collide."""
    texts: list[str] = [
        value if value.__class__ is str else "" if value is None else to_text(value) for value in values
    ]
    text = "|".join(texts)
    if "\\" in text or text.count("|") >= len(texts):
        text = "|".join([part.replace("\\", "\\\\").replace("|", "\\|") for part in texts])
    return bounded_key(text)


# ---------------------------------------------------------------- `when`: never raises, absent is null


def length(value: Any) -> int:
    """Of a text, list or object; else 0."""
    return len(value) if isinstance(value, str | list | dict) else 0


def starts(value: Any, prefix: object) -> bool:
    """Whether a text starts with another."""
    return isinstance(value, str) and isinstance(prefix, str) and value.startswith(prefix)


def ends(value: Any, suffix: object) -> bool:
    """Whether a text ends with another."""
    return isinstance(value, str) and isinstance(suffix, str) and value.endswith(suffix)


def contains(whole: object, part: object) -> bool:
    """Whether a text holds a text, or a list an element."""
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    return part in whole if isinstance(whole, list | tuple) else False


def lower(value: Any) -> object:
    """A text in small letters; anything else as it is."""
    return value.lower() if isinstance(value, str) else value


def upper(value: Any) -> object:
    """A text in capitals; anything else as it is."""
    return value.upper() if isinstance(value, str) else value


def found_in(table: dict[str, Any], code: Any) -> object:
    """What a table says a code means; null for a code that it does not have."""
    if isinstance(code, bool) or not isinstance(code, str | int):
        return None
    return table.get(code if isinstance(code, str) else str(code))


def comparable(left: object, right: object) -> bool:
    """Two numbers, or two texts; anything else is neither smaller nor larger."""
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, int | Decimal):
        return isinstance(right, int | Decimal)
    return isinstance(left, str) and isinstance(right, str)


def less(left: Any, right: Any) -> bool:
    """left < right, where the two can be compared."""
    return comparable(left, right) and left < right


def at_most(left: Any, right: Any) -> bool:
    """left <= right, where the two can be compared."""
    return comparable(left, right) and left <= right


# ---------------------------------------------------------------- jmespath


class _Decimals(Functions):  # type: ignore[misc]
    """jmespath's functions; numbers with a fraction are exact decimals here."""

    def _get_allowed_pytypes(self, types: Any) -> tuple[list[str], list[tuple[str, ...]]]:
        plain, elements = super()._get_allowed_pytypes(types)  # pyright: ignore[reportAttributeAccessIssue]
        wider = [*plain, "Decimal"] if "float" in plain else plain
        return wider, [(*names, "Decimal") if "float" in names else names for names in elements]


_OPTIONS = Options(custom_functions=_Decimals())


def search(compiled: Any, value: Any) -> object:
    """The result of a jmespath expression. Raises `Bad`."""
    try:
        found: Any = compiled.search(value, options=_OPTIONS)
    except (
        JMESPathError,
        ArithmeticError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise Bad(f"the jmespath expression does not fit the message ({type(error).__name__})") from None
    if found.__class__ is float:
        return _exact(found)
    return found


def _exact(number: float) -> Decimal:
    return Decimal(repr(number))
