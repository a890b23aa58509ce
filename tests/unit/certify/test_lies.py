"""Each trial finds the lie that it is for, and passes an honest subject on this disk."""

from __future__ import annotations

import random
import sys
from itertools import count
from pathlib import Path

import pytest

from runtime.certify import clocks, flush, full, kill, power, subject
from runtime.certify.ground import Ground, Told, problems, receipts

UNFLUSHED = """
from runtime.journal import store
store._SETTINGS = tuple(s.replace("synchronous=FULL", "synchronous=OFF") for s in store._SETTINGS)
"""
TOLD_TOO_SOON = """
from hashlib import sha256
from runtime.certify import scratch, subject
async def accept(kernel, number, told, honest=subject.accept):
    told(f"receipt {number} {accept.seq} {sha256(scratch.message(number).body).hexdigest()}")
    accept.seq += 1
    await honest(kernel, number, lambda _: None)
accept.seq = 1
subject.accept = accept
"""
TAKES_WHEN_FULL = """
from runtime.certify import subject
class Deaf(subject.Filling):
    def answer(self, step):
        self.refused += self.full
        return 0
subject.Filling = Deaf
"""


def ground(folder: Path, lie: str = "") -> Ground:
    command = (sys.executable, "-c", f"{lie}\nfrom runtime.certify import subject\nsubject.main()")
    return Ground(folder, random.Random(1), lambda _: None, command)


def test_kills_and_power_cuts_are_passed_by_an_honest_subject(tmp_path: Path) -> None:
    killed = kill.run(ground(tmp_path), 0.0)
    assert (killed.verdict, killed.figures["kills"]) == ("passed", kill.KILLS_MIN), killed
    cut = power.run(ground(tmp_path), 0.0)
    assert (cut.verdict, cut.figures["states_replayed"]) == ("passed", power.STATES_MIN), cut
    assert int(cut.figures["flushes"]) >= int(cut.figures["receipts"])
    assert "real power cut" in cut.shows_not


def test_a_subject_that_does_not_flush_fails_the_power_cuts(tmp_path: Path) -> None:
    found = power.run(ground(tmp_path, UNFLUSHED), 0.0)
    assert found.verdict == "failed"
    assert found.problems


def test_a_receipt_that_is_told_before_the_commit_fails_the_power_cuts(tmp_path: Path) -> None:
    assert power.run(ground(tmp_path, TOLD_TOO_SOON), 5.0).verdict == "failed"


def test_a_receipt_while_the_disk_is_full_is_no_passed_trial(tmp_path: Path) -> None:
    honest = full.run(ground(tmp_path / "a"))
    assert honest.verdict == "passed", honest
    assert int(honest.figures["refused"]) == subject.TURN
    assert full.run(ground(tmp_path / "b", TAKES_WHEN_FULL)).verdict == "failed"


@pytest.mark.parametrize("lie", ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_a_subject_that_cannot_work_passes_nothing(lie: str, tmp_path: Path) -> None:
    assert kill.run(ground(tmp_path / "a", lie), 0.0).verdict == "failed"
    assert power.run(ground(tmp_path / "b", lie), 0.0).verdict == "not tried"
    assert full.run(ground(tmp_path / "c", lie)).verdict == "not tried"


def test_a_lost_receipt_is_found_by_the_question_that_all_ask(tmp_path: Path) -> None:
    lines: list[str] = []
    process = ground(tmp_path).start(tmp_path / "home", "busy", 1, 5)
    assert process.stdout is not None
    lines = process.stdout.read().split("\n")
    process.wait()
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    told = receipts(lines)
    assert [receipt.number for receipt in told] == [1, 2, 3, 4, 5]
    assert problems(tmp_path / "home", told) == []
    assert problems(tmp_path / "home", [*told, Told(6, 6, "0" * 64)]) == ["receipt 6 was given and its message is gone"]
    assert len(problems(tmp_path / "home", [told[0]._replace(sha256="0" * 64)])) == 1


def test_a_clock_that_jumps_changes_neither_order_nor_receipts(tmp_path: Path) -> None:
    found = clocks.run(ground(tmp_path))
    assert (found.verdict, found.figures["jumps"]) == ("passed", 3), found


@pytest.mark.parametrize(("seconds", "verdict"), [(0.000_01, "failed"), (0.001, "passed")])
def test_a_flush_that_takes_no_time_is_not_believed(
    seconds: float, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()
    monkeypatch.setattr("runtime.certify.flush.now", lambda: next(ticks) * seconds)
    found = flush.run(ground(tmp_path))
    assert (found.verdict, found.figures["median_ms"]) == (verdict, seconds * 1_000)
