"""Proves or refutes what the journal says about the inbox, the deliveries and the books of each target."""

from __future__ import annotations

import sqlite3

from runtime import record
from runtime.downlink import INBOX
from runtime.journal import inbox, meta, targets
from runtime.journal.journal import Journal
from runtime.journal.targets import TargetRow

SLICE_ROWS_MAX = 500


async def problems(journal: Journal) -> list[str]:
    """Sentences; empty means proven."""
    found = await journal.read(_of_targets)
    for downlink in await journal.read(inbox.downlinks):
        found += await _of_inbox(journal, downlink)
    return found


async def _of_inbox(journal: Journal, downlink: inbox.DownlinkRow) -> list[str]:
    """Kept records continue each other, up to the position that was noted."""
    number, before = 0, None
    while rows := await journal.read(lambda connection, n=number: inbox.after(connection, n, SLICE_ROWS_MAX)):  # type: ignore[misc]
        for row in rows:
            number = row.number
            if row.downlink != downlink.id:
                continue
            if before is not None and row.seq == before.seq + 1 and not _continues(before, row):
                return [f"inbox: record {row.seq} of {downlink.region} was changed after it was taken in"]
            before = row
    if before is not None and downlink.chain and (before.seq, before.chain) != (downlink.seq, downlink.chain):
        return [f"inbox: the last record of {downlink.region} is not the one that was noted"]
    return []


def _continues(before: inbox.InboxRow, row: inbox.InboxRow) -> bool:
    again = record.chain(before.chain, row.epoch, row.seq, row.subject.encode(), row.headers, row.data)
    return again == row.chain


def _of_targets(connection: sqlite3.Connection) -> list[str]:
    last = meta.number(connection, inbox.LAST)
    found: list[str] = []
    for row in targets.everyone(connection):
        found += [f"target {row.name}: {sentence}" for sentence, broken in _rules(connection, row, last) if broken]
    return found


def _rules(connection: sqlite3.Connection, row: TargetRow, last: int) -> list[tuple[str, bool]]:
    count = "SELECT count(*) FROM deliveries WHERE target = ? AND state = ?"
    unfinished: int = connection.execute(count, (row.id, "open")).fetchone()[0]
    waiting: int = connection.execute(count, (row.id, "letter")).fetchone()[0]
    unlooked = row.counted - row.looked
    return [
        (f"its books do not balance: {row.account()}", not row.balanced),
        (f"{row.pending} are pending, but {unfinished + unlooked} are there", row.pending != unfinished + unlooked),
        (f"{row.letters} letters wait, but {waiting} are there", row.letters != waiting),
        ("it has looked at more than it received", row.looked > row.counted),
        (f"it received {row.counted} rows of {last}", row.active and row.reads == INBOX and row.counted < last),
    ]
