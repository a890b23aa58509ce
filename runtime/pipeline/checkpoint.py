"""Signed checkpoints: the region's account of where every lane stands and that its books add up (promise 10)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from runtime import clock
from runtime.envelope import Checkpoint, LaneStatement
from runtime.identity import Identity
from runtime.journal import books, lanes
from runtime.journal.journal import Journal
from runtime.journal.store import SQLITE_VERSION, Connection
from runtime.signal import Signal

FORMAT = 1
PENDING_ROWS_MAX = 100
KEPT_MAX = 10_000
"""Sent checkpoints kept in the journal; the hub keeps all."""


class CheckpointStep:
    """Writes checkpoints and hands them to the uplink; implements `runtime.ports.Checkpoints`."""

    def __init__(
        self, journal: Journal, identity: Identity, region: str, environment: str, policy: str, config: str
    ) -> None:
        self._journal = journal
        self._identity = identity
        self._region = region
        self._environment = environment
        self.policy = policy
        self.config = config
        self._signal = Signal()
        self._sent = Signal()

    async def write(self, *, final: bool = False) -> int:
        """Sign where things stand now and return the checkpoint's number."""
        number = await self._journal.write(lambda connection: self._append(connection, final))
        self._signal.notify()
        return number

    def _append(self, connection: Connection, final: bool) -> int:
        row = connection.execute("SELECT number, digest FROM checkpoints ORDER BY number DESC LIMIT 1").fetchone()
        number, previous = (row[0] + 1, row[1]) if row else (1, "")
        statement = Checkpoint(
            format=FORMAT,
            region=self._region,
            environment=self._environment,
            number=number,
            issued_at=clock.rfc3339(clock.now_us()),
            epoch=self._journal.epoch,
            lanes={
                lane.name: LaneStatement(sealed=lane.sealed, acked=lane.acked, chain=lane.acked_chain.hex())
                for lane in lanes.everyone(connection)
            },
            books=books.read(connection).account(),
            policy=self.policy,
            config=self.config,
            sqlite=SQLITE_VERSION,
            previous=previous,
            final=final,
        )
        text = msgspec.json.encode(statement).decode()
        connection.execute(
            "INSERT INTO checkpoints (number, body, digest) VALUES (?, ?, ?)",
            (number, self._identity.sign("checkpoint", text), sha256(text.encode()).hexdigest()),
        )
        connection.execute("DELETE FROM checkpoints WHERE sent = 1 AND number <= ?", (number - KEPT_MAX,))
        return number

    async def pending(self) -> Sequence[tuple[int, bytes]]:
        """See `runtime.ports.Checkpoints`."""
        query = "SELECT number, body FROM checkpoints WHERE sent = 0 ORDER BY number LIMIT ?"
        return await self._journal.read(lambda connection: connection.execute(query, (PENDING_ROWS_MAX,)).fetchall())

    async def sent(self, number: int) -> None:
        """See `runtime.ports.Checkpoints`."""

        def mark(connection: Connection) -> None:
            connection.execute("UPDATE checkpoints SET sent = 1 WHERE number = ?", (number,))

        await self._journal.write(mark)
        self._sent.notify()

    async def resume(self, after: int) -> None:
        """See `runtime.ports.Checkpoints`."""

        def unmark(connection: Connection) -> None:
            connection.execute("UPDATE checkpoints SET sent = 0 WHERE number > ? AND sent = 1", (after,))

        await self._journal.write(unmark)

    async def changed(self) -> None:
        """Return when the next checkpoint has reached the hub."""
        await self._sent.wait()

    async def wait(self) -> None:
        """See `runtime.ports.Checkpoints`."""
        await self._signal.wait()
