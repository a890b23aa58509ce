"""The uplink's mind without any I/O: the pure parts against the hub in memory, one small step at a time."""

from __future__ import annotations

from collections.abc import Sequence

from runtime import record
from runtime.envelope import Sealed
from runtime.ports import LaneHead
from sync.loopback import MemoryHub, Stored
from sync.reconcile import Decision, HubView, range_to_prove, reconcile
from sync.window import Mode, Window
from sync.wire import parse_headers
from tests.support.lanes import REGION, seal

STREAM = record.stream_name(REGION, "realtime")


def frames_of(written: bytes) -> list[bytes]:
    """Single HPUB frames of one write."""
    found, at = [], 0
    while at < len(written):
        end = written.index(b"\r\n", at)
        size = int(written[at:end].rsplit(b" ", 1)[1])
        found.append(written[at : end + 2 + size + 2])
        at = end + 2 + size + 2
    return found


def stored_rows(hub: MemoryHub) -> dict[int, Stored]:
    """What the lane's stream holds, by sequence."""
    stream = hub.streams.get(STREAM)
    return {} if stream is None else stream.messages


def is_row(stored: Stored, row: Sealed) -> bool:
    """The hub holds exactly this sealed row."""
    headers = parse_headers(stored.headers)
    same_chain = headers.get(record.CHAIN_HEADER) == row.chain.hex()
    return (stored.subject, record.chained_headers(headers), stored.data) == (
        row.subject,
        row.headers,
        row.data,
    ) and same_chain


class Agent:
    """One region's lane: sealed rows, the acknowledged position, and the window if one is open."""

    def __init__(self, hub: MemoryHub, mode: Mode, label: str, *, manage: bool = False) -> None:
        self.hub, self.mode, self.label, self.manage = hub, mode, label, manage
        self.rows: list[Sealed] = []
        self.acked = 0
        self.oldest = 1
        self.window: Window | None = None
        self._windows = 0

    def seal(self, count: int, *, data: bytes | None = None) -> None:
        """More rows."""
        for _ in range(count):
            chain = self.rows[-1].chain if self.rows else record.GENESIS
            self.rows.append(seal(chain, len(self.rows) + 1, data=data))

    def chain(self, seq: int) -> bytes:
        """Our chain at a sequence."""
        return self.rows[seq - 1].chain if seq else record.GENESIS

    def head(self) -> LaneHead:
        """The lane as the port shows it."""
        sealed = len(self.rows)
        return LaneHead(
            epoch=1,
            sealed=sealed,
            sealed_chain=self.chain(sealed),
            acked=self.acked,
            acked_chain=self.chain(self.acked),
            oldest=self.oldest,
        )

    def look(self) -> Decision:
        """What the shell's look would bring, decided."""
        stream = self.hub.streams.get(STREAM)
        if stream is None:
            return reconcile(self.head(), HubView(exists=False), stream=STREAM, manage=self.manage)
        last, head = stream.last, self.head()
        born_at = max(1, stream.config.get("first_seq", 0))
        ours = self.chain(last) if last <= len(self.rows) and (last >= self.oldest or last in {0, self.acked}) else None
        view = HubView(last=last, first=stream.first, born_at=born_at, chain=self._theirs(head, last), ours=ours)
        return reconcile(head, view, stream=STREAM, manage=self.manage)

    def _theirs(self, head: LaneHead, last: int) -> bytes | None:
        messages = stored_rows(self.hub)
        if last == 0:
            return record.GENESIS
        chain = head.acked_chain
        to_prove = range_to_prove(head, last)
        for seq in to_prove:
            if seq not in messages:
                return None
            found = messages[seq]
            headers = parse_headers(found.headers)
            block, epoch = record.chained_headers(headers), int(headers[record.EPOCH_HEADER])
            chain = record.chain(chain, epoch, seq, found.subject.encode(), block, found.data)
        if to_prove:
            return chain
        said = messages.get(last)
        return None if said is None else bytes.fromhex(parse_headers(said.headers)[record.CHAIN_HEADER])

    def open(self, position: int, *, rows_max: int = 8, bytes_max: int = 65536) -> Window:
        """Begin a window behind `position`."""
        self._windows += 1
        label = f"{self.label}{self._windows}"
        self.acked = max(self.acked, position)
        self.window = Window(
            position, mode=self.mode, inbox="_INBOX.t", label=label, rows_max=rows_max, bytes_max=bytes_max
        )
        return self.window

    def send(self) -> list[bytes]:
        """What the shell would write now: rows if there are, else the commit; frames one by one."""
        window = self.window
        assert window is not None
        room = window.room()
        if room == 0:
            return frames_of(window.finish()) if window.starved else []
        rows: Sequence[Sealed] = self.rows[window.taken : window.taken + room]
        return frames_of(window.post(rows) if rows else window.finish())

    def settle(self) -> None:
        """Report what is stored; forget a window that has failed."""
        if self.window is not None:
            self.acked = max(self.acked, self.window.stored)
            if self.window.failure is not None:
                self.window = None
