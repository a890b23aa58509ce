"""Answers the API's questions from the journal: who asks, how often, what is known, and what will end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import msgspec
from aiohttp import web
from msgspec.structs import replace

from runtime import clock
from runtime.errors import Forbidden, Refused, Retryable, StorageFailed
from runtime.gateway import problems
from runtime.gateway.answers import Answer, told
from runtime.gateway.api.cursors import Cursors
from runtime.gateway.api.openapi import openapi
from runtime.gateway.api.operations import Operation, Route
from runtime.gateway.api.queries import Query, read_query
from runtime.gateway.api.settings import ApiSettings
from runtime.gateway.desk import Desk, enter, fields, lines, source_quota
from runtime.gateway.problems import Rejection
from runtime.journal import standing
from runtime.journal.names import Names
from runtime.journal.standing import Line, StandingRow
from runtime.journal.store import Connection
from runtime.policy.throttle import Throttle
from runtime.ports import Request
from runtime.standing.fold import DECODERS, together
from runtime.standing.records import Entry, Shipment

T = TypeVar("T")
NAMES_MAX = 8
"""Names that one shipment goes by, followed for one answer."""


class Read(Protocol):
    """`journal.read`."""

    def __call__(self, query: Callable[[Connection], T]) -> Awaitable[T]: ...


class Enquiries:
    """One region's. Orders are not taken here: they go through the door of their source."""

    def __init__(
        self, settings: ApiSettings, desk: Desk, read: Read, names: Names, key: bytes, now: Callable[[], float]
    ) -> None:
        """`key`: a secret of the region, for cursors. `now`: monotonic seconds."""
        self.settings = settings
        self._desk = desk
        self._read = read
        self._names = names
        self._cursors = Cursors(key)
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
        path, _, query = request.raw_path.partition("?")
        caller = self._admit(operation, request, path, query)
        place = f"api:{operation.scope[1]}"
        allowance = enter(self._desk, caller, place, self._now(), clock.now_us())
        try:
            found = await self._find(asked, read_query(operation, query, self.settings.page_rows_max))
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
        except Forbidden as error:
            raise problems.forbidden(str(error)) from None
        except Refused as error:
            raise problems.unauthorized(str(error)) from None
        except Retryable as error:
            raise problems.unavailable(str(error), error.after_seconds) from None
        wait = self._throttle.take(self._now())
        if wait:
            raise self._too_many(wait)
        return caller

    def _quota(self, wait_seconds: float) -> Any:
        settings = self.settings
        left = 0.0 if wait_seconds else self._throttle.left(self._now())
        return source_quota(settings.rate_per_second, settings.burst, left, wait_seconds)

    def _too_many(self, wait_seconds: float) -> Rejection:
        rejection = problems.too_many(wait_seconds, "The API is asked")
        rejection.headers |= fields([self._quota(wait_seconds)])
        return rejection

    # ------------------------------------------------------------ what is known

    async def _find(self, asked: Route, query: Query) -> object:
        operation, values = asked.operation, asked.values
        if operation.kind == "timeline":
            return await self._timeline(f"{values['subject']}/{values['key']}", operation, query)
        if not operation.one:
            return await self._page(operation, query)
        (key,) = values.values()
        if operation.kind == "shipment":
            return await self._shipment(key)
        found = await self._read(lambda connection: standing.one(connection, operation.kind, key))
        if found is None:
            raise problems.not_known()
        return msgspec.Raw(found.body)

    async def _shipment(self, name: str) -> Shipment:
        found = await self._read(lambda connection: _every_name(connection, name))
        if not found:
            raise problems.not_known()
        return together(found)

    async def _page(self, operation: Operation, query: Query) -> object:
        question = _question(operation, query)
        after: tuple[str, str] = ("", "")
        if query.cursor is not None:
            after = self._position(question, query.cursor, tuple[str, str])
        key, group = query.filters.get(operation.key), query.filters.get(operation.group)

        def read(connection: Connection) -> list[StandingRow]:
            return standing.page(
                connection, operation.kind, after=after, rows_max=query.limit + 1, key=key, group=group
            )

        rows = await self._read(read)
        last = rows[query.limit - 1] if len(rows) > query.limit else None
        items = [msgspec.Raw(row.body) for row in rows[: query.limit]]
        return self._with_next(items, question, None if last is None else (last.key, last.part))

    async def _timeline(self, subject: str, operation: Operation, query: Query) -> object:
        question = f"{operation.id} {subject}"
        after = 0 if query.cursor is None else self._position(question, query.cursor, int)
        names = self._names

        def read(connection: Connection) -> list[tuple[int, Entry]]:
            found = standing.timeline(connection, subject, after, query.limit + 1)
            return [(number, _entry(line, connection, names)) for number, line in found]

        rows = await self._read(read)
        last = rows[query.limit - 1][0] if len(rows) > query.limit else None
        return self._with_next([entry for _, entry in rows[: query.limit]], question, last)

    def _position(self, question: str, cursor: str, kind: type[T]) -> T:
        found = self._cursors.read(question, cursor, kind)
        if found is None:
            raise problems.no_page()
        return found

    def _with_next(self, items: list[Any], question: str, last: object) -> dict[str, object]:
        page: dict[str, object] = {"items": items}
        if last is not None:
            page["next"] = self._cursors.write(question, last)
        return page


def _question(operation: Operation, query: Query) -> str:
    return f"{operation.id} {sorted(query.filters.items())}"


def _entry(line: Line, connection: Connection, names: Names) -> Entry:
    return Entry(
        origin=f"{line.epoch}.{line.intake_seq}.{line.output}",
        type=names.name(connection, line.type),
        source=names.name(connection, line.source),
        occurred_at=datetime.fromtimestamp(line.occurred_us / 1_000_000, UTC),
        status=line.status,
    )


def _every_name(connection: Connection, name: str) -> list[Shipment]:
    """The records of a shipment under all names that lead from this one."""
    names, found = [name], list[Shipment]()
    for asked in names:
        row = standing.one(connection, "shipment", asked)
        if row is not None:
            record: Shipment = DECODERS["shipment"](row.body)
            found.append(record)
            others = (record.tracking_number, record.shipment_id)
            names += [other for other in others if other and other not in names and len(names) < NAMES_MAX]
    return [replace(record, id=name) for record in found]
