"""How far a polled source has come, and what it asks next. Pure: `Position` is the text that the journal keeps.

While a poll is under way its beginning stands fast; the cursor moves when the last page is in. So pages may come in any
order, and a process that ends between two of them goes on at the page that it had not committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from adapters.sdk.answers import text_of, us_of
from adapters.sdk.login import Text

CURSOR = "{cursor}"
Kind = Literal["instant", "number", "text", "token"]
Place = Annotated[str, Meta(max_length=500)]
Value = str | int | Decimal
_MILLISECONDS_FROM = 100_000_000_000
"""In seconds this is the year 5138; in milliseconds it is 1973."""
_VALUE_CHARS_MAX = 2_000
DIGITS_MAX = 30
"""Before or behind the point: no number that counts items has more."""


class CursorSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cursor = { … }`: how far we have come; it replaces `{cursor}` in the URL."""

    path: Place = ""
    """Where it stands: in each item; for kind "token" in the answer beside the items."""
    kind: Kind = "instant"
    """instant, number: the highest counts. text: that of the last item. token: the partner's own bookmark."""
    start: Text = ""
    """Where to begin; needed for instants, e.g. `2026-01-01T00:00:00Z`."""
    format: Literal["rfc3339", "date", "epoch_s", "epoch_ms"] = "rfc3339"
    """How an instant is written into the URL."""
    overlap_seconds: Annotated[int, Meta(ge=0, le=2_592_000)] = 300
    """Asked again each time before the cursor (instants): for what the partner commits late or moves while we page."""


class Position(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a source stands between two requests."""

    since: str = ""
    """The cursor of the last complete poll; instants in RFC 3339."""
    highest: str = ""
    """What the poll under way has met so far."""
    page: str = ""
    """The next page of the poll under way; empty: the next poll begins."""
    pages: int = 0
    """Pages of the poll under way that are in."""
    url: str = ""
    """What the validators below belong to."""
    etag: str = ""
    modified: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """What one page says about the way on."""

    values: Sequence[Value]
    """Of its items in their order; for kind "token" the partner's bookmark."""
    page: str
    """The next page, or nothing."""
    at_most_us: int
    """The partner's clock: no instant beyond it is believed."""
    url: str
    etag: str = ""
    modified: str = ""


def read_position(text: str | None) -> Position:
    """From the journal. What cannot be read is a beginning: the keys find what was taken in already."""
    if text is None:
        return Position()
    try:
        return msgspec.json.decode(text, type=Position)
    except msgspec.MsgspecError:
        return Position()


def write_position(position: Position) -> str:
    """For the journal."""
    return msgspec.json.encode(position).decode()


def read_value(kind: Kind, value: Value) -> Decimal | None:
    """What instants (microseconds) and numbers are compared by; None for what is none. Without an offset: UTC."""
    try:
        if kind == "number":
            return _number(value)
        if isinstance(value, str) and not value.isdecimal():
            moment = datetime.fromisoformat(value)
            return Decimal(us_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
        number = _number(value)
        if number is None:
            return None
        at_us = int(number * (1_000 if number >= _MILLISECONDS_FROM else 1_000_000))
        text_of(at_us)  # a year that no calendar has
    except (ValueError, InvalidOperation, OverflowError, OSError):
        return None
    return Decimal(at_us)


def _number(value: Value) -> Decimal | None:
    number = Decimal(str(value))
    return number if number.is_finite() and abs(number.adjusted()) < DIGITS_MAX else None


def ask_url(url: str, cursor: CursorSettings | None, since: str, *, overlap: bool = True) -> str:
    """The URL with the cursor in it; `overlap`: begin a little before it."""
    if cursor is None:
        return url
    return url.replace(CURSOR, quote(_written(cursor, since or cursor.start, overlap), safe=""))


def validators(position: Position, url: str) -> dict[str, str]:
    """Headers that ask only for what has changed since (RFC 9110, 13.1)."""
    if position.page or url != position.url:
        return {}
    asked = {"If-None-Match": position.etag, "If-Modified-Since": position.modified}
    return {name: value for name, value in asked.items() if value}


def higher(cursor: CursorSettings, before: str, values: Sequence[Value], at_most_us: int) -> str:
    """The cursor after these values: never lower than it was, and no instant that lies in the partner's future."""
    if cursor.kind in {"text", "token"}:
        last = str(values[-1])[:_VALUE_CHARS_MAX] if values else ""
        return last or before
    known = [read for read in (read_value(cursor.kind, value) for value in values) if read is not None]
    if cursor.kind == "instant":
        known = [min(value, Decimal(at_most_us)) for value in known]
    old = read_value(cursor.kind, before) if before else None
    best = max(known if old is None else [*known, old], default=None)
    if best is None or best == old:
        return before
    return text_of(int(best)) if cursor.kind == "instant" else f"{best:f}"


def after(position: Position, cursor: CursorSettings | None, step: Step) -> Position:
    """Where the source stands once this page is committed."""
    highest = position.highest if cursor is None else higher(cursor, position.highest, step.values, step.at_most_us)
    if step.page:
        return replace(position, highest=highest, page=step.page, pages=position.pages + 1)
    since = position.since if cursor is None else _complete(cursor, position.since, highest, step.at_most_us)
    if position.pages:  # an unchanged first page would say nothing about the others
        return Position(since=since)
    url = step.url if step.etag or step.modified else ""
    return Position(since=since, url=url, etag=step.etag, modified=step.modified)


def begin_again(position: Position) -> Position:
    """The poll under way cannot go on: its pages are asked for anew."""
    return Position(since=position.since)


def _complete(cursor: CursorSettings, since: str, highest: str, at_most_us: int) -> str:
    return higher(cursor, since, [highest], at_most_us) if highest else since


def _written(cursor: CursorSettings, since: str, overlap: bool) -> str:
    if cursor.kind != "instant":
        return since
    at_us = int(read_value("instant", since) or 0)
    if overlap:
        at_us = max(0, at_us - cursor.overlap_seconds * 1_000_000)
    if cursor.format == "epoch_s":
        return str(at_us // 1_000_000)
    if cursor.format == "epoch_ms":
        return str(at_us // 1_000)
    return text_of(at_us)[:10] if cursor.format == "date" else text_of(at_us)
