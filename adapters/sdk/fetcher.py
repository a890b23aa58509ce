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
from adapters.sdk.pace import Pace
from adapters.sdk.partner import Partner
from adapters.sdk.pin import pin
from runtime.errors import Permanent, Refused, Retryable
from runtime.ports import SourceContext

UNAUTHORIZED = 401


class Fetcher:
    """Lives as long as its source, connections as long as the context: a restarted task keeps its pace and its token."""

    def __init__(self, settings: Fetching, context: SourceContext) -> None:
        """Raises `ConfigError`."""
        self._settings = settings
        self._context = context
        self.pin = pin(settings.url, settings.networks)
        self._credentials = Credentials(settings, context.secret, anyio.current_time)
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
        await self._open.enter_async_context(self._credentials)
        await self._open.enter_async_context(self._partner)
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
        """One request; once more with a new token if the old one is not taken any more."""
        answer = await self._partner.ask(url, await self._dressed(headers))
        if answer.status == UNAUTHORIZED and self._credentials.forget():
            answer = await self._partner.ask(url, await self._dressed(headers))
        return answer

    async def _dressed(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {**self._settings.headers, **headers, **await self._credentials.headers()}
