"""What the tables say of each other: every fact proves itself, bodies are those that were promised, cursors lie in their bounds.

One slice is one short query; a problem is a sentence. Used by `journal verify` on a running or a stopped journal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from hashlib import sha256
from typing import Any

from runtime.journal import intake, meta
from runtime.journal.intake import Fact
from runtime.journal.journal import Journal
from runtime.journal.keys import key_hash
from runtime.journal.lanes import LaneRow
from runtime.journal.store import Connection

SLICE_ROWS_MAX = 250
Row = tuple[Any, ...]
_FACTS = """
SELECT i.seq, i.epoch, n.name, i.key, i.sha256, i.content_type, i.received_us, i.committed_us, i.correlation,
       i.traceparent, i.headers, i.key_hash, i.proof, b.key_id, b.body
FROM intake i LEFT JOIN names n ON n.id = i.source AND n.kind = 'source' LEFT JOIN bodies b ON b.seq = i.seq
WHERE i.seq > ? ORDER BY i.seq LIMIT ?"""


async def facts(journal: Journal) -> AsyncIterator[str]:
    """Each accepted message: what is said of it, its body, and its key's place in the index."""
    seq = 0
    while rows := await journal.read(lambda c, after=seq: c.execute(_FACTS, (after, SLICE_ROWS_MAX)).fetchall()):  # type: ignore[misc]
        for row in rows:
            for problem in fact_problems(row):
                yield f"message {row[0]} {problem}"
        for missing in await journal.read(partial(_unindexed, rows=rows)):
            yield f"message {missing} is not found by its key: a repeat of it would count as new"
        seq = rows[-1][0]


def fact_problems(row: Row) -> list[str]:
    """What is wrong with one row of the walk over facts. Pure."""
    found = []
    source, key, digest, hashed, proof, key_id, body = row[2], row[3], row[4], row[11], row[12], row[13], row[14]
    if source is None:
        return ["is of a source that the journal does not name"]
    # Rows from before the proofs have none.
    if proof is not None and proof != intake.proof(Fact(*row[:11])):
        found.append("is not what was accepted: its row was changed")
    if hashed != (None if key is None else key_hash(source, key)):
        found.append("has a key that does not fit its index")
    if key_id == intake.NOT_ENCRYPTED and body is not None and sha256(body).digest() != digest:
        found.append("has a body that is not the one that was accepted")
    return found


def _unindexed(connection: Connection, rows: list[Row]) -> list[int]:
    """Facts that have a key and are not filed under it; the keys of the newest are in memory only."""
    keyed: int = connection.execute("SELECT keyed FROM books").fetchone()[0]
    filed = "SELECT 1 FROM keys WHERE hash = ? AND seq = ?"
    due = [(row[11], row[0]) for row in rows if row[11] is not None and row[0] <= keyed]
    return [seq for hashed, seq in due if not connection.execute(filed, (hashed, seq)).fetchone()]


async def cursors(journal: Journal, lanes: list[LaneRow]) -> list[str]:
    """Positions that cannot be, and rows that must be there."""
    problems = await journal.read(_books)
    for lane in lanes:
        problems += lane_problems(lane)
        problems += await journal.read(partial(_backlog, lane=lane))
    problems += [f"letter {number} is about a message that is gone" for number in await journal.read(_letters)]
    return problems


def lane_problems(lane: LaneRow) -> list[str]:
    """Figures of one lane that contradict each other. Pure."""
    rules = {
        f"acknowledged {lane.acked}, but sealed only {lane.sealed}": lane.acked > lane.sealed,
        f"sealed event {lane.sealed_event} of only {lane.queued}": lane.sealed_event > lane.queued,
        f"keeps records from {lane.oldest}, but {lane.acked} is not acknowledged": lane.oldest > lane.acked + 1,
        "has a figure below zero": min(lane.queued, lane.sealed_event, lane.sealed, lane.acked, lane.oldest) < 0,
    }
    return [f"lane {lane.name}: {sentence}" for sentence, broken in rules.items() if broken]


def _books(connection: Connection) -> list[str]:
    facts, translated = connection.execute("SELECT facts, translated FROM books").fetchone()
    highest = connection.execute("SELECT coalesce(max(seq), 0) FROM intake").fetchone()[0]
    pruned = meta.number(connection, "pruned_intake")
    rules = {
        f"translation stands at {translated}, but only {facts} messages were taken in": translated > facts,
        f"there is a message {highest}, but only {facts} were taken in": highest > facts,
        f"messages up to {pruned} were forgotten, but only {translated} were translated": pruned > translated,
    }
    problems = [sentence for sentence, broken in rules.items() if broken]
    # What a repair could not save is named in its report, and is no new damage.
    since = max(translated, meta.number(connection, "repaired_through"))
    waiting = connection.execute(
        "SELECT count(*) FROM (SELECT i.seq FROM intake i JOIN bodies b ON b.seq = i.seq WHERE i.seq > ? LIMIT ?)",
        (since, SLICE_ROWS_MAX),
    ).fetchone()[0]
    if waiting < min(facts - since, SLICE_ROWS_MAX):
        problems.append(f"of the {facts - since} messages that wait for translation some are missing")
    return problems


def _backlog(connection: Connection, lane: LaneRow) -> list[str]:
    """The first events that wait to be sealed are there, one after the other."""
    first, last = lane.row_id(lane.sealed_event + 1), lane.row_id(min(lane.queued, lane.sealed_event + SLICE_ROWS_MAX))
    found = connection.execute("SELECT count(*) FROM events WHERE id BETWEEN ? AND ?", (first, last)).fetchone()[0]
    missing = max(0, last - first + 1) - found
    return [f"lane {lane.name}: {missing} events that wait to be sealed are missing"] if missing else []


def _letters(connection: Connection) -> list[int]:
    return [
        row[0]
        for row in connection.execute(
            """SELECT l.id FROM letters l WHERE l.state = 'open'
               AND NOT EXISTS (SELECT 1 FROM bodies b WHERE b.seq = l.intake_seq) LIMIT 20"""
        )
    ]
