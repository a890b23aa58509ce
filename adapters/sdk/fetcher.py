"""Governed GETs to one partner: paced, proven, bounded. What `rest_poll` and the following of thin messages share."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import anyio

from adapters.sdk import answers
from adapters.sdk.answers import Answer, NotThere
from adapters.sdk.credentials import Credentials
from adapters.sdk.fetching import Fetching
from adapters.sdk.login import token_pin
from adapters.sdk.pace import Pace
from adapters.sdk.partner import Partner
from adapters.sdk.pin import pin
from adapters.sdk.tokens import TOKEN_BYTES_MAX
from runtime.errors import Permanent, Refused, Retryable
from runtime.ports import SourceContext


class Fetcher:
    """Lives as long as its source, connections as long as the context: a restarted task keeps its pace and its token."""

    def __init__(self, settings: Fetching, context: SourceContext) -> None:
        """Raises `ConfigError`."""
        self._settings = settings
        self._context = context
        self.pin = pin(settings.url, settings.networks)
        self._tokens = _token_partner(settings)
        self._credentials = Credentials(settings.login, self._tokens, context.secret, context.now_us)
        self._partner = Partner(self.pin, seconds_max=settings.request_seconds_max, bytes_max=settings.body_bytes_max)
        self.pace = Pace(
            requests_per_hour_max=settings.requests_per_hour_max,
            backoff=settings.backoff,
            failures_max=settings.failures_max,
            open_seconds=settings.open_seconds,
            retry_after_seconds_max=settings.retry_after_seconds_max,
        )
        # Jitter only; nothing that anybody could want to guess.
        self._draw = random.Random(context.name).random  # noqa: S311
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for partner in filter(None, (self._tokens, self._partner)):
            await self._open.enter_async_context(partner)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """A document, no content, or "not modified". Waits for its turn first.

        Raises `Retryable`, `Permanent` or `Refused`, and keeps the next one waiting; `NotThere` does not, for it is about
        this document alone.
        """
        await self._turn()
        try:
            answer = await self._ask(url, headers or {})
            answers.judge(answer, str(self.pin.origin), self._context.now_us())
        except NotThere:
            self.pace.succeeded()
            raise
        except Retryable as error:
            self.failed(after_seconds=error.after_seconds, ill=error.after_seconds is None)
            raise
        except (Permanent, Refused):
            self.failed(ill=False)
            raise
        self.pace.succeeded()
        return answer

    async def _turn(self) -> None:
        while True:
            wait = self.pace.take(anyio.current_time())
            if not wait:
                return
            await anyio.sleep(wait)

    def failed(self, *, after_seconds: float | None = None, ill: bool = False) -> None:
        """The next request waits, longer with each failure in a row."""
        self.pace.failed(anyio.current_time(), self._draw(), after_seconds=after_seconds, ill=ill)

    async def _ask(self, url: str, headers: Mapping[str, str]) -> Answer:
        async def ask(login: dict[str, str]) -> Answer:
            return await self._partner.ask(url, {**self._settings.headers, **headers, **login})

        return await self._credentials.prove(ask)


def _token_partner(settings: Fetching) -> Partner | None:
    """Whoever gives us tokens, if anybody does."""
    if settings.login.kind != "oauth2":
        return None
    place = token_pin(settings.login, settings.reach, table="login")
    return Partner(place, seconds_max=settings.request_seconds_max, bytes_max=TOKEN_BYTES_MAX)
