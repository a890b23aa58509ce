"""What is on the wire of one lane, and what each answer means: stored, refused, or unknown. Pure.

A window only moves forward. The first refusal or doubt ends it; then the hub's leader is asked and a new window
begins. With fast ingest all rows on the wire belong to one batch in gap mode `fail`: behind a refused row nothing
is stored, so two writers can never mix. A new batch begins only when the one before it has been answered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from runtime.envelope import Sealed
from sync import wire
from sync.channel import WRONG_SEQUENCE

GRANTS_MAX = 4
"""Flow acknowledgements that may be outstanding (`flow × outstanding` of ADR-50)."""
PROMPT_ROWS_MAX = 64
"""Up to here, and with nothing else on the wire, rows go as a batch of their own and are answered at once."""
UNKNOWN_BATCH = 10208
"""The batch has ended before (leader change, 10 s of silence, an earlier refusal)."""
BATCH_FAULTS = (frozenset(range(10174, 10180)) | frozenset(range(10199, 10213))) - {UNKNOWN_BATCH}
"""Errors about batching itself: fast ingest is switched off, full or unknown at this server."""

Mode = Literal["fast", "single"]


class Failure(Struct, frozen=True):
    """Why the window ended."""

    kind: Literal["sequence", "batching", "refused", "unknown"]
    """sequence: maybe stored. batching: try singles. refused: the hub said why. unknown: nobody knows."""
    reason: str


class Window:
    """Bounds are in rows and bytes without an answer. `label` must be unique among all agents, ever."""

    def __init__(self, position: int, *, mode: Mode, inbox: str, label: str, rows_max: int, bytes_max: int) -> None:
        self.mode = mode
        self.taken = position
        """Last row given to `post`; the last one may be held back until it is known whether more follow."""
        self.sent = position
        self.stored = position
        self.failure: Failure | None = None
        self._flow = max(1, rows_max // GRANTS_MAX)
        self._granted = self._flow
        self._inbox, self._label = inbox.encode(), label.encode()
        self._rows_max, self._bytes_max = rows_max, bytes_max
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._held: Sealed | None = None
        self._batches = 0
        self._first = position + 1
        self._closed = True
        self._early: set[int] = set()

    @property
    def outstanding(self) -> int:
        """Rows sent and not known to be stored."""
        return self.sent - self.stored

    def room(self) -> int:
        """Rows worth taking now; 0: wait for an answer, or `finish` if `starved`."""
        if self.mode == "fast" and self._closed and self.outstanding:
            return 0
        most = min(self._rows_max, self._granted * GRANTS_MAX)
        rows = most - self.outstanding
        if self.outstanding and (rows < most // GRANTS_MAX or self._bytes >= self._bytes_max):
            return 0
        average = self._bytes // self.outstanding if self.outstanding else wire.FRAME_OVERHEAD_BYTES * 4
        fitting = (self._bytes_max - self._bytes) // max(1, average)
        return max(1, min(rows, fitting, self._rows_max // 2))

    @property
    def starved(self) -> bool:
        """No room, and too few rows on the wire for the next flow acknowledgement: only a commit brings an answer."""
        return self._held is not None and self.outstanding < self._granted

    def post(self, rows: Sequence[Sealed]) -> bytes:
        """Frames for rows that follow `taken`; the last row may be kept for `finish`."""
        assert rows[0].seq == self.taken + 1, "rows must follow each other without a gap"
        assert rows[-1].seq - rows[0].seq == len(rows) - 1, "rows must follow each other without a gap"
        self.taken = rows[-1].seq
        if self.mode == "single":
            return self._frames(rows, commit=False)
        if self._held is None and len(rows) <= PROMPT_ROWS_MAX:
            return self._frames(rows, commit=True)
        ready = [self._held, *rows] if self._held is not None else list(rows)
        self._held = ready.pop()
        return self._frames(ready, commit=False)

    def finish(self) -> bytes:
        """Frame that commits the open batch with the row held back; empty when none is."""
        if self._held is None:
            return b""
        last, self._held = self._held, None
        return self._frames([last], commit=True)

    def _frames(self, rows: Sequence[Sealed], *, commit: bool) -> bytes:
        if not rows:
            return b""
        if self.outstanding == 0 and (self._closed or self.mode == "single"):
            self._batches += 1
            self._first = self.sent + 1
            self._early.clear()
        self._closed = commit
        sizes = [wire.size_bytes(row) for row in rows]
        self._sizes.extend(sizes)
        self._bytes += sum(sizes)
        number = rows[0].seq - self._first + 1
        self.sent = rows[-1].seq
        reply = b"%b.%b" % (self._inbox, self._name())
        if self.mode == "single":
            return wire.single_frames(rows, reply, number)
        return wire.fast_frames(rows, reply, number, flow=self._flow, commit=commit)

    def _name(self) -> bytes:
        return b"%b-%d" % (self._label, self._batches)

    def answer(self, subject: bytes, headers: bytes, data: bytes) -> None:
        """Feed one message of the inbox; late ones of an earlier batch are ignored."""
        if self.failure is not None:
            return
        try:
            name, number = wire.split_reply(subject)
        except ValueError:
            return
        if name != self._name():
            return
        reply = wire.parse_reply(headers, data)
        if reply.error is not None:
            self._refused(reply.error)
        elif reply.type == "ack":
            self._granted = max(1, min(self._flow, reply.msgs or self._flow))
            self._advance(self._first + reply.seq - 1)
        elif reply.type or not reply.stream:
            self.fail("unknown", f"the hub answered {reply.type or 'something unexpected'}")
        elif reply.batch:
            self._ended(reply.seq)
        else:
            self._one(self._first + number - 1, reply.seq)

    def fail(self, kind: Literal["unknown", "refused"], reason: str) -> None:
        """End the window from outside: time-out, lost connection."""
        self.failure = self.failure or Failure(kind, reason)

    def _refused(self, fault: wire.ApiFault) -> None:
        said = f"{fault.description} (error {fault.err_code or fault.code})"
        if fault.err_code in WRONG_SEQUENCE:
            self.failure = Failure("sequence", said)
        elif fault.err_code in BATCH_FAULTS:
            self.failure = Failure("batching", said)
        else:
            self.failure = Failure("unknown" if fault.err_code in {0, UNKNOWN_BATCH} else "refused", said)

    def _ended(self, seq: int) -> None:
        """The publish acknowledgement that ends a batch, committed or abandoned."""
        if self._closed and seq == self.sent:
            self._advance(seq)
        else:
            self.fail("unknown", f"the hub ended a batch at {seq}, sent were {self.sent}")

    def _one(self, row: int, seq: int) -> None:
        """A publish acknowledgement of a single row; counts only without a gap, for a row can be stored although
        the one before it was refused to us.
        """
        if seq != row:
            self.fail("unknown", f"the hub stored event {row} at {seq}")
            return
        self._early.add(row)
        through = self.stored
        while through + 1 in self._early:
            through += 1
            self._early.discard(through)
        self._advance(through)

    def _advance(self, through: int) -> None:
        if through > self.sent:
            self.fail("unknown", f"the hub acknowledged event {through}, sent were {self.sent}")
            return
        while self.stored < through:
            self.stored += 1
            self._bytes -= self._sizes.popleft()
