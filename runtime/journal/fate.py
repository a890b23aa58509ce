"""What has become of one fact: still waiting, a letter, or events on their way to the hub or there already."""

from __future__ import annotations

import sqlite3
from typing import Literal

from msgspec import Struct

from runtime import clock
from runtime.journal import following, intake, lanes, letters, meta, outbox
from runtime.journal.keys import Keys
from runtime.journal.lanes import LaneRow
from runtime.journal.names import Names

State = Literal["accepted", "waiting", "letter", "ignored", "translated", "delivered", "withheld", "settled"]


class EventFate(Struct, frozen=True, kw_only=True):
    """One event of the fact."""

    output: int
    type: str
    state: State


class Fate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """accepted: not looked at yet · waiting: behind a letter of its key, or for the
    document that it leads to · letter: rejected, a person decides ·
    ignored: says nothing new · translated: on its way · delivered, withheld: at the hub, with or without its
    content · settled: dealt with so long ago that the details are gone.
    """

    source: str
    key: str
    state: State
    intake_seq: int
    sha256: str
    committed_at: str
    events: list[EventFate] = []
    reason: str = ""
    position: str = ""
    discarded: bool = False


def find(
    connection: sqlite3.Connection, names: Names, keys: Keys, source: str, key: str, caller: str | None
) -> Fate | None:
    """The fate of the fact with this key; None when there is none, or when it is another caller's."""
    accepted = intake.lookup(connection, names, keys, source, key)
    if accepted is None:
        return None
    seq = accepted.seq
    sender = connection.execute("SELECT caller FROM senders WHERE intake_seq = ?", (seq,)).fetchone()
    if sender is not None and names.name(connection, sender[0]) != caller:
        return None
    state, events = _state(connection, names, seq)
    reason, position, discarded = "", "", False
    if state == "letter":
        query = "SELECT reason, position, state = 'discarded' FROM letters WHERE intake_seq = ?"
        reason, position, discarded = connection.execute(query, (seq,)).fetchone()
    return Fate(
        source=source,
        key=key,
        state=state,
        intake_seq=seq,
        sha256=accepted.digest.hex(),
        committed_at=clock.rfc3339(accepted.committed_us),
        events=events,
        reason=reason,
        position=position,
        discarded=bool(discarded),
    )


def _state(connection: sqlite3.Connection, names: Names, seq: int) -> tuple[State, list[EventFate]]:
    letter = connection.execute("SELECT state FROM letters WHERE intake_seq = ?", (seq,)).fetchone()
    if letter is not None and letter[0] != "draining":
        return "letter", []
    if seq > connection.execute("SELECT translated FROM books").fetchone()[0]:
        return "accepted", []
    if letters.parked_behind(connection, seq) is not None:
        return "waiting", []
    if following.waits(connection, seq):
        return "waiting", []
    rows = connection.execute(
        "SELECT output, type, id >> 40, id & 0xFFFFFFFFFF FROM events WHERE intake_seq = ? ORDER BY output", (seq,)
    ).fetchall()
    if not rows:
        return ("settled" if seq <= meta.number(connection, "pruned_intake") else "ignored"), []
    known = {lane.id: lane for lane in lanes.everyone(connection)}
    events = [
        EventFate(output=output, type=names.name(connection, kind), state=_event(connection, known[lane], number))
        for output, kind, lane, number in rows
    ]
    states = {event.state for event in events}
    if "translated" in states:
        return "translated", events
    return ("withheld" if states == {"withheld"} else "delivered"), events


def _event(connection: sqlite3.Connection, lane: LaneRow, number: int) -> State:
    if number > lane.sealed_event:
        return "translated"
    found = _sealed(connection, lane, number)
    if found is None:
        return "delivered"  # `adopt` found it at the hub: it was not sealed again
    seq, kind = found
    if seq > lane.acked:
        return "translated"
    return "withheld" if kind == outbox.WITHHELD else "delivered"


def _sealed(connection: sqlite3.Connection, lane: LaneRow, number: int) -> tuple[int, int] | None:
    """Sequence and kind of the row that the n-th event was sealed into, by halving: numbers rise with sequences."""
    low, high = lane.oldest, lane.sealed
    query = "SELECT id, event, kind FROM outbox WHERE id BETWEEN ? AND ? AND event > 0 ORDER BY id LIMIT 1"
    while low <= high:
        middle = (low + high) // 2
        row = connection.execute(query, (lane.row_id(middle), lane.row_id(high))).fetchone()
        if row is None or row[1] > number:
            high = middle - 1
        elif row[1] < number:
            low = row[0] - lane.row_id(0) + 1
        else:
            return row[0] - lane.row_id(0), row[2]
    return None
