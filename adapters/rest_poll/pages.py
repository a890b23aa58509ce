"""From an answer to items, byte for byte, and to the page that follows. Pure."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from msgspec import Struct

from adapters.rest_poll.cursor import Position, Step, Value, ask_url, higher
from adapters.rest_poll.places import find, parse, readable, scalar, texts
from adapters.rest_poll.settings import RestPollSettings
from adapters.sdk.answers import NO_CONTENT, Answer, server_us
from runtime.errors import Permanent, Retryable

ITEM_TYPE = "application/json"
ITEMS_MAX = 100_000
ID_CHARS_MAX = 180
"""The longest id that stands in a key as it is; of a longer one the digest."""


class Item(Struct, frozen=True):
    """One message of a page."""

    body: bytes
    content_type: str
    own_key: str
    """What tells it apart where the mapping finds no key: its id, and the digest of what it says."""


class Page(Struct, frozen=True):
    """What one answer holds."""

    items: list[Item]
    step: Step


def read_page(settings: RestPollSettings, position: Position, url: str, answer: Answer, now_us: int) -> Page:
    """Raises `Retryable` for an answer that is not what the settings say, `Permanent` for a page that follows itself."""
    bodies = _bodies(settings, answer)
    cursor = settings.cursor
    values: list[Value] = []
    if cursor is not None:
        holders = [answer.body] if cursor.kind == "token" else bodies
        found = (scalar(holder, parse(cursor.path)) for holder in holders)
        values = [value for value in found if value is not None and value != ""]
    at_most_us = server_us(answer, now_us)
    following = _following(settings, position, url, answer, values, bool(bodies), at_most_us)
    if following == url or (following and position.pages + 1 >= settings.pages.pages_max):
        raise Permanent("the pages go round in a circle", hint='look at "pages", or raise pages_max')
    step = Step(
        values=values,
        page=following,
        at_most_us=at_most_us,
        url=url,
        etag=answer.headers.get("etag", ""),
        modified=answer.headers.get("last-modified", ""),
    )
    return Page([_item(settings, answer, body) for body in bodies], step)


def _bodies(settings: RestPollSettings, answer: Answer) -> list[bytes]:
    if answer.status == NO_CONTENT or not answer.body.strip():
        return []
    if not settings.items:
        return [answer.body]
    said = readable(answer.body)
    if said is None:
        raise Retryable(f"the answer is no JSON ({answer.content_type.partition(';')[0][:40]})")
    listed = find(said, parse(settings.items))
    if listed is not None and bytes(listed) == b"null":
        return []
    bodies = texts(listed) if listed is not None else None
    if bodies is None:
        raise Retryable(f'the answer has no list at "{settings.items}"', hint='look at "items"')
    if len(bodies) > ITEMS_MAX:
        raise Retryable(f"the answer has more than {ITEMS_MAX} items", hint="ask for smaller pages")
    return bodies


def _item(settings: RestPollSettings, answer: Answer, body: bytes) -> Item:
    digest = sha256(body).hexdigest()
    number = scalar(body, parse(settings.id)) if settings.id else None
    kind = ITEM_TYPE if settings.items else answer.content_type
    if number is None:
        return Item(body, kind, digest)
    name = str(number)
    if len(name) > ID_CHARS_MAX or not name.isprintable():
        name = sha256(name.encode(errors="replace")).hexdigest()
    return Item(body, kind, f"{name}#{digest}")


def _following(
    settings: RestPollSettings,
    position: Position,
    url: str,
    answer: Answer,
    values: list[Value],
    has_items: bool,
    at_most_us: int,
) -> str:
    pages, cursor = settings.pages, settings.cursor
    if pages.by == "link":
        return _joined(url, answer.following) if answer.following else ""
    if pages.by == "body":
        said = scalar(answer.body, parse(pages.path))
        if said is None or said == "":
            return ""
        return _with(url, pages.parameter, str(said)) if pages.parameter else _joined(url, str(said))
    if pages.by == "keyset" and cursor is not None and has_items:
        reached = higher(cursor, position.highest, values, at_most_us)
        return ask_url(settings.url, cursor, reached, overlap=False) if reached not in {"", position.highest} else ""
    return ""


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        return target  # no address; whoever asks for it says so


def _with(url: str, parameter: str, value: str) -> str:
    """The URL with this parameter, instead of the one that it has."""
    parts = urlsplit(url)
    others = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != parameter]
    return urlunsplit(parts._replace(query=urlencode([*others, (parameter, value)])))
