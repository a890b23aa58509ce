"""Rejected messages: what waits behind them, in which order it goes on, and that a crash in between loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runtime import record
from runtime.envelope import Message
from runtime.errors import Permanent
from runtime.journal import books, letters
from runtime.pipeline import replay as replay_module
from runtime.pipeline.translate import BUSINESS_KEY_BYTES_MAX
from tests.support.kernel import Bench, StockTranslator, body, configure, drive, message


@pytest.fixture
def translator() -> StockTranslator:
    return StockTranslator()


@pytest.fixture
def bench(tmp_path: Path, translator: StockTranslator) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path, translator, park=True))
    yield bench
    bench.close()


def left(bench: Bench) -> list[tuple[int, bool]]:
    """(fact, late) in the order of leaving."""
    shipped = [record.parse_header_block(row.headers) for row in bench.ship()]
    return [(int(h[record.ORIGIN_HEADER].split(".")[1]), "entrepot-late" in h) for h in shipped]


def figures(bench: Bench) -> tuple[int, int, int]:
    account = books.read(bench.connection)
    assert account.balanced
    return account.accepted, account.dead_lettered, account.pending


def reject(bench: Bench, translator: StockTranslator, *skus: str, source: str = "wms") -> None:
    """One letter for each."""
    translator.refuses |= set(skus)
    for sku in skus:
        bench.accept(message(sku), source=source)
    bench.translate()
    translator.refuses.clear()


def test_a_letter_says_why_and_where_and_its_fact_stays(bench: Bench) -> None:
    bench.accept(message("A", "many"))  # type: ignore[arg-type]
    bench.translate()
    letter = letters.get(bench.connection, 1)
    assert (letter.intake_seq, letter.source, letter.state, letter.position) == (1, "wms", "open", "/sku")
    assert (letter.reason, letter.hint, letter.mapping, letter.attempts, letter.park_key) == (
        "no stock message", "send sku and on_hand", "stock 1", 1, "A",
    )  # fmt: skip
    assert bench.value("SELECT body FROM bodies") == body("A", "many")  # type: ignore[arg-type]
    assert figures(bench) == (1, 1, 0)


def test_with_pass_successors_go_on_and_the_letter_comes_late(bench: Bench, translator: StockTranslator) -> None:
    reject(bench, translator, "A", source="carrier")
    bench.accept(message("A", 2), source="carrier")
    bench.translate()
    assert left(bench) == [(2, False)]
    assert drive(bench.kernel.replay.retry(1)).result == "translated"
    assert left(bench) == [(1, True)]
    assert figures(bench) == (2, 0, 0)


def test_with_park_successors_of_the_key_wait_and_others_go_on(bench: Bench, translator: StockTranslator) -> None:
    reject(bench, translator, "A")
    bench.accept(message("A", 2), message("B", 3), message("A", 4))
    bench.translate()
    assert left(bench) == [(3, False)]
    assert figures(bench) == (4, 1, 2)
    outcome = drive(bench.kernel.replay.retry(1))
    assert (outcome.result, outcome.successors) == ("translated", 2)
    assert left(bench) == [(1, True), (2, False), (4, False)]
    assert figures(bench) == (4, 0, 0)


def test_another_source_does_not_wait(bench: Bench, translator: StockTranslator) -> None:
    reject(bench, translator, "A")
    bench.accept(message("A", 2), source="carrier")
    bench.translate()
    assert left(bench) == [(2, False)]


def test_a_letter_without_a_key_holds_up_its_whole_source(bench: Bench) -> None:
    bench.accept(message("A"))
    bench.accept(Message(body=b"rubbish"))
    bench.accept(message("A", 2), message("B", 3))
    bench.translate()
    assert left(bench) == [(1, False)]
    assert letters.get(bench.connection, 1).park_key == letters.WHOLE_SOURCE
    assert drive(bench.kernel.replay.discard(1)) == 2
    assert left(bench) == [(3, False), (4, False)]
    assert figures(bench) == (4, 1, 0)


def test_of_several_letters_of_one_key_the_oldest_goes_first(bench: Bench, translator: StockTranslator) -> None:
    translator.refuses.add("A")
    bench.accept(message("A", 1), message("A", 2))
    bench.translate()
    translator.refuses.clear()
    bench.accept(message("A", 3))
    bench.translate()
    refused = drive(bench.kernel.replay.retry(2))
    assert (refused.result, refused.successors) == ("letter", 0)
    assert "letter 1 came first" in refused.reason
    assert left(bench) == []
    for number, fact in ((1, 1), (2, 2)):
        assert drive(bench.kernel.replay.retry(number)).result == "translated"
        assert left(bench)[0] == (fact, True)
    assert figures(bench) == (3, 0, 0)


def test_who_waits_for_the_first_letter_then_waits_for_the_second(bench: Bench, translator: StockTranslator) -> None:
    translator.refuses.add("A")
    bench.accept(message("A", 1), message("A", 2))
    bench.translate()
    translator.refuses.clear()
    bench.accept(message("A", 3))
    bench.translate()
    drive(bench.kernel.replay.retry(1))
    assert left(bench) == [(1, True)]
    assert figures(bench) == (3, 1, 1)
    drive(bench.kernel.replay.retry(2))
    assert left(bench) == [(2, True), (3, False)]


def test_release_lets_successors_pass_and_the_letter_stays(bench: Bench, translator: StockTranslator) -> None:
    reject(bench, translator, "A")
    bench.accept(message("A", 2))
    bench.translate()
    assert drive(bench.kernel.replay.release(1)) == 1
    bench.accept(message("A", 3))
    bench.translate()
    assert left(bench) == [(2, False), (3, False)]
    assert figures(bench) == (3, 1, 0)
    assert drive(bench.kernel.replay.retry(1)).result == "translated"
    assert left(bench) == [(1, True)]


def test_a_discarded_letter_stays_counted_and_is_settled_once(bench: Bench, translator: StockTranslator) -> None:
    reject(bench, translator, "A")
    bench.accept(message("A", 2))
    bench.translate()
    assert drive(bench.kernel.replay.discard(1)) == 1
    assert figures(bench) == (2, 1, 1)
    for verb in (bench.kernel.replay.discard, bench.kernel.replay.retry):
        with pytest.raises(Permanent, match="discarded"):
            drive(verb(1))
    with pytest.raises(Permanent, match="no letter 7"):
        drive(bench.kernel.replay.release(7))


def test_a_retry_that_fails_again_counts_an_attempt_and_keeps_the_newest_reason(
    bench: Bench, translator: StockTranslator
) -> None:
    bench.accept(message("A", "many"))  # type: ignore[arg-type]
    bench.translate()
    translator.refuses.add("A")
    translator.version = "stock 2"
    assert drive(bench.kernel.replay.retry(1)).result == "letter"
    letter = letters.get(bench.connection, 1)
    assert (letter.attempts, letter.mapping, letter.state) == (2, "stock 2", "open")
    assert figures(bench) == (1, 1, 0)


def test_a_letter_that_now_says_nothing_new_is_ignored(bench: Bench, translator: StockTranslator) -> None:
    translator.refuses.add("A")
    bench.accept(message("A", ignore="a copy"))
    bench.translate()
    translator.refuses.clear()
    assert drive(bench.kernel.replay.retry(1)).result == "ignored"
    assert books.read(bench.connection).ignored == 1
    assert figures(bench) == (1, 0, 0)


def test_a_defect_of_the_translator_becomes_a_letter_that_quotes_no_partner_data(
    bench: Bench, translator: StockTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(envelope: object) -> None:
        raise KeyError("Frau Schmidt")

    monkeypatch.setattr(translator, "translate", broken)
    bench.accept(message())
    bench.translate()
    letter = letters.get(bench.connection, 1)
    assert letter.reason == "the translator itself failed (KeyError)"
    assert "Schmidt" not in repr(letter)


def test_a_crash_between_two_slices_of_a_drain_is_finished_by_the_next_start(
    bench: Bench, translator: StockTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "FACTS_MAX", 2)
    reject(bench, translator, "A")
    bench.accept(*(message("A", n) for n in range(2, 7)))
    bench.translate()
    replay = bench.kernel.replay
    drive(bench.journal.write(lambda c: replay._retry(c, 1)))
    drive(bench.journal.write(lambda c: replay._drain_slice(c, 1)))
    bench.restart()
    bench.accept(message("A", 7))
    bench.translate()
    assert bench.value("SELECT count(*) FROM parked") == 4, "a newcomer overtook those that wait"
    drive(bench.kernel.replay.resume())
    assert [seq for seq, _ in left(bench)] == [1, 2, 3, 4, 5, 6, 7]
    assert bench.value("SELECT count(*) FROM letters") == 0
    assert figures(bench) == (7, 0, 0)


def test_however_many_drains_a_stop_interrupted_the_next_start_finishes_them_all(
    bench: Bench, translator: StockTranslator
) -> None:
    skus = [f"A{number}" for number in range(101)]
    reject(bench, translator, *skus)
    bench.accept(*(message(sku, 2) for sku in skus))
    bench.translate()
    replay = bench.kernel.replay
    for (number,) in bench.rows("SELECT id FROM letters"):
        drive(bench.journal.write(partial(replay._retry, number=number)))
    bench.restart()
    drive(bench.kernel.replay.resume())
    assert bench.value("SELECT count(*) FROM parked") == 0
    assert bench.value("SELECT count(*) FROM letters") == 0
    assert figures(bench) == (202, 0, 202)


def test_a_key_that_the_hub_could_refuse_is_a_letter_that_does_not_repeat_it(bench: Bench) -> None:
    longest = "ß" * (BUSINESS_KEY_BYTES_MAX // 2)
    bench.accept(message(longest), message(longest + "x"), message("A"))
    bench.translate()
    letter = letters.get(bench.connection, 1)
    assert letter.intake_seq == 2
    assert str(BUSINESS_KEY_BYTES_MAX) in letter.reason
    assert "ß" not in letter.reason + letter.hint
    assert left(bench) == [(1, False), (3, False)]
