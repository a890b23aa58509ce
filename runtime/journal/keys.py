"""Which fact has which idempotency key: the newest keys in memory, all others in a table that is filled in its order.

A key put alone into its place of a large tree costs a page of disk; keys in the order of the tree share pages. Memory
only mirrors facts of the journal: it is read from them at the start, and again after a rollback.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from itertools import chain

from runtime.journal import books, meta, rows

RUN_KEYS = 49_152
"""Keys that wait in memory before they are filed: twice as many at most are read at a start."""
RUN_FACTS = 65_536
"""So many facts are passed at most, whether or not they have keys, before the cursor moves."""
FILED_PER_FACT = 2
"""Keys filed with each new fact: a run is in the table before the next one is full."""
FIND_MAX = 64
"""Keys looked for, or filed, by one statement."""
_FORGOTTEN = "forgotten"
"""In `meta`: the last fact whose key was ever forgotten."""
_FILE_WHAT_IS_LEFT = "INSERT OR IGNORE INTO keys SELECT key_hash, seq FROM intake WHERE seq"


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
        self._young: dict[int, int] = {}
        self._run = _Run({}, 0)
        self._twins: dict[int, list[int]] = {}
        """Further facts of a hash, young ones and those of the run: its key was forgotten in between, or they collide."""
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
            self.add(seq, hashed)
            if not self._run.waiting:
                self._begin()
        self._last = last

    def add(self, seq: int, hashed: int | None) -> None:
        """The next fact of this transaction and the hash of its key, if it has one."""
        self._last = seq
        if hashed is not None and self._young.setdefault(hashed, seq) != seq:
            self._twins.setdefault(hashed, []).append(seq)

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
            found += [seq for seq in map(memory.get, hashes) if seq is not None]
        if self._twins:
            found += chain.from_iterable(self._twins.get(hashed, ()) for hashed in hashes)
        return last, found

    def file(self, connection: sqlite3.Connection, facts: int) -> None:
        """Move keys into the table, in its order, as many as `facts` new facts pay for."""
        self._paid += facts * FILED_PER_FACT
        some = min(FIND_MAX, self._run_keys)
        if not facts or self._paid < some or not (self._run.waiting or self._begin()):
            return
        run = self._run
        while run.waiting and self._paid >= some:
            self._paid -= some
            self._file(connection, run.take(some))
        if not run.waiting:
            books.advance(connection, keyed=run.through)
            later = {hashed: [seq for seq in seqs if seq > run.through] for hashed, seqs in self._twins.items()}
            self._twins = {hashed: seqs for hashed, seqs in later.items() if seqs}
            self._run, self._paid = _Run({}, 0), 0

    def _file(self, connection: sqlite3.Connection, pairs: list[tuple[int, int]]) -> None:
        if self._twins:
            through = self._run.through
            pairs += [(hashed, seq) for hashed, _ in pairs for seq in self._twins.get(hashed, ()) if seq <= through]
        for start in range(0, len(pairs), FIND_MAX):
            part = pairs[start : start + FIND_MAX]
            filed = connection.execute(_filing(len(part)), [*chain.from_iterable(part)])
            if filed.rowcount < len(part):
                # Some may be forgotten meanwhile, and must not leave their key behind: as the facts say.
                seqs = [seq for _, seq in part]
                connection.execute(rows.within(_FILE_WHAT_IS_LEFT, len(seqs)), seqs)

    def _begin(self) -> bool:
        self._paid = min(self._paid, 2 * FIND_MAX)  # nothing waited: nothing was paid for
        if len(self._young) < self._run_keys and self._last - self._began < self._run_facts:
            return False
        self._run, self._young = _Run(self._young, self._last), {}
        self._began = self._last
        return True


class _Run:
    """Keys on their way into the table, in its order: they take 16 bytes each, where a young one takes a hundred."""

    def __init__(self, keys: Mapping[int, int], through: int) -> None:
        """`through`: all facts up to it are in the table once this run is."""
        order = sorted(keys)
        self._hashes = array("q", order)
        self._seqs = array("q", map(keys.__getitem__, order))
        self._filed = 0
        self.through = through
        self.waiting = bool(through)

    def get(self, hashed: int) -> int | None:
        """The fact with this hash."""
        at = bisect_left(self._hashes, hashed)
        return self._seqs[at] if at < len(self._hashes) and self._hashes[at] == hashed else None

    def take(self, count: int) -> list[tuple[int, int]]:
        """The next ones as (hash, fact)."""
        start, self._filed = self._filed, self._filed + count
        self.waiting = self._filed < len(self._hashes)
        return list(zip(self._hashes[start : self._filed], self._seqs[start : self._filed], strict=True))


@cache
def _filing(count: int) -> str:
    """Files so many (hash, fact) pairs by value; none of facts that may be forgotten."""
    return f"""INSERT OR IGNORE INTO keys SELECT column1, column2 FROM (VALUES {", ".join(["(?, ?)"] * count)})
    WHERE column2 > (SELECT coalesce(max(value), 0) FROM meta WHERE name = '{_FORGOTTEN}')"""


def _look(connection: sqlite3.Connection, head: str, hashes: Sequence[int]) -> list[tuple[int, int]]:
    return connection.execute(rows.within(f"{head} WHERE hash", len(hashes)), hashes).fetchall()


def forget(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Take the keys of these facts out of the table; must come before the facts themselves go."""
    connection.executemany(
        "DELETE FROM keys WHERE (hash, seq) IN (SELECT key_hash, seq FROM intake WHERE seq = ?)",
        [(seq,) for seq in seqs],
    )
    if seqs:
        meta.put(connection, **{_FORGOTTEN: max(*seqs, meta.number(connection, _FORGOTTEN))})
