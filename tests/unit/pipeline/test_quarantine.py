"""A message that ends the process is set aside after three crashes; an innocent one never is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import StorageFull
from runtime.journal import books, letters
from runtime.pipeline.quarantine import CRASHES_MAX, Careful
from tests.support.kernel import Bench, StockTranslator, configure, drive, message


class Crash(BaseException):
    """Stands for the end of the process: nothing in the kernel catches it."""


class Poison(StockTranslator):
    armed = True

    def translate(self, envelope: Any) -> Any:
        if self.armed and b'"poison"' in envelope.body:
            raise Crash
        return super().translate(envelope)


@pytest.fixture
def translator() -> Poison:
    return Poison()


@pytest.fixture
def bench(tmp_path: Path, translator: Poison) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path, translator))
    yield bench
    bench.close()


def translate(bench: Bench) -> int:
    """What the agent does after a start."""
    careful, facts = Careful(bench.kernel), 0
    while (tally := drive(careful.batch())).facts:
        facts += tally.facts
    return facts


def crash(bench: Bench) -> None:
    with pytest.raises(Crash):
        translate(bench)
    bench.restart()


def test_after_three_crashes_the_message_is_a_letter_and_the_others_go_on(bench: Bench, translator: Poison) -> None:
    bench.accept(message("A"), message("poison"), message("B"))
    for _ in range(CRASHES_MAX):
        crash(bench)
    assert translate(bench) == 2
    letter = letters.get(bench.connection, 1)
    assert letter.intake_seq == 2
    account = books.read(bench.connection)
    assert (account.accepted, account.dead_lettered, account.pending, account.balanced) == (3, 1, 2, True)
    translator.armed = False
    assert drive(bench.kernel.replay.retry(1)).result == "translated"


def test_of_two_messages_that_end_the_process_each_is_set_aside_after_its_own_three_crashes(bench: Bench) -> None:
    bench.accept(message("poison"), message("A"), message("poison", 2))
    for _ in range(CRASHES_MAX):
        crash(bench)
    crashes = 0
    while books.read(bench.connection).translated < 3:
        try:
            translate(bench)
        except Crash:
            crashes += 1
            bench.restart()
    assert crashes == CRASHES_MAX
    assert bench.rows("SELECT intake_seq FROM letters ORDER BY 1") == [(1,), (3,)]


def test_kills_of_an_idle_agent_are_not_blamed_on_the_next_message(bench: Bench) -> None:
    for _ in range(CRASHES_MAX + 2):
        assert translate(bench) == 0
        bench.restart()
    careful = Careful(bench.kernel)
    assert drive(careful.batch()).facts == 0
    bench.accept(message())
    assert drive(careful.batch()).facts == 1
    assert bench.value("SELECT count(*) FROM letters") == 0


def test_kills_while_facts_are_translated_are_not_added_up_over_different_facts(bench: Bench) -> None:
    for number in range(CRASHES_MAX + 2):
        bench.accept(message("A", number))
        assert translate(bench) == 1
        bench.restart()
    assert bench.value("SELECT count(*) FROM letters") == 0


def test_a_message_that_finds_the_disk_full_again_and_again_is_not_blamed_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.restart()  # as a kill would leave it
    bench.accept(message("A"))
    careful = Careful(bench.kernel)

    def full(*_: Any) -> None:
        raise StorageFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(bench.kernel.translate, "batch", full)
        for _ in range(2 * CRASHES_MAX):
            with pytest.raises(StorageFull):
                drive(careful.batch())
    assert drive(careful.batch()).facts == 1
    assert bench.value("SELECT count(*) FROM letters") == 0
