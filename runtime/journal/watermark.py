"""Up to where headquarters has read a lane from the hub's disks and found it whole: what lies before may be forgotten.

Where no watermark has ever come, age alone decides (see `retention`).
"""

from __future__ import annotations

import sqlite3

from runtime.journal import meta, outbox
from runtime.journal.lanes import LaneRow


def note(connection: sqlite3.Connection, lane: LaneRow, seq: int, chain: bytes) -> bool:
    """Take a watermark over; False, and nothing has changed, when it speaks of another chain than this journal's.

    One that lies before what is retained is believed: the rows that could contradict it are gone. One beyond what this
    journal knows to be acknowledged waits for its acknowledgement.
    """
    if seq > lane.acked:
        return True
    ours = outbox.chain_at(connection, lane, seq) if seq >= lane.oldest else None
    if ours is not None and ours != chain:
        return False
    if seq > meta.number(connection, _name(lane), -1):
        meta.put(connection, **{_name(lane): seq})
    return True


def through(connection: sqlite3.Connection, lane: LaneRow) -> int:
    """The last sequence that may be forgotten as far as headquarters is concerned."""
    found = meta.number(connection, _name(lane), -1)
    return lane.acked if found < 0 else min(found, lane.acked)


def _name(lane: LaneRow) -> str:
    return f"verified_{lane.id}"
