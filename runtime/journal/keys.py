"""Which fact has which idempotency key: the newest keys in memory, all others in a table that is filled in its order.

A key put alone into its place of a large tree costs a page of disk; keys in the order of the tree share pages. Memory
only mirrors facts of the journal: it is read from them at the start, and again after a rollback.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain

from runtime.journal import books, rows

RUN_KEYS = 16_384
"""Keys that wait in memory before they are filed: twice as many at most are read at a start."""
RUN_FACTS = 65_536
"""So many facts are passed at most, whether or not they have keys, before the cursor moves."""
FILED_PER_FACT = 2
"""Keys filed with each new fact: a run is in the table before the next one is full."""
FIND_MAX = 64
"""Keys looked for by one statement."""


def key_hash(source: str, key: str) -> int:
    """Signed 64-bit number that narrows the search for a key; a collision costs one comparison."""
    return int.from_bytes(blake2b(f"{source}\0{key}".encode(), digest_size=8).digest(), "big", signed=True)


class Keys:
    """Used only on the journal's thread, inside its transactions."""

    def __init__(self, run_keys: int = RUN_KEYS, run_facts: int = RUN_FACTS) -> None:
        self._run_keys = run_keys
        self._run_facts = run_facts
        self._forget()

    def _forget(self) -> None:
        self._last = -1
        self._began = 0
        self._young: dict[int, tuple[int, ...]] = {}
        self._run: dict[int, tuple[int, ...]] = {}
        self._order: list[int] = []
        self._run_through = 0
        self._paid = 0

    def _mirror(self, connection: sqlite3.Connection, last: int) -> None:
        """Agree with the facts up to `last`, the last one of this transaction; after a rollback that is an earlier one."""
        if last == self._last:
            return
        if last < self._last:
            self._forget()
        keyed: int = connection.execute("SELECT keyed FROM books").fetchone()[0]
        start = max(self._last, keyed)
        if self._last < keyed:
            self._began = keyed
        wanted = "SELECT seq, key_hash FROM intake WHERE seq > ? AND seq <= ? AND key_hash IS NOT NULL"
        for seq, hashed in connection.execute(wanted, (start, last)):
            self._young[hashed] = (*self._young.get(hashed, ()), seq)
        self._last = last

    def add(self, seq: int, hashed: int | None) -> None:
        """The next fact of this transaction and the hash of its key, if it has one."""
        self._last = seq
        if hashed is not None:
            self._young[hashed] = (*self._young.get(hashed, ()), seq)

    def find(self, connection: sqlite3.Connection, hashes: Sequence[int]) -> tuple[int, list[int]]:
        """The last fact, and the facts whose key may have one of these hashes; some of them may be forgotten already."""
        # One statement for both: each one gives the interpreter lock away and has to win it back.
        rows_found = _look(
            connection, "SELECT 0, facts FROM books UNION ALL SELECT 1, seq FROM keys", hashes[:FIND_MAX]
        )
        last = rows_found[0][1]
        found = [seq for _, seq in rows_found[1:]]
        for start in range(FIND_MAX, len(hashes), FIND_MAX):
            found += [seq for _, seq in _look(connection, "SELECT 1, seq FROM keys", hashes[start : start + FIND_MAX])]
        self._mirror(connection, last)
        for memory in (self._young, self._run):
            found += [seq for hashed in hashes for seq in memory.get(hashed, ())]
        return last, found

    def file(self, connection: sqlite3.Connection, facts: int) -> None:
        """Move keys into the table, in its order, as many as `facts` new facts pay for."""
        self._paid += facts * FILED_PER_FACT
        some = min(FIND_MAX, self._run_keys)
        if not facts or self._paid < some or not (self._order or self._begin()):
            return
        while self._order and self._paid >= some:
            self._paid -= some
            self._file(connection, [self._order.pop() for _ in range(min(some, len(self._order)))])
        if not self._order:
            books.advance(connection, keyed=self._run_through)
            self._run, self._paid = {}, 0

    def _file(self, connection: sqlite3.Connection, hashes: Sequence[int]) -> None:
        seqs = list(chain.from_iterable(self._run[hashed] for hashed in hashes))
        for start in range(0, len(seqs), FIND_MAX):
            part = seqs[start : start + FIND_MAX]
            # Read from the facts: one that was forgotten meanwhile must not leave its key behind.
            wanted = "INSERT OR IGNORE INTO keys SELECT key_hash, seq FROM intake WHERE seq"
            connection.execute(rows.within(wanted, len(part)), part)

    def _begin(self) -> bool:
        self._paid = min(self._paid, 2 * FIND_MAX)  # nothing waited: nothing was paid for
        if len(self._young) < self._run_keys and self._last - self._began < self._run_facts:
            return False
        self._run, self._young = self._young, {}
        self._order = sorted(self._run, reverse=True)
        self._run_through = self._began = self._last
        return True


def _look(connection: sqlite3.Connection, head: str, hashes: Sequence[int]) -> list[tuple[int, int]]:
    return connection.execute(rows.within(f"{head} WHERE hash", len(hashes)), hashes).fetchall()


def forget(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Take the keys of these facts out of the table; must come before the facts themselves go."""
    connection.executemany(
        "DELETE FROM keys WHERE (hash, seq) IN (SELECT key_hash, seq FROM intake WHERE seq = ?)",
        [(seq,) for seq in seqs],
    )
