"""Keeps up what the API answers from: a cursor over the events of each lane, moved in the transaction of translation."""

from __future__ import annotations

import msgspec

from runtime.journal import standing
from runtime.journal.journal import Journal
from runtime.journal.standing import EventRow, Line, Place, StandingRow
from runtime.journal.store import Connection
from runtime.standing.fold import DECODERS, Said, merge, read_mention, statements, subjects
from runtime.standing.records import Record

ROWS_MAX = 256
"""Events told in one change: more than one batch of translation makes, as a rule, and some milliseconds of work."""
_encode = msgspec.json.Encoder().encode


class StandingStep:
    """One journal's. Used on its thread only."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def advance(self, connection: Connection) -> int:
        """Tell the next events of every lane; returns how many are left."""
        left = 0
        told: list[EventRow] = []
        for lane, after, last in standing.behind(connection):
            found = standing.untold(connection, lane, after, ROWS_MAX - len(told))
            told += found
            # Fewer than asked for: what is missing up to the last has been forgotten in order.
            reached = last if len(told) < ROWS_MAX else found[-1].number if found else after
            if reached > after:
                standing.advance(connection, lane, reached)
            left += last - reached
        if told:
            told.sort(key=lambda event: (event.intake_seq, event.output))
            self._tell(connection, told)
        return left

    def _tell(self, connection: Connection, told: list[EventRow]) -> None:
        lines: list[Line] = []
        said: dict[Place, list[Said]] = {}
        for event in told:
            name = self._journal.names.name(connection, event.type)
            try:
                mention = read_mention(event.body)
                found = statements(name, event.body)
            except (msgspec.MsgspecError, ArithmeticError):
                continue  # an instant at the edge of the calendar, say: translation must not stop for an answer
            at = round(mention.occurred_at.timestamp() * 1_000_000)
            status = mention.milestone or mention.answer
            lines += [
                Line(s, event.type, event.source, event.epoch, event.intake_seq, event.output, at, status)
                for s in subjects(name, mention)
            ]
            for one in found:
                said.setdefault((one.kind, one.key, one.part), []).append(one)
        standing.append(connection, lines)
        self._write(connection, said)

    def _write(self, connection: Connection, said: dict[Place, list[Said]]) -> None:
        before = standing.find(connection, list(said))
        changed: list[StandingRow] = []
        for place, statements_of in said.items():
            row = before.get(place)
            record = old = None if row is None else DECODERS[row.kind](row.body)
            group = None if row is None else row.group
            for one in statements_of:
                record, group = _merged(record, one), one.group or group
            if record is not None and record is not old:
                kind, key, part = place
                changed.append(StandingRow(kind, key, part, group, _encode(record)))
        standing.put(connection, changed, before)


def _merged(record: Record | None, said: Said) -> Record | None:
    try:
        merged = merge(record, said.record)
    except ArithmeticError:
        return record  # sums beyond what decimals can hold
    return record if merged is None else merged
