"""What stands behind the question mark: named once, known, and within its bounds, or a problem that says which is not. Pure."""

from __future__ import annotations

from urllib.parse import parse_qsl

from msgspec import Struct

from runtime.gateway import problems
from runtime.gateway.api.operations import CURSOR_CHARS_MAX, LIMIT_DEFAULT, Operation, Parameter

PARAMETERS_MAX = 20


class Query(Struct, frozen=True, kw_only=True):
    """`filters`: those that were given."""

    filters: dict[str, str]
    limit: int
    cursor: str | None


def read_query(operation: Operation, raw: str, rows_max: int) -> Query:
    """Raises `Rejection` (400)."""
    given = _given(operation, raw)
    cursor = given.get("cursor")
    if cursor is not None and not 0 < len(cursor) <= CURSOR_CHARS_MAX:
        raise problems.bad_parameter("cursor", "is no cursor of this API")
    filters = {
        parameter.name: _text(parameter, given[parameter.name])
        for parameter in operation.filters
        if parameter.name in given
    }
    return Query(filters=filters, limit=_limit(given.get("limit"), rows_max), cursor=cursor)


def _given(operation: Operation, raw: str) -> dict[str, str]:
    known = {parameter.name for parameter in operation.filters} | ({"limit", "cursor"} if operation.pages else set())
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=PARAMETERS_MAX, errors="strict")
    except ValueError:
        raise problems.bad_parameter("query", "is no UTF-8 text, or has too many parameters") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise problems.bad_parameter("query", f"takes {' and '.join(sorted(known)) or 'nothing'} only")
        if name in found:
            raise problems.bad_parameter(name, "stands there twice")
        found[name] = value
    return found


def _limit(value: str | None, rows_max: int) -> int:
    if value is None:
        return min(LIMIT_DEFAULT, rows_max)
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= rows_max):
        raise problems.bad_parameter("limit", f"is no number from 1 to {rows_max}")
    return int(value)


def _text(parameter: Parameter, value: str) -> str:
    if parameter.choices and value not in parameter.choices:
        raise problems.bad_parameter(parameter.name, f"is none of {', '.join(parameter.choices)}")
    if not 0 < len(value) <= parameter.chars_max:
        raise problems.bad_parameter(parameter.name, f"is empty or longer than {parameter.chars_max} characters")
    return value
