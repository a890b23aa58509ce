"""Polls one partner: asks, hands over what is new, and commits how far it has come together with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256

import anyio
from msgspec.structs import replace

from adapters.rest_poll.cursor import (
    Position,
    after,
    ask_url,
    begin_again,
    read_position,
    validators,
    write_position,
)
from adapters.rest_poll.pages import Item, Page, read_page
from adapters.rest_poll.settings import RestPollSettings, check_polling
from adapters.sdk.answers import NOT_MODIFIED, Answer, NotThere
from adapters.sdk.fetcher import Fetcher
from adapters.sdk.pin import pin
from runtime.envelope import Message, Receipt
from runtime.errors import EntrepotError, Refused, Retryable, StorageFull
from runtime.ports import Request, SourceContext

BATCH_ITEMS_MAX = 500
"""Items of one transaction. The cursor moves with the last of a page."""
KNOWN_MAX = 20_000
"""Keys remembered, so that the overlap of each poll costs no commit."""


class RestPollSource:
    """One polled partner. What it remembers beside the journal only saves work."""

    def __init__(self, settings: RestPollSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._fetcher = Fetcher(settings, context)
        self._known: dict[str, None] = {}
        self._log = partial(context.log, source=context.name)

    def authenticate(self, request: Request) -> None:
        """Raises `Refused`: nothing comes in by HTTP."""
        raise Refused("This source asks by itself and takes no requests.")

    async def run(self) -> None:
        """Poll until cancelled. Raises what a person should see: a partner that stays away, or wants something else."""
        position = read_position(await self._context.intake.cursor())
        async with self._fetcher:
            while True:
                try:
                    position = await self._poll(position)
                except StorageFull:
                    raise
                except Retryable as error:
                    self._log("poll_failed", reason=str(error))
                    if self._fetcher.pace.broken:
                        raise
                    position = read_position(await self._context.intake.cursor())
                    continue
                await anyio.sleep(self._settings.every_seconds)

    async def _poll(self, position: Position) -> Position:
        """One poll, or the rest of one. The position that it returns is committed."""
        facts, may_begin_again = 0, True
        while True:
            url = position.page or ask_url(self._settings.url, self._settings.cursor, position.since)
            try:
                answer = await self._fetcher.get(url, validators(position, url))
            except NotThere:
                if not position.page or not may_begin_again:
                    self._fetcher.failed()
                    raise
                # Its bookmark has ended: partners keep them for minutes only.
                self._log("poll_begins_again", pages=position.pages)
                position, may_begin_again = begin_again(position), False
                continue
            if answer.status == NOT_MODIFIED:
                return position
            page = self._read(position, url, answer)
            following = after(position, self._settings.cursor, page.step)
            async with self._context.in_hand():
                facts += await self._commit(page, following, moved=following != position)
            position = following
            if not position.page:
                if facts:
                    self._log("poll_done", facts=facts)
                return position

    def _read(self, position: Position, url: str, answer: Answer) -> Page:
        try:
            page = read_page(self._settings, position, url, answer, self._context.now_us())
            if page.step.page:
                self._fetcher.pin.within(page.step.page)  # before it is committed that we go on there
        except EntrepotError:
            self._fetcher.failed(ill=True)
            raise
        if page.items and self._settings.cursor is not None and not page.step.values:
            self._log("poll_without_cursor", path=self._settings.cursor.path)
        return page

    async def _commit(self, page: Page, following: Position, *, moved: bool) -> int:
        """Hand over what is not known, and the position with the last of it. Returns how many facts are new."""
        fresh = {item.own_key: self._message(item) for item in page.items if item.own_key not in self._known}
        messages, facts = list(fresh.values()), 0
        while messages or moved:
            batch, messages = messages[:BATCH_ITEMS_MAX], messages[BATCH_ITEMS_MAX:]
            last = write_position(following) if not messages else None
            facts += await self._accept(batch, last)
            moved = moved and last is None
        for key in fresh:
            self._remember(key)
        return facts

    async def _accept(self, batch: Sequence[Message], cursor: str | None) -> int:
        try:
            receipts = await self._context.intake.accept(batch, cursor=cursor)
        except Refused:
            # A key that the mapping found stands for another body by now: what was changed is a fact of its own.
            receipts = []
            for message in batch:
                receipts += await self._accept_changed(message)
            if cursor is not None:
                await self._context.intake.accept([], cursor=cursor)
        return sum(not receipt.duplicate for receipt in receipts)

    async def _accept_changed(self, message: Message) -> list[Receipt]:
        try:
            return await self._context.intake.accept([message])
        except Refused:
            self._log("poll_item_changed", hint="the mapping's key says the same for another body")
            key = f"{sha256(str(message.key).encode()).hexdigest()[:32]}#{sha256(message.body).hexdigest()}"
            return await self._context.intake.accept([replace(message, key=key)])

    def _message(self, item: Item) -> Message:
        kept = self._settings.headers_kept
        key = self._context.key(item.body, item.content_type, kept) or item.own_key
        return Message(body=item.body, content_type=item.content_type, key=key, headers=kept)

    def _remember(self, own_key: str) -> None:
        self._known[own_key] = None
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]


class RestPollAdapter:
    """The entry object `rest_poll`."""

    name = "rest_poll"
    settings = RestPollSettings
    accepts_http = False

    def source(self, settings: RestPollSettings, context: SourceContext) -> RestPollSource:
        """Raises `ConfigError` when a secret is missing."""
        return RestPollSource(settings, context)

    def check(self, settings: RestPollSettings, *, loopback: bool) -> Sequence[str]:
        """Raises `ConfigError` for what cannot work, or could lead elsewhere."""
        check_polling(settings)
        pin(settings.url, settings.networks)
        notes = []
        if settings.login.kind == "none":
            notes.append("it asks without proving who we are (login)")
        if settings.cursor is not None and settings.cursor.kind == "instant" and not settings.cursor.overlap_seconds:
            notes.append("overlap_seconds = 0: what the partner commits late, or moves while we page, is never seen")
        return notes
