"""Where trials take place, what each says at its end, and the question that all of them ask: is every receipt there?"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Literal, NamedTuple

import anyio
from msgspec import Struct

from runtime import clock
from runtime.certify import scratch, subject
from runtime.errors import EntrepotError, first
from runtime.journal import inspect, intake
from runtime.journal.store import Connection
from runtime.kernel import Kernel, open_kernel

Verdict = Literal["passed", "failed", "not tried"]
SUBJECT_SECONDS_MAX = 60.0
"""A subject that says nothing for so long is ended, and its trial fails."""
PROBLEMS_MAX = 5


class Finding(Struct, frozen=True, kw_only=True):
    """What one trial saw."""

    trial: str
    verdict: Verdict
    sentence: str
    figures: dict[str, int | float | str] = {}
    shows_not: str = ""
    """What this trial cannot show."""
    problems: list[str] = []


class Told(NamedTuple):
    """A receipt that was given away."""

    number: int
    seq: int
    sha256: str


class Ground(NamedTuple):
    """The scratch folder and the means. `command` starts the subject; tests plant their lies there."""

    folder: Path
    chance: random.Random
    say: Callable[[str], None]
    command: Sequence[str] = (sys.executable, "-m", "runtime.certify.subject")

    def start(self, directory: Path, job: str, first: int, count: int) -> subprocess.Popen[str]:
        """The subject at work, its receipts on its standard output."""
        directory.mkdir(parents=True, exist_ok=True)
        words = [*self.command, str(directory), job, str(first), str(count)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def listen(process: subprocess.Popen[str], enough: Callable[[int], bool]) -> list[str]:
    """Its lines, until `enough` says so of their number (then it is killed) or it ends by itself."""
    lines: list[str] = []
    watch = Timer(SUBJECT_SECONDS_MAX, process.kill)
    watch.start()
    try:
        assert process.stdout is not None, "it was started with a pipe"
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if enough(len(lines)):
                process.kill()  # what it had written before is still read
    finally:
        watch.cancel()
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            with suppress(AttributeError):
                stream.close()  # type: ignore[union-attr]
    return lines


def receipts(lines: Iterable[str]) -> list[Told]:
    """The receipts among the lines; a last line that was cut off by a kill is none."""
    words = [line.split() for line in lines]
    return [Told(int(w[1]), int(w[2]), w[3]) for w in words if len(w) == 4 and w[0] == "receipt" and len(w[3]) == 64]


def problems(directory: Path, told: Sequence[Told]) -> list[str]:
    """What is wrong with the journal that a trial has left behind; empty when every receipt is there and it is whole."""
    return anyio.run(_problems, directory, told)


async def _problems(directory: Path, told: Sequence[Told]) -> list[str]:
    try:
        async with open_kernel(scratch.configuration(directory, subject.REGION)) as kernel:
            found = await inspect.verify(kernel.journal, whole_file=True)
            return [*found, *await _lost(kernel, told)][:PROBLEMS_MAX]
    except (EntrepotError, BaseExceptionGroup) as error:
        return [f"the journal does not open: {first(error)}"]


async def _lost(kernel: Kernel, told: Sequence[Told]) -> list[str]:
    names, keys = kernel.journal.names, kernel.journal.keys

    def look(connection: Connection, slice_: Sequence[Told]) -> list[str]:
        wrong = []
        for receipt in slice_:
            found = intake.lookup(connection, names, keys, scratch.SOURCE, f"k{receipt.number}")
            if found is None or (found.seq, found.digest.hex()) != (receipt.seq, receipt.sha256):
                wrong.append(f"receipt {receipt.seq} was given and its message is gone")
        return wrong

    found: list[str] = []
    for start in range(0, len(told), 200):
        found += await kernel.journal.read(lambda c, s=start: look(c, told[s : s + 200]))  # type: ignore[misc]
    return found


def judged(
    trial: str, wrong: Sequence[str], passed: str, *, figures: dict[str, int | float | str], shows_not: str
) -> Finding:
    """Passed if nothing is wrong."""
    return Finding(
        trial=trial,
        verdict="failed" if wrong else "passed",
        sentence=wrong[0] if wrong else passed,
        figures=figures,
        shows_not=shows_not,
        problems=list(wrong[:PROBLEMS_MAX]),
    )


def not_tried(trial: str, why: str) -> Finding:
    """Said plainly, and never counted as passed."""
    return Finding(trial=trial, verdict="not tried", sentence=why)


def now() -> float:
    """Seconds, for the time that a trial may take."""
    return clock.monotonic()
