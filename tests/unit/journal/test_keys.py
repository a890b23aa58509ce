"""The table of keys and its mirror in memory against a plain dictionary: through rollbacks, restarts and forgetting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runtime.journal import keys as keys_module
from runtime.journal.keys import Keys
from runtime.journal.migrate import migrate
from tests.support.examples import examples
from tests.support.kernel import Bench, configure, message

HASHES = st.integers(1, 6)
"""So few that they collide."""
FACT = """INSERT INTO intake (seq, epoch, source, key_hash, key, sha256, content_type, received_us, committed_us,
correlation) VALUES (?, 1, 1, ?, '', x'', '', 0, 0, x'')"""


class KeysModel(RuleBasedStateMachine):
    """`committed` is the truth: (sequence, hash or None) of each fact that is there."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.connection)
        self.committed: dict[int, int | None] = {}
        self.last = 0
        self.keys = Keys(run_keys=4, run_facts=10)

    def teardown(self) -> None:
        self.connection.close()

    @rule(hashes=st.lists(st.none() | HASHES, max_size=9), ending=st.sampled_from(["COMMIT", "COMMIT", "ROLLBACK"]))
    def accept(self, hashes: list[int | None], ending: str) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        assert self.keys.find(self.connection, [])[0] == self.last
        facts = dict(enumerate(hashes, self.last + 1))
        for seq, hashed in facts.items():
            self.connection.execute(FACT, (seq, hashed))
            self.keys.add(seq, hashed)
        self.connection.execute("UPDATE books SET facts = facts + ?", (len(facts),))
        self.keys.file(self.connection, len(facts))
        self.connection.execute(ending)
        if ending == "COMMIT":
            self.committed |= facts
            self.last += len(facts)

    @precondition(lambda self: self.committed)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        gone = data.draw(st.lists(st.sampled_from(sorted(self.committed)), unique=True, max_size=5))
        self.connection.execute("BEGIN IMMEDIATE")
        keys_module.forget(self.connection, gone)
        self.connection.executemany("DELETE FROM intake WHERE seq = ?", [(seq,) for seq in gone])
        self.connection.execute("COMMIT")
        for seq in gone:
            del self.committed[seq]

    @rule()
    def restart(self) -> None:
        self.keys = Keys(run_keys=4, run_facts=10)

    @invariant()
    def every_key_leads_to_its_facts(self) -> None:
        last, seqs = self.keys.find(self.connection, list(range(1, 7)))
        assert last == self.last
        found = set(seqs) & self.committed.keys()
        assert found == {seq for seq, hashed in self.committed.items() if hashed is not None}

    @invariant()
    def no_key_outlives_its_fact_in_the_table(self) -> None:
        filed = dict(self.connection.execute("SELECT seq, hash FROM keys").fetchall())
        assert filed.items() <= self.committed.items()

    @invariant()
    def a_start_reads_few_facts(self) -> None:
        (keyed,) = self.connection.execute("SELECT keyed FROM books").fetchone()
        assert self.last - keyed <= 2 * (10 + 9)


TestKeys = pytest.mark.model(KeysModel.TestCase)
TestKeys.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)


def test_a_start_finds_more_than_one_run_waiting_and_files_them_one_after_the_other() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    connection.executemany(FACT, [(seq, 100 - seq) for seq in range(1, 15)])
    connection.execute("UPDATE books SET facts = 14")
    hashes = [100 - seq for seq in range(1, 15)]
    keys = Keys(run_keys=4, run_facts=100)
    keyed = []
    for _ in range(12):
        assert set(keys.find(connection, hashes)[1]) == set(range(1, 15))
        keys.file(connection, 2)
        keyed.append(connection.execute("SELECT keyed, (SELECT count(*) FROM keys) FROM books").fetchone())
    assert keyed[0] == (4, 4)
    assert keyed[-1] == (14, 14)
    connection.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path))
    yield bench
    bench.close()


def test_a_key_is_known_while_it_waits_while_it_is_filed_and_after(bench: Bench) -> None:
    first = bench.accept(*[message("A", n, key=f"k{n}") for n in range(20)])
    for _ in range(8):
        again = bench.accept(*[message("A", n, key=f"k{n}") for n in range(20)])
        assert [item.seq for item in again] == [item.seq for item in first]
        bench.accept(message("A", 1))
    assert bench.value("SELECT count(*) FROM keys") > 10


def test_a_source_without_keys_moves_the_cursor_too(bench: Bench) -> None:
    for _ in range(30):
        bench.accept(message())
    assert bench.value("SELECT keyed FROM books") >= 20
