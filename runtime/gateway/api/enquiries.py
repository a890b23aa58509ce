"""Where the API's questions are asked: who may, how often, and which of them will end. What is known, `knowledge` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web

from runtime import clock
from runtime.access.allowance import Quota
from runtime.errors import Refused, Retryable, StorageFailed
from runtime.gateway import problems
from runtime.gateway.answers import Answer, told
from runtime.gateway.api.knowledge import Knowledge
from runtime.gateway.api.openapi import openapi
from runtime.gateway.api.operations import Operation, Route
from runtime.gateway.api.queries import read_query
from runtime.gateway.api.settings import ApiSettings
from runtime.gateway.desk import Desk, enter, fields, lines, source_quota
from runtime.gateway.headers import origin_form
from runtime.gateway.problems import Rejection
from runtime.policy.throttle import Throttle
from runtime.ports import Request


class Enquiries:
    """One region's. Orders are not taken here: they go through the door of their source."""

    def __init__(self, settings: ApiSettings, desk: Desk, knowledge: Knowledge, now: Callable[[], float]) -> None:
        """`now`: monotonic seconds."""
        self.settings = settings
        self._desk = desk
        self._knowledge = knowledge
        self._now = now
        self._throttle = Throttle(settings.rate_per_second, settings.burst)
        self._in_flight = 0
        self.document = msgspec.json.encode(openapi(settings))
        """Finished bytes."""

    def ending(self, operation: Operation) -> Mapping[str, str]:
        """The headers that say that an operation will end."""
        said = self.settings.deprecation(operation.id)
        return {} if said is None else said.fields

    async def answer(self, asked: Route, request: web.BaseRequest) -> Answer:
        """200 with what is known. Raises `Rejection`."""
        if self._in_flight >= self.settings.in_flight_max:
            raise self._too_many(1.0)
        self._in_flight += 1
        try:
            return await self._answer(asked, request)
        finally:
            self._in_flight -= 1

    async def _answer(self, asked: Route, request: web.BaseRequest) -> Answer:
        operation = asked.operation
        path, _, query = origin_form(request.raw_path).partition("?")
        caller = self._admit(operation, request, path, query)
        place = f"api:{operation.scope[1]}"
        allowance = enter(self._desk, caller, place, self._now(), clock.now_us())
        try:
            found = await self._knowledge.find(asked, read_query(operation, query, self.settings.page_rows_max))
        except (Retryable, StorageFailed) as error:
            raise problems.unavailable(str(error)) from None
        finally:
            allowance.leave()
        quotas = allowance.quotas(self._now(), clock.now_us()) or [self._quota(0.0)]
        ending = "".join(f"{name}: {value}\r\n" for name, value in self.ending(operation).items())
        return told(found, lines(quotas) + ending)

    def _admit(self, operation: Operation, request: web.BaseRequest, path: str, query: str) -> str:
        asked = Request(
            headers=request.headers,
            body=b"",
            remote=request.remote or "",
            path=path,
            query=query,
            certificate=request.protocol.certificate,  # type: ignore[attr-defined]
        )
        try:
            caller = self._desk.authorize(operation.scope, asked)
        except (Refused, Retryable) as error:
            raise problems.turned_away(error) from None
        wait = self._throttle.take(self._now())
        if wait:
            raise self._too_many(wait)
        return caller

    def _quota(self, wait_seconds: float) -> Quota:
        settings = self.settings
        left = 0.0 if wait_seconds else self._throttle.left(self._now())
        return source_quota(settings.rate_per_second, settings.burst, left, wait_seconds)

    def _too_many(self, wait_seconds: float) -> Rejection:
        rejection = problems.too_many(wait_seconds, "The API is asked")
        rejection.headers |= fields([self._quota(wait_seconds)])
        return rejection
