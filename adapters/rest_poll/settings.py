"""The keys of a polled source: what is asked, where its items lie, how far it has come, and how pages follow."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from adapters.rest_poll.cursor import CURSOR, CursorSettings, Place, read_value
from adapters.rest_poll.places import parse
from adapters.sdk.fetching import Fetching
from adapters.sdk.login import Text, check_login
from adapters.sdk.scheme import HeaderName
from runtime.errors import ConfigError


class PageSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`pages = { … }`: how an answer says that there is more."""

    by: Literal["none", "link", "body", "keyset"] = "none"
    """link: header `Link`, rel="next". body: an address or a token at `path`. keyset: ask again from the last item on."""
    path: Place = ""
    """body: where it stands in the answer."""
    parameter: Annotated[str, Meta(max_length=100, pattern=r"^[A-Za-z0-9_.~$\[\]-]*$")] = ""
    """body: the parameter of the URL that takes the token; empty: what stands there is an address."""
    pages_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    """Pages of one poll. More of them are taken for a circle, and that is a failure."""


class RestPollSettings(Fetching, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sources.<name>]` with `adapter = "rest_poll"`."""

    every_seconds: Annotated[float, Meta(ge=0.05, le=604_800)] = 60.0
    """Between the end of one poll and the begin of the next."""
    items: Place = ""
    """Where the list of items stands, e.g. `data.shipments`; `.`: the answer is the list. Empty: the answer is one message."""
    id: Place = ""
    """Where an item says its id. Where the mapping finds no key, id and digest of the item are its key."""
    cursor: CursorSettings | None = None
    """Without it each poll asks the same."""
    pages: PageSettings = PageSettings()
    """Without it an answer is all there is."""
    headers_kept: dict[HeaderName, Text] = field(default_factory=dict)
    """Given to the mapping as the headers of each item: what a webhook would have said, e.g. its topic."""


def check_polling(settings: RestPollSettings) -> None:
    """Raises `ConfigError` for keys that contradict each other."""
    check_login(settings.login, settings.reach)
    for place in (settings.items, settings.id, settings.pages.path, settings.cursor.path if settings.cursor else ""):
        parse(place)
    if (CURSOR in settings.url) != (settings.cursor is not None):
        raise ConfigError(f'a cursor needs both: {CURSOR} in "url", and "cursor"')
    if CURSOR in settings.url.partition("?")[0].removeprefix("https://").partition("/")[0]:
        raise ConfigError(f"{CURSOR} cannot stand in the name of the host")
    if settings.id and not settings.items:
        raise ConfigError('"id" is that of an item: say where the "items" stand')
    pages, cursor = settings.pages, settings.cursor
    if pages.by == "body" and not pages.path:
        raise ConfigError('pages: by = "body" needs "path", where the next page is named')
    if pages.by == "keyset" and cursor is None:
        raise ConfigError('pages: by = "keyset" asks from the cursor on, and there is no cursor')
    if cursor is not None:
        _check_cursor(cursor, settings.items)


def _check_cursor(cursor: CursorSettings, items: str) -> None:
    if not cursor.path:
        raise ConfigError('cursor: "path" is missing: where does it stand?')
    if cursor.kind != "token" and not items:
        raise ConfigError('cursor: its path is one in each item: say where the "items" stand')
    if cursor.kind == "instant" and not cursor.start:
        raise ConfigError('cursor: "start" is missing', hint='for example start = "2026-01-01T00:00:00Z"')
    if cursor.start and cursor.kind in {"instant", "number"} and read_value(cursor.kind, cursor.start) is None:
        raise ConfigError(f'cursor: start = "{cursor.start}" is no {cursor.kind}')
