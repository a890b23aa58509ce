"""What the region knows, out of its journal: one object, a page of them, or the timeline of a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from runtime.gateway import problems
from runtime.gateway.api.cursors import Cursors
from runtime.gateway.api.operations import Operation, Route
from runtime.gateway.api.queries import Query
from runtime.journal import standing
from runtime.journal.names import Names
from runtime.journal.standing import Line, StandingRow
from runtime.journal.store import Connection
from runtime.standing.fold import DECODERS, together
from runtime.standing.records import Entry, Shipment

T = TypeVar("T")
NAMES_MAX = 8
"""Names that one shipment goes by, followed for one answer."""


class Read(Protocol):
    """`journal.read`."""

    def __call__(self, query: Callable[[Connection], T]) -> Awaitable[T]: ...


class Knowledge:
    """One journal's."""

    def __init__(self, read: Read, names: Names, key: bytes) -> None:
        """`key`: a secret of the region, for cursors."""
        self._read = read
        self._names = names
        self._cursors = Cursors(key)

    async def find(self, asked: Route, query: Query) -> object:
        """What JSON can say. Raises `Rejection` (404), `Retryable`, `StorageFailed`."""
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
