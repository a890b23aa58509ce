"""`journal verify` sees what was changed behind the journal's back, one lie at a time, and nothing in an honest one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.journal import inspect
from tests.support.kernel import Bench, StockTranslator, configure, drive, message

LIES = {
    "UPDATE intake SET received_us = received_us + 1 WHERE seq = 3": "message 3 is not what was accepted",
    """UPDATE intake SET headers = '{"x-topic":"b"}' WHERE seq = 3""": "message 3 is not what was accepted",
    "UPDATE intake SET source = 99 WHERE seq = 3": "message 3 is of a source that the journal does not name",
    "UPDATE intake SET key_hash = 7 WHERE seq = 3": "message 3 has a key that does not fit its index",
    "UPDATE bodies SET body = x'00' WHERE seq = 4": "message 4 has a body that is not the one",
    "DELETE FROM keys WHERE seq = 1": "message 1 is not found by its key",
    "UPDATE books SET translated = facts + 1": "only 12 messages were taken in",
    "DELETE FROM bodies WHERE seq = 12": "wait for translation some are missing",
    "UPDATE lanes SET acked = sealed + 1 WHERE name = 'bulk'": "but sealed only",
    "UPDATE lanes SET sealed_event = queued + 1 WHERE name = 'bulk'": "sealed event",
    "UPDATE lanes SET oldest = acked + 2 WHERE name = 'bulk'": "is not acknowledged",
    "DELETE FROM events WHERE id = (SELECT max(id) FROM events)": "events that wait to be sealed are missing",
    "DELETE FROM bodies WHERE seq = (SELECT intake_seq FROM letters)": "is about a message that is gone",
    "UPDATE outbox SET data = x'00' WHERE id = (SELECT min(id) FROM outbox)": "does not match its chain hash",
    "UPDATE books SET delivered = delivered + 1": "the books do not balance",
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Something in every state: settled, sealed, queued, untranslated, a letter."""
    translator = StockTranslator()
    translator.refuses.add("odd")
    bench = Bench(configure(tmp_path, translator), durable=False)
    for n in range(1, 9):
        said = message("odd" if n == 5 else "Ab"[n % 2], n, key=f"k{n}")
        bench.accept(replace(said, headers={"x-topic": "a"} if n == 3 else {}))
    bench.translate()
    bench.ship("realtime")
    for n in range(9, 11):
        bench.accept(message("b1", n, key=f"k{n}"))
    bench.translate()
    for n in range(11, 13):
        bench.accept(message("A", n))
    yield bench
    bench.close()


@pytest.mark.parametrize("whole_file", [True, False])
def test_an_honest_journal_has_no_problems(whole_file: bool, bench: Bench) -> None:
    assert drive(inspect.verify(bench.journal, whole_file=whole_file)) == []


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_and_named(lie: str, bench: Bench) -> None:
    assert bench.connection.execute(lie).rowcount > 0, "this lie changes nothing"
    found = drive(inspect.verify(bench.journal, whole_file=False))
    assert any(LIES[lie] in problem for problem in found), found


def test_a_broken_index_is_found_when_the_agent_is_stopped(bench: Bench) -> None:
    bench.connection.execute("PRAGMA writable_schema=ON")
    bench.connection.execute(
        "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'parked_by_letter') WHERE name = 'events_by_origin'"
    )
    bench.connection.execute("PRAGMA writable_schema=RESET")
    found = drive(inspect.verify(bench.journal, whole_file=True))
    assert any("events_by_origin" in problem for problem in found), found
