"""Follows thin messages: what a webhook only announces is asked for, and becomes a fact of its own.

The message was committed before anybody asks; it waits in the journal until its document is in, or is a letter.
"""

from __future__ import annotations

import random
from functools import partial
from hashlib import sha256
from typing import Annotated

from msgspec import Meta, field

from adapters.sdk.answers import Answer
from adapters.sdk.fetcher import Fetcher
from adapters.sdk.fetching import Fetching
from adapters.sdk.login import Text, check_login
from adapters.sdk.pin import pin
from adapters.sdk.scheme import HeaderName
from runtime.envelope import Message
from runtime.errors import EntrepotError, Permanent, Refused, Retryable, StorageFull
from runtime.policy.retry import Backoff, wait_seconds
from runtime.ports import Follow, Notice, Notices, SourceContext

CONTENT_TYPE_CHARS_MAX = 200


class FollowSettings(Fetching, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`follow = { … }`: messages that only say "look" are followed to what they speak of. In `url`, `{order.no}` is what the message says there."""

    when: Annotated[str, Meta(min_length=1, max_length=2_000)] = "true"
    """Which messages those are: an expression, as in a mapping."""
    attempts_max: Annotated[int, Meta(ge=1, le=1_000)] = 12
    """So many failures make a message a letter: by default after about three hours."""
    again_seconds_min: Annotated[float, Meta(ge=0, le=86_400)] = 10.0
    """Wait after the first failure of a message; it doubles, with jitter."""
    again_seconds_max: Annotated[float, Meta(ge=0, le=604_800)] = 3_600.0
    """The longest wait between two attempts."""
    headers_kept: dict[HeaderName, Text] = field(default_factory=dict)
    """Given to the mapping as the headers of each document: its type, for example."""


def follow_rule(settings: FollowSettings) -> Follow:
    """What the kernel has to know."""
    return Follow(when=settings.when, url=settings.url)


def check_following(settings: FollowSettings) -> None:
    """Raises `ConfigError` for what cannot work, or could lead elsewhere."""
    check_login(settings.login, settings.reach, table="follow.login")
    pin(settings.url, settings.networks, key="follow.url")


class Follower:
    """Of one source: one document at a time."""

    def __init__(self, settings: FollowSettings, context: SourceContext) -> None:
        """Raises `ConfigError`."""
        self._settings = settings
        self._context = context
        self._fetcher = Fetcher(settings, context)
        self._schedule = Backoff(seconds_min=settings.again_seconds_min, seconds_max=settings.again_seconds_max)
        # Jitter only; nothing that anybody could want to guess.
        self._draw = random.Random(context.name).random  # noqa: S311
        self._log = partial(context.log, source=context.name)

    async def run(self) -> None:
        """Follow until cancelled. Raises what a person should see: a partner that stays away or refuses us."""
        notices = self._context.notices
        assert notices is not None, "whoever is asked to follow is lent the notices"
        async with self._fetcher:
            while True:
                await self._follow(notices, await notices.next())

    async def _follow(self, notices: Notices, notice: Notice) -> None:
        try:
            answer = await self._fetcher.get(notice.url)
        except StorageFull:
            raise
        except (Retryable, Permanent, Refused) as error:
            await self._try_later(notices, notice, error)
            if self._fetcher.pace.broken:
                raise
            return
        async with self._context.in_hand():
            await notices.followed(notice, self._document(notice, answer))

    async def _try_later(self, notices: Notices, notice: Notice, error: EntrepotError) -> None:
        failed = notice.attempts + 1
        self._log("follow_failed", reason=str(error), attempts=failed, intake_seq=notice.intake_seq)
        if failed >= self._settings.attempts_max:
            plural = "attempt" if failed == 1 else "attempts"
            reason = f"the document that this message leads to was not given in {failed} {plural}: {error}"
            await notices.give_up(notice, reason, error.hint or "`entrepot letters retry` asks for it again")
            return
        after = error.after_seconds if isinstance(error, Retryable) else None
        await notices.postpone(notice, wait_seconds(self._schedule, failed, self._draw(), after_seconds=after))

    def _document(self, notice: Notice, answer: Answer) -> Message | None:
        """None for an answer without content. The same document for the same notice is one fact."""
        if not answer.body.strip():
            return None
        said = answer.headers.get("etag", "").encode() or answer.body
        return Message(
            body=answer.body,
            content_type=answer.content_type[:CONTENT_TYPE_CHARS_MAX],
            key=f"{notice.document_key}#{sha256(said).hexdigest()}",
            headers=self._settings.headers_kept,
            correlation_id=notice.correlation_id,
        )
