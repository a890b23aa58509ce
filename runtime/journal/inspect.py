"""Proves or refutes what the journal says about itself, in slices that never hold the connection for long."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from functools import partial

from msgspec import Struct

from runtime import record
from runtime.journal import books, inbound, lanes, outbox, witness
from runtime.journal.journal import Journal
from runtime.journal.lanes import LaneRow

SLICE_ROWS_MAX = 500
"""Rows of one read: under 5 ms of the journal's connection."""
PROBLEMS_MAX = 20


class DispositionRow(Struct, frozen=True, kw_only=True):
    """What left and what stayed of one event: one row a field, for `journal export --dispositions`."""

    lane: str
    seq: int
    epoch: int
    origin: str
    type: str
    result: str
    policy: str
    path: str
    data_class: str
    action: str
    rule: str


async def verify(journal: Journal, *, whole_file: bool) -> list[str]:
    """Problems as sentences; empty means proven. `whole_file`: also SQLite's own check (slow; only when stopped)."""
    problems: list[str] = []
    if whole_file:
        for table in await journal.read(_tables):
            problems += await journal.read(partial(_integrity, table=table))
    async for problem in witness.facts(journal):
        if len(problems) == PROBLEMS_MAX:
            break
        problems.append(problem)
    problems += await witness.cursors(journal, await journal.read(lanes.everyone))
    account = await journal.read(books.read)
    if not account.balanced:
        problems.append(f"the books do not balance: {account.account()}")
    for lane in await journal.read(lanes.everyone):
        problems += await _verify_lane(journal, lane)
    problems += await inbound.problems(journal)
    return problems


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]


def _integrity(connection: sqlite3.Connection, table: str) -> list[str]:
    """SQLite's own check, one table with its indexes at a time."""
    found = connection.execute(f"PRAGMA integrity_check({table})").fetchmany(PROBLEMS_MAX)
    return [row[0] for row in found if row[0] != "ok"]


async def _verify_lane(journal: Journal, lane: LaneRow) -> list[str]:
    """The retained rows are contiguous and every chain hash follows from the one before."""
    seq = lane.oldest - 1
    previous = await journal.read(partial(outbox.chain_at, lane=lane, seq=seq))
    while seq < lane.sealed:
        rows = await journal.read(partial(outbox.after, lane=lane, seq=seq, rows_max=SLICE_ROWS_MAX))
        if not rows:
            return [f"lane {lane.name}: records {seq + 1} to {lane.sealed} are missing"]
        for row in rows:
            seq += 1
            if row[0] != lane.row_id(seq):
                return [f"lane {lane.name}: record {seq} is missing"]
            _, _, epoch, _, _, _, chain, subject, headers, data = row
            if previous is not None and chain != record.chain(previous, epoch, seq, subject.encode(), headers, data):
                return [f"lane {lane.name}: record {seq} does not match its chain hash; it was changed after sealing"]
            previous = chain
    if previous is not None and previous != lane.sealed_chain:
        return [f"lane {lane.name}: the last chain hash is not the one that was noted"]
    return []


async def dispositions(journal: Journal, lane: LaneRow, after: int) -> AsyncIterator[DispositionRow]:
    """What left and what stayed, by which rule, from the retained records of a lane."""
    seq = max(after, lane.oldest - 1)
    while seq < lane.sealed:
        rows = await journal.read(partial(_disposition_slice, lane=lane, after=seq))
        if not rows:
            return
        for row in rows:
            seq = row.seq
            yield row


def _disposition_slice(connection: sqlite3.Connection, lane: LaneRow, after: int) -> list[DispositionRow]:
    rows = connection.execute(
        """SELECT o.id, o.epoch, o.kind, o.headers, o.policy, d.type, f.value ->> 0, f.value ->> 1, f.value ->> 2,
                  f.value ->> 3
           FROM (SELECT * FROM outbox WHERE id > ? AND id <= ? ORDER BY id LIMIT 100) o
           JOIN dispositions d ON d.id = o.disposition, json_each(d.fields) f ORDER BY o.id, f.id""",
        (lane.row_id(after), lane.row_id(lane.sealed)),
    )
    return [
        DispositionRow(
            lane=lane.name,
            seq=row_id - lane.row_id(0),
            epoch=epoch,
            origin=record.parse_header_block(headers)[record.ORIGIN_HEADER],
            type=kind_name,
            result="withheld" if kind == outbox.WITHHELD else "released",
            policy=f"{policy:015x}",
            path=path,
            data_class=data_class,
            action=action,
            rule=rule,
        )
        for row_id, epoch, kind, headers, policy, kind_name, path, data_class, action, rule in rows
    ]
